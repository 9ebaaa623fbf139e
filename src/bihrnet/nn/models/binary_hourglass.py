"""Binary hourglasses of Bulat et al. (2019, "Improved training of binary networks for human pose
estimation and image recognition") and their real-valued counterparts.

Real-valued are the first convolution, 7x7, and the 1x1 that gives the heatmaps; all others are
binary, those between stacks included (section 3.5). docs/architectures.md tells what is left open.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import nn

from bihrnet.nn.layers.binarize import SignGradient
from bihrnet.nn.layers.binary import DirectUnit
from bihrnet.nn.layers.residual import conv_bn
from bihrnet.nn.models.binary_hourglass_blocks import (
    ActivationName,
    activation,
    active_unit,
    bottleneck_block,
    hierarchical_block,
    pre_activation_unit,
)
from bihrnet.nn.models.hourglass import HourglassLayers, Place, StackedHourglass
from bihrnet.nn.registry import register

BlockName = Literal["hierarchical", "bottleneck"]
_BLOCKS = {"hierarchical": hierarchical_block, "bottleneck": bottleneck_block}
_DEPTH = 4


class RealLayers(HourglassLayers):
    """Bricks of the real-valued network: hierarchical blocks of pre-activation layers."""

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
    """Bricks of the binary network.

    The layer in front of the heatmaps has a BatchNorm behind its convolution too, as in the
    real-valued hourglass: what follows is no sign but the real-valued 1x1.

    Args:
        block: kind of all blocks.
        act: behind every binary convolution of a block, and in front of the heatmaps.
        gradient: surrogate gradient of the sign of activations.
        join_real: keep the 1x1 that brings heatmaps into the next stack real-valued. A sign leaves
            little of a heatmap.
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
    """Bulat's network; the options are explained at `BinaryLayers`."""
    layers = BinaryLayers(block, act, gradient, join_real=join_real)
    return StackedHourglass(joints, stacks, _DEPTH, layers)


@register("hourglass-1", "Hourglass of hierarchical blocks, 1 stack", multiple=64, stacks=1)
@register("hourglass-2", "Hourglass of hierarchical blocks, 2 stacks", multiple=64, stacks=2)
@register("hourglass-3", "Hourglass of hierarchical blocks, 3 stacks", multiple=64, stacks=3)
def hourglass(joints: int, *, stacks: int) -> StackedHourglass:
    """The real-valued network of the same shape: what one bit costs, and a teacher."""
    return StackedHourglass(joints, stacks, _DEPTH, RealLayers())
