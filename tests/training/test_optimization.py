"""Parameter groups and learning-rate schedules."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bihrnet.nn import build
from bihrnet.nn.layers.binary_unit import BinaryUnit, UnitStyle
from bihrnet.training.optimization import build_optimizer, learning_rate_factor
from bihrnet.training.recipe import OptimizerSection, ScheduleSection


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), BinaryUnit(4, 4, 3, UnitStyle()))


def test_latent_weights_have_their_own_rate_and_never_decay():
    model = network()
    section = OptimizerSection(name="adamw", lr=0.1, latent_lr_factor=3, weight_decay=0.01)
    latent, weights, others = build_optimizer(model, section).param_groups
    assert latent["params"] == [model[2].conv.weight]
    assert (latent["lr"], latent["weight_decay"]) == (pytest.approx(0.3), 0)
    assert weights["params"] == [model[0].weight]
    assert (weights["lr"], weights["weight_decay"]) == (0.1, 0.01)
    assert (others["lr"], others["weight_decay"]) == (0.1, 0)


def test_every_weight_of_a_convolution_decays():
    model = build("dite-hrnet-18", 17)
    section = OptimizerSection(lr=0.1, weight_decay=0.01)
    weights, others = build_optimizer(model, section).param_groups
    assert weights["weight_decay"] == 0.01
    assert all(parameter.ndim == 4 for parameter in weights["params"])
    assert all(parameter.ndim < 4 for parameter in others["params"])


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
def test_every_parameter_is_optimized_once(name):
    model = network()
    groups = build_optimizer(model, OptimizerSection(name=name, lr=0.1)).param_groups
    optimized = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(optimized) == sorted(id(parameter) for parameter in model.parameters())


def test_a_network_without_binary_layers_has_no_latent_group():
    groups = build_optimizer(nn.Conv2d(1, 1, 1), OptimizerSection(lr=0.1)).param_groups
    assert [len(group["params"]) for group in groups] == [1, 1]


def test_weight_decay_leaves_latent_weights_alone():
    model = network()
    section = OptimizerSection(name="adamw", lr=0.1, weight_decay=0.5)
    optimizer = build_optimizer(model, section)
    before = model[2].conv.weight.clone(), model[0].weight.clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.equal(model[2].conv.weight, before[0])
    assert not torch.equal(model[0].weight, before[1])


def test_multistep_drops_after_its_epochs():
    section = ScheduleSection(name="multistep", milestones=[170, 200], gamma=0.1)
    factor = learning_rate_factor(section, epochs=210, steps_per_epoch=10)
    assert [factor(step) for step in (0, 1699, 1700, 1999, 2000, 2099)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_cosine_falls_to_zero_over_the_whole_run():
    factor = learning_rate_factor(ScheduleSection(name="cosine"), epochs=4, steps_per_epoch=25)
    values = [factor(step) for step in range(101)]
    assert values[0] == 1
    assert values[50] == pytest.approx(0.5)
    assert values[100] == pytest.approx(0, abs=1e-12)
    assert values == sorted(values, reverse=True)


def test_warm_up_rises_linearly_and_never_starts_at_zero():
    section = ScheduleSection(name="multistep", milestones=[10], warmup_steps=4)
    factor = learning_rate_factor(section, epochs=20, steps_per_epoch=10)
    assert [factor(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
