"""LBRN, stacked hourglasses with fixed ternary 3x3 filters, and their real-valued counterparts.

Liu et al. 2021, "Local-binarized very deep residual network for visual categorization"
(Neurocomputing 430, doi:10.1016/j.neucom.2020.11.041), sections 3.1 to 3.4. The blocks are
bottlenecks (SHN, LBRN-S) or the pyramid residual modules of Yang et al. 2017, "Learning Feature
Pyramids for Human Pose Estimation" (arXiv:1708.01101; SHN-PRM, LBRN-P).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from bihrnet.nn.layers.fractional_max_pool import fractional_max_pool
from bihrnet.nn.layers.residual import Activation, ResidualBlock, pre_activation, residual_body
from bihrnet.nn.layers.ternary import Filters
from bihrnet.nn.layers.upsample import bilinear_resize
from bihrnet.nn.models.hourglass import HourglassLayers, Place, StackedHourglass
from bihrnet.nn.registry import register

# Single nodes for torch.fx: what they do depends on sizes.
torch.fx.wrap("fractional_max_pool")
torch.fx.wrap("bilinear_resize")

#: Ratios of the pyramid's resolutions to the input's, M = 1 and C = 4 in PyraNet's equation (3).
RATIOS = tuple(2 ** (-level / 4) for level in (1, 2, 3, 4))

#: Share of non-zero ternary weights.
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
    """What the variants of Tables 3, 4 and 6 change in a block.

    Attributes:
        layers: its convolutions.
        inner_width: channels between them in a block of 256; proportional in narrower blocks.
        activation: before each convolution.
    """

    layers: BlockLayers = "1x1-3x3-1x1"
    inner_width: int = 128
    activation: Activation = "relu"


class PyramidLevel(nn.Module):
    """Fractional max-pooling, 3x3 convolution, bilinear resizing to the size of the input."""

    def __init__(self, channels: int, ratio: float, filters: Filters) -> None:
        super().__init__()
        self.ratio = ratio
        self.conv = filters.conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return bilinear_resize(self.conv(fractional_max_pool(x, self.ratio, self.training)), x)

    def extra_repr(self) -> str:
        return f"ratio={self.ratio:.4f}"


class Pyramid(nn.Module):
    """1x1 convolution to `width` channels, the sum of four `PyramidLevel`s, 1x1 convolution."""

    def __init__(self, in_channels: int, width: int, out_channels: int, filters: Filters) -> None:
        super().__init__()
        self.reduce = residual_body([in_channels, width], [1], filters).extend(
            pre_activation(width)
        )
        self.levels = nn.ModuleList(PyramidLevel(width, ratio, filters) for ratio in RATIOS)
        self.join = residual_body([width, out_channels], [1], filters)

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        first, *others = (level(x) for level in self.levels)
        for other in others:
            first = first + other
        return self.join(first)


class PyramidBody(nn.Module):
    """Body of the pyramid residual module (PRM-B), c = `out_channels`.

    A main path, 1x1 (-> c/2) and 3x3, in parallel with a pyramid of width c/8; their sum goes
    through a 1x1 (c/2 -> c). With fixed ternary 3x3 filters, including those of the pyramid, it is
    LBB-P.
    """

    def __init__(self, in_channels: int, out_channels: int, filters: Filters) -> None:
        super().__init__()
        half = out_channels // 2
        self.main = residual_body([in_channels, half, half], [1, 3], filters)
        self.pyramid = Pyramid(in_channels, out_channels // 8, half, filters)
        self.last = residual_body([half, out_channels], [1], filters)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.main(x) + self.pyramid(x))


class BottleneckLayers(HourglassLayers):
    """Layer factory of SHN, and of LBRN-S where `filters` fixes some.

    The residual path is a 1x1 convolution where the number of channels changes.
    """

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
    """Layer factory of SHN-PRM and LBRN-P: pyramid residual modules, placed as in PyraNet's code.

    At the two innermost levels the blocks are plain bottlenecks, except on the path that keeps the
    resolution of the second one. The block after each lower level has a learned residual path.
    Learned residual paths and the head start with BatchNorm and ReLU.
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
    """Stacked hourglass of local binary residual blocks (LBB, section 3.4).

    The options are the variants of the paper's tables.

    Args:
        joints: number of heatmaps.
        stacks: number of hourglasses.
        depth: levels of each.
        density: share of non-zero ternary weights, the paper's "sparsity".
        seed: of the ternary filters.
        fixed: which filters of a block are ternary: all 3x3, all 1x1, or half of the 3x3 filters.
        layers: convolutions of a block.
        inner_width: filters of the first 1x1 convolution, the paper's LBRN(128) and LBRN(64).
        activation: before the convolutions of a block.
    """
    style = BlockStyle(layers, inner_width, activation)
    factory = BottleneckLayers(Filters(fixed, density, seed), style)
    return StackedHourglass(joints, stacks, depth, factory)


@register("shn-prm-2", "Stacked hourglass of pyramid residual modules, 2 stacks", multiple=64)
def shn_prm(joints: int) -> StackedHourglass:
    """PyraNet with two stacks, the real-valued counterpart of LBRN-P."""
    return StackedHourglass(joints, 2, 4, PyramidLayers(Filters()))


@register("lbrn-p-2", "LBRN-P, 2 stacks", multiple=64)
def lbrn_p(joints: int, *, density: Density = 0.5, seed: Seed = 0) -> StackedHourglass:
    """Two stacks of pyramid residual modules whose 3x3 filters are ternary and fixed."""
    return StackedHourglass(joints, 2, 4, PyramidLayers(Filters("3x3", density, seed)))
