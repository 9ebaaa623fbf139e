"""Binary hourglasses and their real-valued counterparts.

Bulat et al. 2019, "Improved training of binary networks for human pose estimation and image
recognition" (arXiv:1904.05868). Real-valued are the first convolution, 7x7, and the 1x1
convolutions to heatmaps; all others are binary, including those between stacks (section 3.5).
docs/architectures.md lists what the paper leaves open.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.binarize import SignGradient
from bihrnet.nn.layers.binary_unit import DirectUnit
from bihrnet.nn.layers.conv_bn import conv_bn
from bihrnet.nn.layers.prelu import PReLU
from bihrnet.nn.layers.residual import ResidualBlock, pre_activation
from bihrnet.nn.models.hourglass import HourglassLayers, Place, StackedHourglass
from bihrnet.nn.registry import register

#: Activation after a binary convolution (Table 1).
ActivationName = Literal["relu", "leaky_relu", "prelu"]
BlockName = Literal["hierarchical", "bottleneck"]
#: Makes a layer from input channels, output channels and kernel size; height and width stay.
UnitFactory = Callable[[int, int, int], nn.Module]

_DEPTH = 4


def activation(name: ActivationName, channels: int) -> nn.Module:
    """ReLU, leaky ReLU of slope 0.01, or PReLU with one learned slope per channel."""
    if name == "prelu":
        return PReLU(channels)
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(inplace=True)


def active_unit(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    gradient: SignGradient,
    act: ActivationName,
) -> nn.Sequential:
    """BatchNorm -> sign -> binary convolution -> activation, in the order of Figure 1."""
    unit = DirectUnit(in_channels, out_channels, kernel_size, gradient)
    return nn.Sequential(*unit, activation(act, out_channels))


def pre_activation_unit(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """BatchNorm -> ReLU -> convolution without bias: the real-valued counterpart."""
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=False)
    return nn.Sequential(*pre_activation(in_channels), conv)


class HierarchicalBody(nn.Module):
    """Three 3x3 layers in a row, whose outputs are concatenated.

    They compute n/2, n/4 and n/4 of the n output channels and have receptive fields of 3x3, 5x5 and
    7x7 pixels. In a `ResidualBlock` this is the hierarchical, parallel, multi-scale block: every
    layer has a short path to the output, and none is 1x1, whose binary sums have few levels (Bulat
    and Tzimiropoulos 2017, "Binarized Convolutional Landmark Localizers for Human Pose Estimation
    and Face Alignment with Limited Resources", arXiv:1703.00862).

    Args:
        in_channels: of the input.
        out_channels: n, a multiple of 4.
        unit: makes the layers.
    """

    def __init__(self, in_channels: int, out_channels: int, unit: UnitFactory) -> None:
        super().__init__()
        if out_channels % 4:
            raise ValueError(
                f"a hierarchical block divides its channels by 4; it cannot have {out_channels}"
            )
        half, quarter = out_channels // 2, out_channels // 4
        self.unit1 = unit(in_channels, half, 3)
        self.unit2 = unit(half, quarter, 3)
        self.unit3 = unit(quarter, quarter, 3)

    def forward(self, x: Tensor) -> Tensor:
        a = self.unit1(x)
        b = self.unit2(a)
        return torch.cat((a, b, self.unit3(b)), dim=1)


def hierarchical_block(
    in_channels: int, out_channels: int, unit: UnitFactory, downsample: UnitFactory
) -> ResidualBlock:
    """`HierarchicalBody` and a residual path, a 1x1 layer of `downsample` where widths differ."""
    body = HierarchicalBody(in_channels, out_channels, unit)
    return ResidualBlock(body, _shortcut(in_channels, out_channels, downsample))


def bottleneck_block(
    in_channels: int, out_channels: int, unit: UnitFactory, downsample: UnitFactory
) -> ResidualBlock:
    """1x1, 3x3 and 1x1 layers, the inner ones half as wide as the output, and a residual path."""
    half = out_channels // 2
    body = nn.Sequential(
        unit(in_channels, half, 1), unit(half, half, 3), unit(half, out_channels, 1)
    )
    return ResidualBlock(body, _shortcut(in_channels, out_channels, downsample))


def _shortcut(in_channels: int, out_channels: int, downsample: UnitFactory) -> nn.Module:
    if in_channels == out_channels:
        return nn.Identity()
    return downsample(in_channels, out_channels, 1)


_BLOCKS = {"hierarchical": hierarchical_block, "bottleneck": bottleneck_block}


class RealLayers(HourglassLayers):
    """Layer factory of the real-valued network: hierarchical blocks of pre-activation layers."""

    def stem_block(self, in_channels: int, out_channels: int) -> nn.Module:
        unit = pre_activation_unit
        return hierarchical_block(in_channels, out_channels, unit, unit)

    def block(self, level: int, place: Place) -> nn.Module:
        return self.post_block()

    def post_block(self) -> nn.Module:
        return self.stem_block(self.channels, self.channels)

    def lin(self) -> nn.Module:
        return conv_bn(self.channels, self.channels, 1).append(nn.ReLU(inplace=True))


class BinaryLayers(RealLayers):
    """Layer factory of the binary network.

    The layer before the heatmaps has a BatchNorm after its convolution as well, as in the
    real-valued hourglass, because a real-valued 1x1 convolution follows, not a sign.

    Args:
        block: kind of all blocks.
        act: activation after every binary convolution of a block, and before the heatmaps.
        gradient: surrogate gradient of the sign of activations.
        join_real: whether the 1x1 that feeds heatmaps into the next stack stays real-valued: the
            sign of a heatmap keeps little of it.
    """

    def __init__(
        self, block: BlockName, act: ActivationName, gradient: SignGradient, *, join_real: bool
    ) -> None:
        self._act: ActivationName = act
        self._join_real = join_real
        self._plain = partial(DirectUnit, gradient=gradient)
        self._block = partial(
            _BLOCKS[block],
            unit=partial(active_unit, gradient=gradient, act=act),
            downsample=self._plain,
        )

    def stem_block(self, in_channels: int, out_channels: int) -> nn.Module:
        return self._block(in_channels, out_channels)

    def lin(self) -> nn.Module:
        return nn.Sequential(
            *self._plain(self.channels, self.channels, 1),
            nn.BatchNorm2d(self.channels),
            activation(self._act, self.channels),
        )

    def feature_path(self) -> nn.Module:
        return self._plain(self.channels, self.channels, 1)

    def heatmap_path(self, joints: int) -> nn.Module:
        if self._join_real:
            return super().heatmap_path(joints)
        return self._plain(joints, self.channels, 1)


@register("binary-hourglass-1", "Binary hourglass, 1 stack", binary=True, multiple=64, stacks=1)
@register("binary-hourglass-2", "Binary hourglass, 2 stacks", binary=True, multiple=64, stacks=2)
@register("binary-hourglass-3", "Binary hourglass, 3 stacks", binary=True, multiple=64, stacks=3)
def binary_hourglass(
    joints: int,
    *,
    stacks: int,
    block: BlockName = "hierarchical",
    act: ActivationName = "prelu",
    gradient: SignGradient = "ste",
    join_real: bool = False,
) -> StackedHourglass:
    """The binary hourglass; `BinaryLayers` explains the options."""
    layers = BinaryLayers(block, act, gradient, join_real=join_real)
    return StackedHourglass(joints, stacks, _DEPTH, layers)


@register("hourglass-1", "Hourglass of hierarchical blocks, 1 stack", multiple=64, stacks=1)
@register("hourglass-2", "Hourglass of hierarchical blocks, 2 stacks", multiple=64, stacks=2)
@register("hourglass-3", "Hourglass of hierarchical blocks, 3 stacks", multiple=64, stacks=3)
def hourglass(joints: int, *, stacks: int) -> StackedHourglass:
    """The real-valued network of the same topology: a reference and a teacher."""
    return StackedHourglass(joints, stacks, _DEPTH, RealLayers())
