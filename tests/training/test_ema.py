"""The moving average of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bihrnet.training.ema import MovingAverage


def network(value: float) -> nn.Module:
    module = nn.BatchNorm1d(2)
    nn.init.constant_(module.weight, value)
    return module


def test_it_begins_as_a_copy_and_trails():
    module = network(1.0)
    average = MovingAverage(module, decay=0.9)
    nn.init.constant_(module.weight, 2.0)
    assert average.network.weight.tolist() == [1, 1]
    average.update(module, step=1000)
    assert average.network.weight.tolist() == pytest.approx([1.1, 1.1])


def test_the_random_start_is_forgotten_soon():
    module = network(1.0)
    average = MovingAverage(module, decay=0.9)
    nn.init.constant_(module.weight, 2.0)
    average.update(module, step=0)
    assert average.network.weight.tolist() == pytest.approx([1.9, 1.9])


def test_statistics_are_averaged_and_counters_copied():
    module = network(1.0)
    average = MovingAverage(module, decay=0.5)
    module(torch.randn(8, 2))
    average.update(module, step=1000)
    assert average.network.num_batches_tracked.item() == 1
    middle = (1 + module.running_var) / 2
    assert torch.allclose(average.network.running_var, middle)


def test_it_is_never_trained():
    average = MovingAverage(network(1.0), decay=0.5)
    assert not average.network.training
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
