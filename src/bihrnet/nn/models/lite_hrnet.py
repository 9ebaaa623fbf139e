"""Lite-HRNet (Yu et al. 2021) and the skeleton that Dite-HRNet and EDite-HRNet share with it.

HRNet's shape with blocks that look at all branches at once. What the stem and these blocks are made
of comes from a `LiteLayers` factory. Fusion, transitions and head are those of the public code,
which the papers do not spell out.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import cast

from torch import Tensor, nn

from bihrnet.nn.layers.initialize import initialize
from bihrnet.nn.models.hrnet import Layers, enter_stage, fusion_path, transition_paths
from bihrnet.nn.models.lite_hrnet_blocks import ConditionalChannelWeighting, lite_stem, separable
from bihrnet.nn.registry import register

_STEM = 32
_WIDTHS = (40, 80, 160, 320)
_BLOCKS = 2
_REDUCTION = 8


class LiteLayers(Layers):
    """Bricks of Lite-HRNet; its successors override the stem, the block and the first sum.

    The paths between branches are HRNet's with depthwise-separable convolutions.
    """

    def stem(self, channels: int) -> nn.Module:
        """(N, 3, h, w) -> (N, channels, h/4, w/4)."""
        return lite_stem(channels)

    def joint_block(self, widths: Sequence[int]) -> nn.Module:
        """Block over all branches of a module together: list of features to list of features."""
        return ConditionalChannelWeighting(widths, _REDUCTION)

    def first_sum(self) -> nn.Module:
        """What the first sum of a fusion goes through on its way to the lower resolutions."""
        return nn.Identity()

    def transition(self, in_channels: int, out_channels: int) -> nn.Sequential:
        """Separable layer into a branch of the same resolution."""
        return separable(in_channels, out_channels).append(self.activation(out_channels))

    def down(self, in_channels: int, out_channels: int, activation: nn.Module) -> nn.Sequential:
        """Separable layer of stride 2 towards a branch of lower resolution."""
        return separable(in_channels, out_channels, stride=2).append(activation)


class LiteHRModule(nn.Module):
    """Two blocks over all branches together, then their fusion.

    The public code accumulates the sum of the highest resolution in place, and starts each sum
    with the highest resolution's term, which then comes a second time. So that term counts double,
    and the lower resolutions get the first sum instead of the branch itself: in Lite-HRNet as it
    is, in Dite-HRNet, whose ReLU works in place too, behind that. The published weights were
    trained like this; here the doubled terms are computed once.
    """

    def __init__(self, widths: Sequence[int], layers: LiteLayers) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(layers.joint_block(widths) for _ in range(_BLOCKS)))
        branches = range(len(widths))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(fusion_path(widths, source, target, layers) for source in branches)
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
    """From the lowest resolution up: add what came from below, enlarged, then a separable layer.

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
        layers: the bricks.
    """

    def __init__(self, joints: int, modules: Sequence[int], layers: LiteLayers) -> None:
        super().__init__()
        self.stem = layers.stem(_STEM)
        self.transitions = nn.ModuleList()
        self.stages = nn.ModuleList()
        old: Sequence[int] = [_STEM]
        for count, branches in zip(modules, (2, 3, 4), strict=True):
            widths = _WIDTHS[:branches]
            self.transitions.append(transition_paths(old, widths, layers))
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
    """The lightweight float peer with the fewest operations."""
    return LiteHRNet(joints, modules, LiteLayers())
