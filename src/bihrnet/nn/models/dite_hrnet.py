"""Dite-HRNet (Li et al. 2022): Lite-HRNet with dynamic convolutions and context modeling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from torch import Tensor, nn

from bihrnet.nn.layers.context import DenseContext, GlobalContext
from bihrnet.nn.layers.dynamic_conv import dynamic_bn
from bihrnet.nn.models.lite_hrnet import LiteHRNet, LiteLayers
from bihrnet.nn.models.lite_hrnet_blocks import Interleave, JointBlock, Stem, depthwise_bn
from bihrnet.nn.registry import register

# Of the branches, highest resolution first.
_SPLITS = (1, 1, 2, 4)
_KERNELS = (4, 4, 2, 1)
_GLOBAL_REDUCTIONS = (4, 4, 8, 8)

_STEM_KERNELS = 4
_STEM_REDUCTION = 4
_DENSE_REDUCTION = 8


class SplitConv(nn.Module):
    """Dynamic split convolution: equal parts of the channels, each convolved by itself, shuffled.

    `parts` are layers of one width that keep the shape.
    """

    def __init__(self, channels: int, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        widths = [channels // len(parts)] * len(parts)
        self.ranges = [slice(*ends) for ends in pairwise(accumulate(widths, initial=0))]
        self.parts = nn.ModuleList(parts)
        self.shuffle = Interleave()

    def forward(self, x: Tensor) -> Tensor:
        ranges = zip(self.parts, self.ranges, strict=True)
        return self.shuffle(*(part(x[:, channels]) for part, channels in ranges))


class DiteLayers(LiteLayers):
    """Bricks of Dite-HRNet; its successor overrides the convolutions."""

    def convolution(self, channels: int, kernel_size: int, kernels: int) -> nn.Module:
        """Depthwise layer of a branch, dynamic where it has several kernels."""
        if kernels == 1:
            return depthwise_bn(channels, kernel_size=kernel_size)
        return dynamic_bn(channels, channels, kernel_size, groups=channels, kernels=kernels)

    def stem_convolution(self, channels: int, stride: int) -> nn.Module:
        """The first layer of each half of the stem, depthwise."""
        return dynamic_bn(channels, channels, 3, stride, groups=channels, kernels=_STEM_KERNELS)

    def stem(self, channels: int) -> Stem:
        """Dynamic global context block (DGC) behind the first convolution."""
        half = channels // 2
        hidden = half // 4
        return Stem(
            channels,
            nn.Sequential(
                self.stem_convolution(half, stride=2),
                GlobalContext(half, _STEM_REDUCTION),
                *dynamic_bn(half, half, 1, kernels=_STEM_KERNELS),
                nn.ReLU(inplace=True),
            ),
            nn.Sequential(
                self.stem_convolution(half, stride=1),
                GlobalContext(half, _STEM_REDUCTION),
                *dynamic_bn(half, hidden, 1, kernels=_STEM_KERNELS),
                nn.ReLU(inplace=True),
                *dynamic_bn(hidden, half, 1, kernels=_STEM_KERNELS),
                *dynamic_bn(half, half, 3, stride=2, groups=half, kernels=_STEM_KERNELS),
                nn.ReLU(inplace=True),
            ),
        )

    def joint_block(self, widths: Sequence[int]) -> JointBlock:
        """Dynamic multi-scale context block (DMC)."""
        return JointBlock(widths, self.weighting(widths), self.paths(widths))

    def first_sum(self) -> nn.Module:
        """In the public code the ReLU behind a sum works in place, so the lower ones see it."""
        return nn.ReLU()

    def weighting(self, widths: Sequence[int]) -> DenseContext:
        """What the worked halves of all branches do together."""
        return DenseContext([width // 2 for width in widths], _DENSE_REDUCTION)

    def paths(self, widths: Sequence[int]) -> list[nn.Sequential]:
        """What each branch does to its worked half."""
        return [self._path(width // 2, branch) for branch, width in enumerate(widths)]

    def _path(self, channels: int, branch: int) -> nn.Sequential:
        """Split convolution with growing kernels, and global context."""
        splits, kernels = _SPLITS[branch], _KERNELS[branch]
        parts = [
            self.convolution(channels // splits, 3 + 2 * part, kernels) for part in range(splits)
        ]
        convolution = SplitConv(channels, parts) if splits > 1 else parts[0]
        return nn.Sequential(convolution, GlobalContext(channels, _GLOBAL_REDUCTIONS[branch]))


@register("dite-hrnet-18", "Dite-HRNet-18", modules=(2, 4, 2))
@register("dite-hrnet-30", "Dite-HRNet-30", modules=(3, 8, 3))
def dite_hrnet(joints: int, *, modules: tuple[int, int, int]) -> LiteHRNet:
    """Float peer whose convolutions depend on the image."""
    return LiteHRNet(joints, modules, DiteLayers())
