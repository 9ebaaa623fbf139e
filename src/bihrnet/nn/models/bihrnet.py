"""BiHRNet (Zhang et al. 2023) in the states of its Table 5, and HRNet binarized directly.

Real-valued are the stem, all convolutions of stride 2 and the last 1x1; all others are binary
(section 4.1.1). docs/architectures.md tells what the paper leaves open and how it is read here.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor, nn

from bihrnet.nn.layers.binarize import SignGradient
from bihrnet.nn.layers.binary import BinaryUnit, DirectUnit, SignInput, UnitActivation, UnitStyle
from bihrnet.nn.layers.prelu import PReLU
from bihrnet.nn.models.bihrnet_blocks import BinaryBottleneck, GateSide, MSBlock
from bihrnet.nn.models.hrnet import HRNet, Layers, Layout
from bihrnet.nn.registry import register

#: Activation of the real-valued layers that binary layers read.
RealActivation = Literal["prelu", "relu"]
#: Which Binary Units have a shortcut of their own.
UnitShortcut = Literal["none", "outside", "all"]


class BiHRNetLayers(Layers):
    """Bricks of BiHRNet.

    Args:
        style: of the Binary Units.
        gate: side of the gates in stage 1; None for bottlenecks without information
            reconstruction.
        real_act: after stem, transitions and fusion. Behind a ReLU every sign is +1 until the
            shifts have moved: units start on constants, and normalizing these blows the gradient
            up (its norm is 5e7 at the first step, with PReLU 1.5). A PReLU keeps the sign.
        unit_shortcut: "outside" gives it to the units that no block's residual runs around and
            that keep the resolution: the first transition and the residual path of the first
            bottleneck. Real values so reach the branch of highest resolution. "all" adds the
            units inside blocks, whose sums with their residual are then halved. The 1x1 units of
            the fusion never have one: their sums would grow from module to module.
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
        # There is no plain path from 256 channels to the 18 of W18.
        shortcut = self._shortcut_outside and in_channels % out_channels == 0
        return nn.Sequential(self._unit(in_channels, out_channels, 3, shortcut=shortcut))

    def up(self, in_channels: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(self._unit(in_channels, out_channels, 1, activation=False))


class DirectBlock(nn.Module):
    """A residual block of HRNet whose convolutions are binarized directly.

    Args:
        units: in a row, from `in_channels` to `out_channels`.
        downsample: the residual path where the two differ.
    """

    def __init__(self, units: list[DirectUnit], downsample: DirectUnit | None = None) -> None:
        super().__init__()
        self.units = nn.Sequential(*units)
        self.downsample = downsample or nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.units(x) + self.downsample(x))


class DirectLayers(Layers):
    """Bricks of the binary HRNet. ReLUs stay after sums; between units the sign takes their place.

    Args:
        gradient: surrogate gradient of the sign.
    """

    def __init__(self, gradient: SignGradient) -> None:
        self._unit = partial(DirectUnit, gradient=gradient)

    def bottleneck(self, in_channels: int, planes: int) -> nn.Module:
        unit, out_channels = self._unit, 4 * planes
        return DirectBlock(
            [unit(in_channels, planes, 1), unit(planes, planes, 3), unit(planes, out_channels, 1)],
            None if in_channels == out_channels else unit(in_channels, out_channels, 1),
        )

    def block(self, channels: int) -> nn.Module:
        return DirectBlock([self._unit(channels, channels, 3), self._unit(channels, channels, 3)])

    def transition(self, in_channels: int, out_channels: int) -> nn.Sequential:
        return self._unit(in_channels, out_channels, 3).append(self.activation(out_channels))

    def up(self, in_channels: int, out_channels: int) -> nn.Sequential:
        return self._unit(in_channels, out_channels, 1)


@register("binary-hrnet-w32", "HRNet-W32, binarized directly", binary=True, width=32)
@register("binary-hrnet-w16", "HRNet-W16, binarized directly", binary=True, width=16)
def binary_hrnet(joints: int, *, width: int, gradient: SignGradient = "approx") -> HRNet:
    """The baseline of Table 5: binary convolutions, and nothing that helps them."""
    return HRNet(joints, Layout(width), DirectLayers(gradient))


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
    """BiHRNet; the options are explained at `BiHRNetLayers`, `BinaryBottleneck` and `UnitStyle`."""
    style = UnitStyle(unit_act, gradient, sign_input)
    layers = BiHRNetLayers(style, se_on, real_act, unit_shortcut)
    return HRNet(joints, Layout(width, pruned=pruned), layers)
