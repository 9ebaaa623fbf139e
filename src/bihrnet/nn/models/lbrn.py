"""LBRN (Liu et al. 2021) and the real-valued networks that it is compared with.

Stacked hourglasses (SHN, Newell et al. 2016), whose blocks are bottlenecks or pyramid residual
modules (PRM); LBRN-S and LBRN-P are the same with 3x3 filters that are ternary and fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from bihrnet.nn.layers.ternary import (
    Activation,
    Filters,
    ResidualBlock,
    pre_activation,
    residual_body,
)
from bihrnet.nn.models.hourglass import HourglassLayers, Place, StackedHourglass
from bihrnet.nn.models.lbrn_pyramid import PyramidBody
from bihrnet.nn.registry import register

Density = Annotated[float, Field(gt=0, le=1)]
Seed = Annotated[int, Field(ge=0)]
#: Convolutions of a block, in a row.
BlockLayers = Literal["1x1-3x3-1x1", "1x1-3x3", "1x1-1x1"]

_KERNELS: dict[str, tuple[int, ...]] = {
    "1x1-3x3-1x1": (1, 3, 1),
    "1x1-3x3": (1, 3),
    "1x1-1x1": (1, 1),
}


@dataclass(frozen=True)
class BlockStyle:
    """What the variants of LBRN's tables change in a block.

    Attributes:
        layers: its convolutions.
        inner_width: channels between them, of a block of 256; narrower blocks have their share.
        activation: in front of each convolution.
    """

    layers: BlockLayers = "1x1-3x3-1x1"
    inner_width: int = 128
    activation: Activation = "relu"


class BottleneckLayers(HourglassLayers):
    """SHN, and LBRN-S where `filters` fixes some; a residual path is learned if widths differ."""

    def __init__(self, filters: Filters, style: BlockStyle) -> None:
        self._filters, self._style = filters, style

    def _bottleneck(self, in_channels: int, out_channels: int) -> ResidualBlock:
        kernels = _KERNELS[self._style.layers]
        inner = out_channels * self._style.inner_width // self.channels
        widths = [in_channels, *[inner] * (len(kernels) - 1), out_channels]
        body = residual_body(widths, kernels, self._filters, self._style.activation)
        if in_channels == out_channels:
            return ResidualBlock(body, nn.Identity())
        return ResidualBlock(body, nn.Conv2d(in_channels, out_channels, 1))

    def stem_block(self, in_channels: int, out_channels: int) -> nn.Module:
        return self._bottleneck(in_channels, out_channels)

    def block(self, level: int, place: Place) -> nn.Module:
        return self._bottleneck(self.channels, self.channels)

    def post_block(self) -> nn.Module:
        return self._bottleneck(self.channels, self.channels)

    def lin(self) -> nn.Module:
        conv = nn.Conv2d(self.channels, self.channels, 1)
        return nn.Sequential(conv, *pre_activation(self.channels))


class PyramidLayers(BottleneckLayers):
    """SHN with pyramid residual modules, and LBRN-P, placed as in PyraNet's code.

    Where resolution is lowest there are plain bottlenecks: at the two innermost levels, except for
    the path that keeps the second one's resolution. The block behind each lower level has a learned
    residual path. The head starts with BatchNorm and ReLU, and so do learned residual paths.
    """

    def __init__(self, filters: Filters) -> None:
        super().__init__(filters, BlockStyle())

    def _pyramid(self, in_channels: int, out_channels: int) -> ResidualBlock:
        body = PyramidBody(in_channels, out_channels, self._filters)
        if in_channels == out_channels:
            return ResidualBlock(body, nn.Identity())
        return ResidualBlock(body, self._projection(in_channels, out_channels))

    def _projection(self, in_channels: int, out_channels: int) -> nn.Module:
        return residual_body([in_channels, out_channels], [1], self._filters)

    def stem_block(self, in_channels: int, out_channels: int) -> nn.Module:
        return self._pyramid(in_channels, out_channels)

    def block(self, level: int, place: Place) -> nn.Module:
        plain = level == 1 or (level == 2 and place != "skip")
        make = self._bottleneck if plain else self._pyramid
        block = make(self.channels, self.channels)
        if place == "up":
            block.shortcut = self._projection(self.channels, self.channels)
        return block

    def post_block(self) -> nn.Module:
        return self._pyramid(self.channels, self.channels)

    def lin(self) -> nn.Module:
        return nn.Sequential(*pre_activation(self.channels), super().lin())


@register("shn-2", "Stacked hourglass, 2 stacks", multiple=64, stacks=2, depth=4)
@register("shn-4", "Stacked hourglass, 4 stacks", multiple=64, stacks=4, depth=4)
@register("shn-8", "Stacked hourglass, 8 stacks", multiple=64, stacks=8, depth=4)
@register("shn-8-half", "Stacked hourglass, 8 stacks of half the depth", stacks=8, depth=2)
def shn(joints: int, *, stacks: int, depth: int) -> StackedHourglass:
    """SHN, the real-valued counterpart of LBRN-S."""
    layers = BottleneckLayers(Filters(), BlockStyle())
    return StackedHourglass(joints, stacks, depth, layers)


@register("lbrn-s-2", "LBRN-S, 2 stacks", multiple=64, stacks=2, depth=4)
@register("lbrn-s-4", "LBRN-S, 4 stacks", multiple=64, stacks=4, depth=4)
@register("lbrn-s-8", "LBRN-S, 8 stacks", multiple=64, stacks=8, depth=4)
@register("lbrn-s-8-half", "LBRN-S, 8 stacks of half the depth", stacks=8, depth=2)
def lbrn_s(
    joints: int,
    *,
    stacks: int,
    depth: int,
    density: Density = 0.5,
    seed: Seed = 0,
    fixed: Literal["3x3", "1x1", "half"] = "3x3",
    layers: BlockLayers = "1x1-3x3-1x1",
    inner_width: Literal[64, 128, 256] = 128,
    activation: Activation = "relu",
) -> StackedHourglass:
    """Stacked hourglass of local binary residual blocks; the options are the paper's variants.

    Args:
        joints: number of heatmaps.
        stacks: number of hourglasses.
        depth: levels of each.
        density: share of non-zero ternary weights, the paper's "sparsity".
        seed: of the ternary filters.
        fixed: which filters are ternary: all 3x3 ones, all 1x1 ones, or half of the 3x3 ones.
        layers: convolutions of a block.
        inner_width: filters of the first 1x1 convolution, the paper's LBRN(128) and LBRN(64).
        activation: in front of the blocks' convolutions.
    """
    style = BlockStyle(layers, inner_width, activation)
    bricks = BottleneckLayers(Filters(fixed, density, seed), style)
    return StackedHourglass(joints, stacks, depth, bricks)


@register("shn-prm-2", "Stacked hourglass of pyramid residual modules, 2 stacks", multiple=64)
def shn_prm(joints: int) -> StackedHourglass:
    """PyraNet of two stacks, the real-valued counterpart of LBRN-P."""
    return StackedHourglass(joints, 2, 4, PyramidLayers(Filters()))


@register("lbrn-p-2", "LBRN-P, 2 stacks", multiple=64)
def lbrn_p(joints: int, *, density: Density = 0.5, seed: Seed = 0) -> StackedHourglass:
    """Pyramid residual modules whose 3x3 filters are ternary and fixed."""
    return StackedHourglass(joints, 2, 4, PyramidLayers(Filters("3x3", density, seed)))
