"""Context modeling of Dite-HRNet (Li et al. 2022): gates per channel from adaptive pooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from bihrnet.nn.layers.residual import conv_bn
from bihrnet.nn.models.lite_hrnet_blocks import CrossResolutionWeighting


def gate(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    """(N, in, 1, 1) -> (N, out, 1, 1) in 0..1 by two 1x1 convolutions."""
    return nn.Sequential(
        *conv_bn(in_channels, hidden, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, out_channels, 1),
        nn.Sigmoid(),
    )


class SpatialSoftmax(nn.Module):
    """Scores (N, 1, h, w) -> weights of mean 1: a softmax over positions times their number."""

    def forward(self, scores: Tensor) -> Tensor:
        powers = (scores - scores.amax((2, 3), keepdim=True)).exp()
        return powers / powers.mean((2, 3), keepdim=True)


class Emphasis(nn.Module):
    """x times a learned weight per position, of mean 1: means of it are adaptive context pooling.

    The score's bias has no effect, for a softmax does not see what all scores have in common. It is
    there because the published counts contain it, and fixed.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)
        cast(nn.Parameter, self.score.bias).requires_grad_(False)
        self.softmax = SpatialSoftmax()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.softmax(self.score(x))


class GlobalContext(nn.Module):
    """Global context modeling (GCM): x times a gate per channel, made from adaptive means of x."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.emphasis = Emphasis(channels)
        self.gate = gate(channels, channels // reduction, channels)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        context = self.emphasis(x).mean((2, 3), keepdim=True)
        return self.bn(x * self.gate(context))


class DenseContext(CrossResolutionWeighting):
    """Dense context modeling (DCM): cross-resolution weighting that shrinks adaptively.

    Every position counts by a learned weight when its branch is shrunk to the lowest resolution.

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
