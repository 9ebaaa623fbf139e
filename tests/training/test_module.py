"""One batch: what the Lightning module computes from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_run import TinyNet, TinyRealNet, draw_people, tiny_recipe

from bihrnet.data.top_down import TopDownDataset
from bihrnet.evaluate import evaluate
from bihrnet.heatmap_model import ModelSpec
from bihrnet.nn.session import TorchSession
from bihrnet.skeleton import LSP
from bihrnet.training.batches import validation_batches
from bihrnet.training.distillation import Teacher, heatmap_kl
from bihrnet.training.losses import adaptive_wing
from bihrnet.training.module import PoseTraining
from bihrnet.training.run import _trainer
from bihrnet.training.run_callback import RunCallback
from bihrnet.training.run_folder import RunFolder

PEOPLE = draw_people(10, seed=1)
SPEC = ModelSpec("tiny", LSP, (32, 32))


def batch() -> dict[str, torch.Tensor]:
    dataset = TopDownDataset(PEOPLE, (32, 32), 1.0)
    return next(iter(validation_batches(dataset, 10, rank=0, processes=1, workers=0)))


def test_crops_are_normalised_as_in_a_session():
    network = TinyRealNet(14).eval()
    module = PoseTraining(tiny_recipe(), network, 5, PEOPLE)
    crops = batch()["crop"]
    with torch.no_grad():
        ours = network(module._normalised(crops)).numpy()
    assert np.allclose(ours, TorchSession(network, SPEC)(crops.numpy()), atol=1e-5)


def test_crops_are_channels_last_in_memory():
    module = PoseTraining(tiny_recipe(), TinyNet(14), 5, PEOPLE)
    crops = module._normalised(batch()["crop"])
    assert crops.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("balance", [0.5, 0.9])
def test_the_loss_is_equation_7_on_the_same_crops(balance):
    recipe = tiny_recipe(teacher={"architecture": "tiny-real", "balance": balance})
    network, teacher = TinyNet(14), TinyRealNet(14)
    module = PoseTraining(recipe, network, 5, PEOPLE, Teacher(teacher))
    sample = batch()
    outputs = module.training_step(sample, 0)
    crops = module._normalised(sample["crop"])
    heatmaps = network(crops)
    pose = adaptive_wing(heatmaps, sample["target"], sample["weight"])
    kl = heatmap_kl(heatmaps, teacher.eval()(crops), sample["weight"])
    assert outputs["loss"].item() == pytest.approx((balance * pose + (1 - balance) * kl).item())
    assert outputs["pose"].item() == pytest.approx(pose.item())
    assert outputs["kl"].item() == pytest.approx(kl.item())
    outputs["loss"].backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert network[0].weight.grad.abs().sum() > 0


def test_the_teacher_is_no_part_of_the_module():
    recipe = tiny_recipe(teacher={"architecture": "tiny-real"})
    teacher = TinyRealNet(14)
    module = PoseTraining(recipe, TinyNet(14), 5, PEOPLE, Teacher(teacher)).train()
    assert not teacher.training
    assert all(name.startswith("network.") for name in module.state_dict())


@pytest.mark.parametrize("flip_test", [False, True])
def test_validation_agrees_with_evaluate(tmp_path, flip_test):
    recipe = tiny_recipe(evaluation={"metric": "PCKh@0.5", "flip_test": flip_test})
    network = TinyNet(14)
    module = PoseTraining(recipe, network, 5, PEOPLE)
    callback = RunCallback(RunFolder(tmp_path, recipe), 10)
    trainer = _trainer(recipe, RunFolder(tmp_path, recipe), callback, 1, 1, tensorboard=False)
    dataset = TopDownDataset(PEOPLE, (32, 32), 1.0)
    loader = validation_batches(dataset, 4, rank=0, processes=1, workers=0)
    trainer.validate(module, loader, verbose=False)
    expected = evaluate(TorchSession(network, SPEC), PEOPLE, flip_test=flip_test)
    metrics = dict(module.metrics)
    sample = batch()
    with torch.no_grad():
        heatmaps = network.eval()(module._normalised(sample["crop"]))
        loss = adaptive_wing(heatmaps, sample["target"], sample["weight"])
    assert metrics.pop("val_loss") == pytest.approx(loss.item(), rel=1e-5)
    assert metrics == expected.scores.metrics
