"""Fractional max-pooling: regular in evaluation, random in training."""

from __future__ import annotations

import pytest
import torch

from bihrnet.nn.layers.fractional_max_pool import fractional_max_pool
from bihrnet.nn.models.lbrn import RATIOS


@pytest.mark.parametrize("side", [2, 3, 4, 8, 16, 32, 64, 96])
@pytest.mark.parametrize("ratio", RATIOS)
def test_regions_in_evaluation_are_regular_and_inside(side: int, ratio: float) -> None:
    rows = torch.arange(float(side)).reshape(1, 1, side, 1).expand(1, 1, side, side)
    y = fractional_max_pool(rows, ratio, training=False)
    assert y.shape == (1, 1, int(side * ratio), int(side * ratio))
    starts = y[0, 0, :, 0] - 1  # the larger of two neighboring rows is the second
    assert starts.min() >= 0
    assert starts.max() <= side - 2
    steps = starts.diff()
    assert set(steps.tolist()) <= {1, 2}
    # As many rows are left out above as below, but for rounding.
    assert abs(starts[0].item() - (side - 2 - starts[-1].item())) <= 1
    assert torch.equal(y, fractional_max_pool(rows, ratio, training=False))


def test_a_ratio_of_one_half_is_plain_pooling() -> None:
    x = torch.randn(2, 3, 8, 12)
    expected = torch.nn.functional.max_pool2d(x, 2)
    assert torch.equal(fractional_max_pool(x, 0.5, training=False), expected)


def test_regions_in_training_are_drawn() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 16, 16, requires_grad=True)
    first, second = (fractional_max_pool(x, RATIOS[0], training=True) for _ in range(2))
    assert first.shape == second.shape == (2, 4, 13, 13)
    assert not torch.equal(first, second)
    first.sum().backward()
    assert x.grad is not None
    assert x.grad.sum() == first.numel()
