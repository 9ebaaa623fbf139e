"""Blocks of Lite-HRNet (Yu et al. 2021): weights per channel in place of 1x1 convolutions.

Dite-HRNet and EDite-HRNet put other layers into its stem and into its block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.residual import conv_bn
from bihrnet.nn.layers.upsample import NearestUpsample


def depthwise_bn(channels: int, stride: int = 1, kernel_size: int = 3) -> nn.Sequential:
    """Convolution of every channel by itself, without bias, and BatchNorm."""
    return conv_bn(channels, channels, kernel_size, stride, groups=channels)


def separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and 1x1 convolution, each with BatchNorm, no activation."""
    return nn.Sequential(*depthwise_bn(in_channels, stride), *conv_bn(in_channels, out_channels, 1))


class Interleave(nn.Module):
    """Values of one width as one, in turns: a[0], b[0], a[1], b[1] (ShuffleNet's shuffle)."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.stack(parts, dim=2).flatten(1, 2)


class Stem(nn.Module):
    """(N, 3, h, w) -> (N, channels, h/4, w/4): a 3x3 convolution, then a shuffle block.

    Args:
        channels: of the convolution.
        branch1: (N, channels / 2, h/2, w/2) -> (N, channels / 2, h/4, w/4), for the first half.
        branch2: the same for the second half.
    """

    def __init__(self, channels: int, branch1: nn.Module, branch2: nn.Module) -> None:
        super().__init__()
        half = channels // 2
        self.first, self.second = slice(half), slice(half, channels)
        self.conv1 = conv_bn(3, channels, 3, stride=2).append(nn.ReLU(inplace=True))
        self.branch1 = branch1
        self.branch2 = branch2
        self.shuffle = Interleave()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        return self.shuffle(self.branch1(x[:, self.first]), self.branch2(x[:, self.second]))


def lite_stem(channels: int) -> Stem:
    """Stem of Lite-HRNet (section 3.1).

    Its halves are a depthwise-separable convolution, and an inverted bottleneck that does not
    expand.
    """
    half = channels // 2
    return Stem(
        channels,
        separable(half, half, stride=2).append(nn.ReLU(inplace=True)),
        nn.Sequential(
            *conv_bn(half, channels, 1),
            nn.ReLU(inplace=True),
            *separable(channels, half, stride=2),
            nn.ReLU(inplace=True),
        ),
    )


class CrossResolutionWeighting(nn.Module):
    """Every branch times weights in 0..1, for which all branches are looked at (section 3.2).

    All branches are shrunk to the lowest resolution; two 1x1 convolutions give weights per channel
    and position, which are enlarged to the branches' sizes again.

    Args:
        widths: channels of the branches; each has half the height and width of the one before.
        reduction: the hidden layer has the sum of the widths / reduction channels.
    """

    def __init__(self, widths: Sequence[int], reduction: int) -> None:
        super().__init__()
        total = sum(widths)
        hidden = total // reduction
        self.ranges = [slice(*ends) for ends in pairwise(accumulate(widths, initial=0))]
        factors = [2**steps for steps in reversed(range(1, len(widths)))]
        self.shrink = nn.ModuleList(nn.AvgPool2d(factor) for factor in factors)
        self.shrink.append(nn.Identity())
        self.conv1 = conv_bn(total, hidden, 1).append(nn.ReLU(inplace=True))
        self.conv2 = conv_bn(hidden, total, 1).append(nn.Sigmoid())
        self.enlarge = nn.ModuleList(NearestUpsample(factor) for factor in factors)
        self.enlarge.append(nn.Identity())

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        small = [shrink(x) for shrink, x in zip(self.shrink, features, strict=True)]
        weights = self.conv2(self.conv1(torch.cat(small, dim=1)))
        return [
            x * enlarge(weights[:, channels])
            for x, enlarge, channels in zip(features, self.enlarge, self.ranges, strict=True)
        ]


class SpatialWeighting(nn.Module):
    """x times weights in 0..1 per channel, made from its means over all positions (section 3.2)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // reduction, 1)
        self.conv2 = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(x.mean((2, 3), keepdim=True)).relu()
        return x * self.conv2(hidden).sigmoid()


class JointBlock(nn.Module):
    """The block of all branches together: half of the channels passes, half is worked on.

    The worked half is weighted across resolutions and then goes through a path of its own in each
    branch; then both halves are interleaved.

    Args:
        widths: channels of the branches, highest resolution first.
        weighting: from the worked halves of all branches to as many of the same shapes.
        paths: of the branches; each keeps the shape of its half.
    """

    def __init__(
        self, widths: Sequence[int], weighting: nn.Module, paths: Iterable[nn.Module]
    ) -> None:
        super().__init__()
        self.halves = [width // 2 for width in widths]
        self.cross_resolution_weighting = weighting
        self.branches = nn.ModuleList(paths)
        self.shuffle = Interleave()

    def split(self, features: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The half of each branch that passes, and the half that is worked on."""
        passed = [x[:, :half] for x, half in zip(features, self.halves, strict=True)]
        worked = [x[:, half:] for x, half in zip(features, self.halves, strict=True)]
        return passed, worked

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        passed, worked = self.split(features)
        weighted = self.cross_resolution_weighting(worked)
        worked = [branch(x) for branch, x in zip(self.branches, weighted, strict=True)]
        return [self.shuffle(a, b) for a, b in zip(passed, worked, strict=True)]


class ConditionalChannelWeighting(JointBlock):
    """Lite-HRNet's block: a branch's path is a depthwise convolution and its weighting (fig. 2).

    Args:
        widths: channels of the branches, highest resolution first.
        reduction: of the weighting across resolutions; the other one's is 4.
    """

    def __init__(self, widths: Sequence[int], reduction: int) -> None:
        halves = [width // 2 for width in widths]
        super().__init__(
            widths,
            CrossResolutionWeighting(halves, reduction),
            (depthwise_bn(half).append(SpatialWeighting(half, reduction=4)) for half in halves),
        )
