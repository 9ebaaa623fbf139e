"""Pyramid residual module: fractional pooling, its regularity in evaluation, ONNX."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bihrnet.nn.counting import count
from bihrnet.nn.layers.ternary import Filters, TernaryConv2d
from bihrnet.nn.models.lbrn_pyramid import RATIOS, PyramidBody, enlarge_to, fractional_max_pool


def weights(module: nn.Module) -> int:
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    return sum(layer.weight.numel() for layer in convolutions)


def test_ratios_halve_the_resolution_in_four_steps() -> None:
    assert list(RATIOS) == pytest.approx([0.8409, 0.7071, 0.5946, 0.5], abs=1e-4)


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


def test_enlarging_keeps_the_corners() -> None:
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    y = enlarge_to(x, torch.empty(1, 5, 3, 4))
    assert y.shape == (1, 1, 3, 4)
    np.testing.assert_allclose(y[0, 0, ::2, ::3], x[0, 0])


def test_weights_of_the_module() -> None:
    real, fixed = PyramidBody(256, 256, Filters()), PyramidBody(256, 256, Filters("3x3"))
    assert weights(real) == 262_144  # LBRN's table: 0.262 M
    assert weights(fixed) == 77_824  # 0.078 M
    ternary = [layer for layer in fixed.modules() if isinstance(layer, TernaryConv2d)]
    assert [layer.in_channels for layer in ternary] == [128, 32, 32, 32, 32]
    assert len({layer.weight.numpy().tobytes() for layer in ternary}) == 5


def test_evaluation_is_deterministic_and_training_is_not() -> None:
    torch.manual_seed(0)
    body = PyramidBody(32, 32, Filters("3x3"))
    x = torch.randn(2, 32, 16, 16)
    assert not torch.equal(body(x), body(x))
    body.eval()
    assert torch.equal(body(x), body(x))
    assert torch.equal(torch.fx.symbolic_trace(body)(x), body(x))


# LBRN's table of blocks, GFLOPs = 2 MAC / 10^9 at 64x64: 2.147 and 0.638. The former is counted as
# if the pyramid's convolutions ran at the full resolution.
def test_operations_of_the_module() -> None:
    def macs(filters: Filters) -> int:
        lift = nn.Conv2d(3, 256, 1, bias=False)
        whole = count(nn.Sequential(lift, PyramidBody(256, 256, filters)), (64, 64))
        return whole.real_macs - 3 * 256 * 64 * 64

    assert 2 * macs(Filters("3x3")) / 1e9 == pytest.approx(0.638, abs=5e-4)
    pooled = sum(int(64 * ratio) ** 2 for ratio in RATIOS)
    at_full_resolution = macs(Filters()) + 32 * 32 * 9 * (4 * 64 * 64 - pooled)
    assert 2 * at_full_resolution / 1e9 == pytest.approx(2.147, abs=5e-4)
    assert 2 * macs(Filters()) / 1e9 == pytest.approx(1.98, abs=5e-3)
