"""Dite-HRNet: Lite-HRNet with dynamic convolutions and adaptive context modeling.

Li et al. 2022, "Dite-HRNet: Dynamic Lightweight High-Resolution Network for Human Pose Estimation"
(arXiv:2204.10762). docs/architectures.md lists where this differs from the public code.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import cast

from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import depthwise_bn
from bihrnet.nn.layers.dynamic_conv import dynamic_bn
from bihrnet.nn.layers.gate import channel_gate
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.models.lite_hrnet import (
    CrossResolutionWeighting,
    JointBlock,
    LiteHRNet,
    LiteLayers,
    Stem,
)
from bihrnet.nn.registry import register

# Of the branches, highest resolution first.
_SPLITS = (1, 1, 2, 4)
_KERNELS = (4, 4, 2, 1)
_GLOBAL_REDUCTIONS = (4, 4, 8, 8)

_STEM_KERNELS = 4
_STEM_REDUCTION = 4
_DENSE_REDUCTION = 8


class SpatialSoftmax(nn.Module):
    """Scores (N, 1, h, w) -> weights of mean 1: a softmax over positions times their number."""

    def forward(self, scores: Tensor) -> Tensor:
        powers = (scores - scores.amax((2, 3), keepdim=True)).exp()
        return powers / powers.mean((2, 3), keepdim=True)


class Emphasis(nn.Module):
    """x times a learned weight per position, of mean 1; its mean is adaptive context pooling.

    The bias of the score has no effect, because a softmax ignores what all scores have in common.
    It exists because the published counts include it, and it is fixed.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        cast(nn.Parameter, self.score.bias).requires_grad_(False)
        self.softmax = SpatialSoftmax()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.softmax(self.score(x))


class GlobalContext(nn.Module):
    """Global context modeling (GCM): x times a gate per channel, computed from adaptive means."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.emphasis = Emphasis(channels)
        self.gate = channel_gate(channels, channels // reduction, channels)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        context = self.emphasis(x).mean((2, 3), keepdim=True)
        return self.bn(x * self.gate(context))


class DenseContext(CrossResolutionWeighting):
    """Dense context modeling (DCM): cross-resolution weighting with adaptive pooling.

    Every position has a learned weight when its branch is pooled to the lowest resolution.

    Args:
        widths: channels of the branches; each has half the height and width of the one before.
        reduction: the hidden layer has the sum of the widths / reduction channels.
    """

    def __init__(self, widths: Sequence[int], reduction: int) -> None:
        super().__init__(widths, reduction)
        total = sum(widths)
        self.shrink = nn.ModuleList(
            nn.Sequential(Emphasis(width), shrink)
            for width, shrink in zip(widths, self.shrink, strict=True)
        )
        self.conv2 = nn.Sequential(nn.Conv2d(total // reduction, total, 1), nn.Sigmoid())


class SplitConv(nn.Module):
    """Dynamic split convolution (DSC): the channels in equal parts, each convolved, then shuffled.

    Args:
        channels: of input and output.
        parts: layers of channels / len(parts) channels that keep the shape.
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
    """Layer factory of Dite-HRNet; EDite-HRNet overrides its convolutions."""

    def convolution(self, channels: int, kernel_size: int, kernels: int) -> nn.Module:
        """Depthwise layer of a branch, dynamic where it has several kernels."""
        if kernels == 1:
            return depthwise_bn(channels, kernel_size=kernel_size)
        return dynamic_bn(channels, channels, kernel_size, groups=channels, kernels=kernels)

    def stem_convolution(self, channels: int, stride: int) -> nn.Module:
        """The first layer of each half of the stem, depthwise."""
        return dynamic_bn(channels, channels, 3, stride, groups=channels, kernels=_STEM_KERNELS)

    def stem(self, channels: int) -> Stem:
        """A convolution and a dynamic global context block (DGC)."""
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
        """ReLU: in the public code it works in place, so lower resolutions get its output."""
        return nn.ReLU()

    def weighting(self, widths: Sequence[int]) -> DenseContext:
        """Joint weighting of the processed halves of all branches."""
        return DenseContext([width // 2 for width in widths], _DENSE_REDUCTION)

    def paths(self, widths: Sequence[int]) -> list[nn.Sequential]:
        """The path of each branch's processed half."""
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
    """Dite-HRNet, a real-valued lightweight network whose convolutions depend on the image."""
    return LiteHRNet(joints, modules, DiteLayers())
