"""Lite-HRNet, and the topology that Dite-HRNet and EDite-HRNet share with it.

Yu et al. 2021, "Lite-HRNet: A Lightweight High-Resolution Network" (arXiv:2104.06403). The branches
are HRNet's; a block processes all of them jointly. A `LiteLayers` factory makes the stem and these
blocks. Fusion, transitions and head follow the public code, as the papers do not describe them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import accumulate, pairwise
from operator import add
from typing import cast

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn, depthwise_bn, separable
from bihrnet.nn.layers.initialize import initialize
from bihrnet.nn.layers.shuffle import Interleave
from bihrnet.nn.layers.upsample import NearestUpsample
from bihrnet.nn.models.hrnet import Layers, enter_stage, fuse_layer, transition_layers
from bihrnet.nn.registry import register

_STEM = 32
_WIDTHS = (40, 80, 160, 320)
_BLOCKS = 2
_REDUCTION = 8


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

    One half of the channels goes through a depthwise-separable convolution, the other through an
    inverted bottleneck that does not expand.
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
    """Every branch times weights in 0..1 that depend on all branches (section 3.2).

    All branches are pooled to the lowest resolution; two 1x1 convolutions compute weights per
    channel and position, which are upsampled to the size of each branch.

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
    """x times weights in 0..1 per channel, computed from its spatial means (section 3.2)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels // reduction, 1)
        self.conv2 = nn.Conv2d(channels // reduction, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.conv1(x.mean((2, 3), keepdim=True)).relu()
        return x * self.conv2(hidden).sigmoid()


class JointBlock(nn.Module):
    """Block over all branches jointly: half of the channels is processed, the other half is kept.

    The processed halves are weighted across resolutions, then each goes through the path of its
    branch; finally both halves of a branch are interleaved.

    Args:
        widths: channels of the branches, highest resolution first.
        weighting: from the processed halves of all branches to as many of the same shapes.
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
        """The half of each branch that is kept, and the half that is processed."""
        kept = [x[:, :half] for x, half in zip(features, self.halves, strict=True)]
        processed = [x[:, half:] for x, half in zip(features, self.halves, strict=True)]
        return kept, processed

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        kept, processed = self.split(features)
        weighted = self.cross_resolution_weighting(processed)
        processed = [branch(x) for branch, x in zip(self.branches, weighted, strict=True)]
        return [self.shuffle(a, b) for a, b in zip(kept, processed, strict=True)]


class ConditionalChannelWeighting(JointBlock):
    """Block of Lite-HRNet (figure 2): the path is a depthwise convolution and spatial weighting.

    Args:
        widths: channels of the branches, highest resolution first.
        reduction: of the cross-resolution weighting; that of the spatial weighting is 4.
    """

    def __init__(self, widths: Sequence[int], reduction: int) -> None:
        halves = [width // 2 for width in widths]
        super().__init__(
            widths,
            CrossResolutionWeighting(halves, reduction),
            (depthwise_bn(half).append(SpatialWeighting(half, reduction=4)) for half in halves),
        )


class LiteLayers(Layers):
    """Layer factory of Lite-HRNet; its successors override the stem, the block and the first sum.

    The layers between branches are HRNet's with depthwise-separable convolutions.
    """

    def stem(self, channels: int) -> nn.Module:
        """(N, 3, h, w) -> (N, channels, h/4, w/4)."""
        return lite_stem(channels)

    def joint_block(self, widths: Sequence[int]) -> nn.Module:
        """Block over all branches of a module jointly: list of features to list of features."""
        return ConditionalChannelWeighting(widths, _REDUCTION)

    def first_sum(self) -> nn.Module:
        """Layer between the first sum of a fusion and the lower resolutions."""
        return nn.Identity()

    def transition(self, in_channels: int, out_channels: int) -> nn.Sequential:
        """Separable layer into a branch of the same resolution."""
        return separable(in_channels, out_channels).append(self.activation(out_channels))

    def down(self, in_channels: int, out_channels: int, activation: nn.Module) -> nn.Sequential:
        """Separable layer of stride 2 towards a branch of lower resolution."""
        return separable(in_channels, out_channels, stride=2).append(activation)


class LiteHRModule(nn.Module):
    """Two blocks over all branches jointly, then their fusion.

    The public code accumulates the sum of the highest resolution in place and adds the term of the
    highest resolution twice to every sum. So that term counts double, and the lower resolutions get
    the first sum in place of the branch itself: before the ReLU in Lite-HRNet, after it in
    Dite-HRNet, whose ReLU works in place, too. The published weights were trained this way. Here
    the doubled terms are computed once.
    """

    def __init__(self, widths: Sequence[int], layers: LiteLayers) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(layers.joint_block(widths) for _ in range(_BLOCKS)))
        branches = range(len(widths))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(fuse_layer(widths, source, target, layers) for source in branches)
            for target in branches
        )
        self.first_sum = layers.first_sum()
        self.relu = nn.ReLU()

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        highest, *lower = self.layers(features)
        fused: list[Tensor] = []
        for paths in self.fuse_layers:
            first, *rest = cast(nn.ModuleList, paths)
            terms = [path(x) for path, x in zip(rest, lower, strict=True)]
            y = reduce(add, terms, first(highest) * 2)
            if not fused:
                highest = self.first_sum(y)
            fused.append(self.relu(y))
        return fused


class IterativeHead(nn.Module):
    """From the lowest resolution up: add the upsampled output of the level below, convolve.

    Returns the highest resolution only.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        inputs = widths[::-1]
        outputs = [*inputs[1:], inputs[-1]]
        self.projects = nn.ModuleList(
            separable(*ends).append(nn.ReLU(inplace=True))
            for ends in zip(inputs, outputs, strict=True)
        )
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)

    def forward(self, features: list[Tensor]) -> Tensor:
        lowest, *rest = zip(self.projects, features[::-1], strict=True)
        y = lowest[0](lowest[1])
        for project, x in rest:
            y = project(x + self.enlarge(y))
        return y


class LiteHRNet(nn.Module):
    """(N, 3, h, w) normalized RGB -> (N, joints, h/4, w/4) heatmaps; h, w multiples of 32.

    Args:
        joints: number of heatmaps.
        modules: number of modules in stages 2, 3 and 4.
        layers: factory of the network's layers.
    """

    def __init__(self, joints: int, modules: Sequence[int], layers: LiteLayers) -> None:
        super().__init__()
        self.stem = layers.stem(_STEM)
        self.transitions = nn.ModuleList()
        self.stages = nn.ModuleList()
        old: Sequence[int] = [_STEM]
        for count, branches in zip(modules, (2, 3, 4), strict=True):
            widths = _WIDTHS[:branches]
            self.transitions.append(transition_layers(old, widths, layers))
            self.stages.append(nn.Sequential(*(LiteHRModule(widths, layers) for _ in range(count))))
            old = widths
        self.head = IterativeHead(_WIDTHS)
        self.final_layer = nn.Conv2d(_WIDTHS[0], joints, 1)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        features = [self.stem(x)]
        for transition, stage in zip(self.transitions, self.stages, strict=True):
            features = stage(enter_stage(cast(nn.ModuleList, transition), features))
        return self.final_layer(self.head(features))


@register("lite-hrnet-18", "Lite-HRNet-18", modules=(2, 4, 2))
@register("lite-hrnet-30", "Lite-HRNet-30", modules=(3, 8, 3))
def lite_hrnet(joints: int, *, modules: tuple[int, int, int]) -> LiteHRNet:
    """Lite-HRNet, the real-valued lightweight network with the fewest operations."""
    return LiteHRNet(joints, modules, LiteLayers())
