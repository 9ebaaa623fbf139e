"""MS-Block, its shuffle, and the IR Bottleneck."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from bihrnet.nn.layers.binary import BinaryUnit, UnitStyle
from bihrnet.nn.models.bihrnet_blocks import BinaryBottleneck, MSBlock, SEGate, Shuffle

UNIT = partial(BinaryUnit, style=UnitStyle())


def numbered(first: int, channels: int) -> torch.Tensor:
    return torch.arange(first, first + channels).float().reshape(1, channels, 1, 1)


@pytest.mark.parametrize("channels", [4, 8, 36, 256])
def test_every_four_channels_hold_two_of_a_one_of_b_and_one_of_c(channels: int) -> None:
    half, quarter = channels // 2, channels // 4
    a, b, c = numbered(0, half), numbered(1000, quarter), numbered(2000, quarter)
    y = Shuffle()(a, b, c).flatten().tolist()
    expected = [v for j in range(quarter) for v in (2 * j, 2 * j + 1, 1000 + j, 2000 + j)]
    assert y == expected


def test_the_shuffle_keeps_the_memory_layout_of_training() -> None:
    parts = [torch.randn(2, n, 4, 4) for n in (8, 4, 4)]
    parts = [part.contiguous(memory_format=torch.channels_last) for part in parts]
    assert Shuffle()(*parts).is_contiguous(memory_format=torch.channels_last)


def test_an_ms_block_adds_the_shuffled_units_to_its_input() -> None:
    torch.manual_seed(0)
    block = MSBlock(16, UNIT).eval()
    x = torch.randn(2, 16, 9, 9)
    a = block.unit1(x)
    b = block.unit2(a)
    c = block.unit3(b)
    assert (a.shape[1], b.shape[1], c.shape[1]) == (8, 4, 4)
    torch.testing.assert_close(block(x), block.shuffle(a, b, c) + x)


@pytest.mark.parametrize(("unit", "reach"), [("unit1", 1), ("unit2", 2), ("unit3", 3)])
def test_the_three_groups_see_3_5_and_7_pixels(unit: str, reach: int) -> None:
    torch.manual_seed(0)
    block = MSBlock(16, UNIT).eval()  # statistics of a batch would reach everywhere
    seen: dict[str, torch.Tensor] = {}
    block.get_submodule(unit).register_forward_hook(lambda *args: seen.update(y=args[2]))
    x = torch.zeros(1, 16, 11, 11, requires_grad=True)
    block(x)
    seen["y"][0, :, 5, 5].sum().backward()
    assert x.grad is not None
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten().tolist()
    assert (min(rows), max(rows)) == (5 - reach, 5 + reach)


def test_an_ms_block_needs_a_multiple_of_four_channels() -> None:
    with pytest.raises(ValueError, match="18"):
        MSBlock(18, UNIT)


def test_a_gate_is_squeeze_and_excitation() -> None:
    torch.manual_seed(0)
    gate = SEGate(8, 12)
    x = torch.randn(3, 8, 5, 4)
    factors = gate(x)
    hidden = torch.relu(x.mean((2, 3)) @ gate.squeeze.weight.T + gate.squeeze.bias)
    expected = torch.sigmoid(hidden @ gate.excite.weight.T + gate.excite.bias)
    assert gate.squeeze.out_features == 2
    torch.testing.assert_close(factors[:, :, 0, 0], expected)


@pytest.mark.parametrize("side", ["input", "output", None])
@pytest.mark.parametrize("channels", [16, 32])
def test_a_gate_scales_one_side_and_never_the_residual(side: str | None, channels: int) -> None:
    torch.manual_seed(0)
    block = BinaryBottleneck(channels, 8, UNIT, UNIT, side).eval()  # type: ignore[arg-type]
    x = torch.randn(2, channels, 4, 4)
    residual = block.downsample(x)
    assert isinstance(block.downsample, nn.Identity) == (channels == 32)
    y = block.units(x * block.gate(x)) if side == "input" else block.units(x)
    if side == "output":
        y = y * block.gate(x)
    assert y.shape == (2, 32, 4, 4)
    torch.testing.assert_close(block(x), y + residual)
