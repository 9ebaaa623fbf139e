"""BiHRNet in the variants of its Table 5.

Zhang et al., "BiHRNet: A Binary high-resolution network for Human Pose Estimation"
(arXiv:2311.10296). The topology is HRNet's; binary are all convolutions except the stem, those of
stride 2 and the last 1x1 (section 4.1.1). The blocks are Binary Units (section 3.3.1), IR
Bottlenecks (3.3.2) and MS-Blocks (3.3.3). docs/architectures.md lists what the paper leaves open
and how it is read here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.binarize import SignGradient
from bihrnet.nn.layers.binary_unit import BinaryUnit, SignInput, UnitActivation, UnitStyle
from bihrnet.nn.layers.prelu import PReLU
from bihrnet.nn.models.hrnet import HRNet, Layers, Layout
from bihrnet.nn.registry import register

#: Activation of the real-valued layers that binary layers read.
RealActivation = Literal["prelu", "relu"]
#: Which Binary Units have a shortcut of their own.
UnitShortcut = Literal["none", "outside", "all"]
#: Which side of an IR Bottleneck its gate scales.
GateSide = Literal["input", "output"]
#: Makes a Binary Unit from input channels, output channels and kernel size.
UnitFactory = Callable[..., BinaryUnit]


class SEGate(nn.Module):
    """Real-valued squeeze-and-excitation gate (equation (8); Hu et al. 2018, arXiv:1709.01507).

    (N, in_channels, h, w) features -> (N, out_channels, 1, 1) factors in 0..1.

    Args:
        in_channels: of the features.
        out_channels: of the factors.
        reduction: the hidden layer has in_channels / reduction units.
    """

    def __init__(self, in_channels: int, out_channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.squeeze = nn.Linear(in_channels, in_channels // reduction)
        self.excite = nn.Linear(in_channels // reduction, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.squeeze(x.mean((2, 3))).relu()
        return self.excite(hidden).sigmoid().unflatten(1, (-1, 1, 1))


class BinaryBottleneck(nn.Module):
    """Bottleneck of three Binary Units; with a gate, the IR Bottleneck of BiHRNet (section 3.3.2).

    Args:
        in_channels: of the input.
        planes: inner width; the output has 4 * planes channels.
        unit: makes the Binary Units inside the residual connection.
        downsample: makes the residual path where the number of channels changes.
        gate: whether an `SEGate` of the block's input scales the input of the units ("input") or
            their output ("output"); None for no gate.
        halve: whether the sum with the residual is halved; needed where the units have shortcuts.
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
    """Shuffle three groups of n/2, n/4 and n/4 channels into n (section 3.3.3).

    Channels 4j to 4j + 3 of the output are a[2j], a[2j + 1], b[j], c[j], so that any four adjacent
    channels cover all three receptive fields.
    """

    def forward(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        # In channels-last memory this makes the whole training step 14 % faster.
        a, b, c = (x.permute(0, 2, 3, 1) for x in (a, b, c))
        groups = [a.unflatten(-1, (-1, 2)), b.unsqueeze(-1), c.unsqueeze(-1)]
        return torch.cat(groups, dim=-1).flatten(-2).permute(0, 3, 1, 2)


class MSBlock(nn.Module):
    """MS-Block, the multi-scale block of BiHRNet (section 3.3.3): y = shuffle(a, b, c) + x.

    Three 3x3 Binary Units in a row, n -> n/2 -> n/4 -> n/4 channels; their outputs a, b and c have
    receptive fields of 3x3, 5x5 and 7x7 pixels (the hierarchy of Bulat et al. 2019;
    docs/architectures.md explains this reading). One MS-Block replaces one BasicBlock.

    Args:
        channels: n, a multiple of 4.
        unit: makes the Binary Units.
        halve: whether the sum with x is halved. Where the units have shortcuts, the shuffled groups
            resemble x, and the sum would double the signal in every block.
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


class BiHRNetLayers(Layers):
    """Layer factory of BiHRNet.

    Args:
        style: of the Binary Units.
        gate: side of the gates in stage 1; None for bottlenecks without information
            reconstruction.
        real_act: after the stem, transitions and fusion. After a ReLU every sign is +1 until the
            shifts have moved: the units then convolve constants, and normalizing these makes the
            gradient explode (its norm is 5e7 at the first step, with PReLU 1.5). A PReLU keeps
            negative values.
        unit_shortcut: "outside" gives a shortcut to the units that keep the resolution and lie
            outside every block's residual connection: the first transition and the residual path
            of the first bottleneck. Without it no real value would reach the branch of highest
            resolution. "all" adds the units inside blocks, whose sums with the residual are then
            halved. The 1x1 units of the fuse layers never have one: their sums would grow from
            module to module.
    """

    def __init__(
        self,
        style: UnitStyle,
        gate: GateSide | None,
        real_act: RealActivation,
        unit_shortcut: UnitShortcut,
    ) -> None:
        self._unit = partial(BinaryUnit, style=style)
        self._shortcut_outside = unit_shortcut != "none"
        self._shortcut_inside = unit_shortcut == "all"
        self._block_unit = partial(self._unit, shortcut=self._shortcut_inside)
        self._gate = gate
        self._real_act = real_act

    def activation(self, channels: int) -> nn.Module:
        return PReLU(channels) if self._real_act == "prelu" else nn.ReLU(inplace=True)

    def bottleneck(self, in_channels: int, planes: int) -> nn.Module:
        downsample = partial(self._unit, shortcut=self._shortcut_outside)
        return BinaryBottleneck(
            in_channels,
            planes,
            self._block_unit,
            downsample,
            self._gate,
            halve=self._shortcut_inside,
        )

    def block(self, channels: int) -> nn.Module:
        return MSBlock(channels, self._block_unit, halve=self._shortcut_inside)

    def transition(self, in_channels: int, out_channels: int) -> nn.Sequential:
        # No parameter-free path leads from 256 channels to the 18 of W18.
        shortcut = self._shortcut_outside and in_channels % out_channels == 0
        return nn.Sequential(self._unit(in_channels, out_channels, 3, shortcut=shortcut))

    def up(self, in_channels: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(self._unit(in_channels, out_channels, 1, activation=False))


@register("bihrnet-w32", "BiHRNet-W32", binary=True, width=32, pruned=True)
@register("bihrnet-w18", "BiHRNet-W18", binary=True, width=18, pruned=True)
@register("bihrnet-w16", "BiHRNet-W16", binary=True, width=16, pruned=True)
@register(
    "bihrnet-w32-noir",
    "BiHRNet-W32 without IR Bottlenecks",
    binary=True,
    width=32,
    pruned=True,
    se_on=None,
)
@register(
    "bihrnet-w16-noir",
    "BiHRNet-W16 without IR Bottlenecks",
    binary=True,
    width=16,
    pruned=True,
    se_on=None,
)
@register(
    "bihrnet-w32-unpruned",
    "BiHRNet-W32 without IR Bottlenecks and pruning: MS-Blocks only",
    binary=True,
    width=32,
    pruned=False,
    se_on=None,
)
@register(
    "bihrnet-w16-unpruned",
    "BiHRNet-W16 without IR Bottlenecks and pruning: MS-Blocks only",
    binary=True,
    width=16,
    pruned=False,
    se_on=None,
)
def bihrnet(
    joints: int,
    *,
    width: int,
    pruned: bool,
    se_on: GateSide | None = "input",
    unit_act: UnitActivation = "rprelu",
    unit_shortcut: UnitShortcut = "outside",
    real_act: RealActivation = "prelu",
    gradient: SignGradient = "approx",
    sign_input: SignInput = "shift",
) -> HRNet:
    """BiHRNet; `BiHRNetLayers`, `BinaryBottleneck` and `UnitStyle` explain the options.

    Example:
        >>> network = bihrnet(17, width=32, pruned=True)
        >>> network(torch.zeros(1, 3, 256, 192)).shape
        torch.Size([1, 17, 64, 48])
    """
    style = UnitStyle(unit_act, gradient, sign_input)
    layers = BiHRNetLayers(style, se_on, real_act, unit_shortcut)
    return HRNet(joints, Layout(width, pruned=pruned), layers)
