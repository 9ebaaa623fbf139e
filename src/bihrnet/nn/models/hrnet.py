"""HRNet: the topology that real-valued and binary networks share.

Sun et al. 2019, "Deep High-Resolution Representation Learning for Human Pose Estimation"
(arXiv:1902.09212), section 3. The network keeps one branch per resolution and fuses the branches
after every module. A `Layers` factory makes its layers; binary networks override some of them.
Module names are those of the official code (`pose_hrnet.py`), so that its checkpoints fit
real-valued networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import cast

from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn
from bihrnet.nn.layers.initialize import initialize
from bihrnet.nn.layers.residual import BasicBlock, Bottleneck
from bihrnet.nn.layers.upsample import NearestUpsample
from bihrnet.nn.registry import register


@dataclass(frozen=True)
class Layout:
    """Sizes of an HRNet.

    Attributes:
        width: channels of the branch of highest resolution; each further branch has twice as many.
        modules: number of modules in stages 2, 3 and 4.
        blocks: residual blocks of a branch in one module.
        layer1_blocks: bottlenecks of stage 1.
        layer1_planes: their inner width; stage 1 ends with 4 times as many channels.
        pruned: only the branch of lowest resolution of a module has blocks; the others pass their
            input to the fuse layers (BiHRNet's structure pruning, section 3.1).
    """

    width: int
    modules: tuple[int, int, int] = (1, 4, 3)
    blocks: int = 4
    layer1_blocks: int = 4
    layer1_planes: int = 64
    pruned: bool = False

    def branch_widths(self, branches: int) -> list[int]:
        """Channels of each branch of a stage, highest resolution first."""
        return [self.width * 2**branch for branch in range(branches)]

    def branch_blocks(self, branches: int) -> list[int]:
        """Number of blocks of each branch of a module, highest resolution first."""
        if self.pruned:
            return [0] * (branches - 1) + [self.blocks]
        return [self.blocks] * branches


class Layers:
    """Layer factory of a real-valued HRNet; a binary network overrides some methods."""

    def activation(self, channels: int) -> nn.Module:
        """After the stem, a transition or the fusion of branches."""
        return nn.ReLU(inplace=True)

    def bottleneck(self, in_channels: int, planes: int) -> nn.Module:
        """Block of stage 1 with an output of 4 * planes channels."""
        return Bottleneck(in_channels, planes)

    def block(self, channels: int) -> nn.Module:
        """Block of a branch of stages 2 to 4."""
        return BasicBlock(channels)

    def transition(self, in_channels: int, out_channels: int) -> nn.Sequential:
        """3x3 layer into a branch of the same resolution."""
        return conv_bn(in_channels, out_channels, 3).append(self.activation(out_channels))

    def up(self, in_channels: int, out_channels: int) -> nn.Sequential:
        """1x1 fuse layer from a branch of lower resolution, before upsampling."""
        return conv_bn(in_channels, out_channels, 1)

    def down(self, in_channels: int, out_channels: int, activation: nn.Module) -> nn.Sequential:
        """3x3 fuse layer of stride 2 towards a branch of lower resolution."""
        return conv_bn(in_channels, out_channels, 3, stride=2).append(activation)


class HighResolutionModule(nn.Module):
    """Residual blocks on every branch, then fusion: each output is the sum of all branches.

    Args:
        widths: channels of the branches, highest resolution first; each next one has half the
            height and width.
        blocks: number of residual blocks of each branch.
        layers: factory of the module's layers.
        outputs: number of branches that are fused and returned, highest resolution first.
    """

    def __init__(
        self, widths: Sequence[int], blocks: Sequence[int], layers: Layers, outputs: int
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(layers.block(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(
                fuse_layer(widths, source, target, layers) for source in range(len(widths))
            )
            for target in range(outputs)
        )
        self.activations = nn.ModuleList(layers.activation(width) for width in widths[:outputs])

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        features = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        fused = []
        for paths, activation in zip(self.fuse_layers, self.activations, strict=True):
            terms = [path(x) for path, x in zip(cast(nn.ModuleList, paths), features, strict=True)]
            fused.append(activation(reduce(add, terms)))
        return fused


def fuse_layer(widths: Sequence[int], source: int, target: int, layers: Layers) -> nn.Module:
    """From one branch into the sum of another: identity, upsampling or strided convolutions."""
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            *layers.up(widths[source], widths[target]),
            NearestUpsample(2 ** (source - target)),
        )
    steps, width = target - source, widths[source]
    return nn.Sequential(
        *(layers.down(width, width, nn.ReLU(inplace=True)) for _ in range(steps - 1)),
        layers.down(width, widths[target], nn.Identity()),
    )


class HRNet(nn.Module):
    """(N, 3, h, w) normalized RGB -> (N, joints, h/4, w/4) heatmaps; h, w multiples of 32."""

    def __init__(self, joints: int, layout: Layout, layers: Layers) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv_bn(3, 64, 3, 2)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = conv_bn(64, 64, 3, 2)
        self.stem_activation = layers.activation(64)
        planes = layout.layer1_planes
        channels = planes * Bottleneck.expansion
        inputs = [64] + [channels] * (layout.layer1_blocks - 1)
        self.layer1 = nn.Sequential(*(layers.bottleneck(width, planes) for width in inputs))
        widths = [layout.branch_widths(branches) for branches in (2, 3, 4)]
        self.transition1 = transition_layers([channels], widths[0], layers)
        self.stage2 = _stage(layout, layers, branches=2, outputs=2)
        self.transition2 = transition_layers(widths[0], widths[1], layers)
        self.stage3 = _stage(layout, layers, branches=3, outputs=3)
        self.transition3 = transition_layers(widths[1], widths[2], layers)
        self.stage4 = _stage(layout, layers, branches=4, outputs=1)
        self.final_layer = nn.Conv2d(layout.width, joints, 1)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.stem_activation(self.bn2(self.conv2(x)))
        features = [self.layer1(x)]
        features = self.stage2(enter_stage(self.transition1, features))
        features = self.stage3(enter_stage(self.transition2, features))
        features = self.stage4(enter_stage(self.transition3, features))
        return self.final_layer(features[0])


def _stage(layout: Layout, layers: Layers, *, branches: int, outputs: int) -> nn.Sequential:
    """The modules of one stage; only the last may leave out lower resolutions."""
    widths, blocks = layout.branch_widths(branches), layout.branch_blocks(branches)
    counts = [branches] * (layout.modules[branches - 2] - 1) + [outputs]
    return nn.Sequential(*(HighResolutionModule(widths, blocks, layers, count) for count in counts))


def transition_layers(old: Sequence[int], new: Sequence[int], layers: Layers) -> nn.ModuleList:
    """From the branches of one stage to those of the next, which has one more."""
    paths: list[nn.Module] = []
    for branch, width in enumerate(new):
        if branch >= len(old):
            paths.append(nn.Sequential(layers.down(old[-1], width, layers.activation(width))))
        elif old[branch] != width:
            paths.append(layers.transition(old[branch], width))
        else:
            paths.append(nn.Identity())
    return nn.ModuleList(paths)


def enter_stage(transition: nn.ModuleList, features: list[Tensor]) -> list[Tensor]:
    """Old branches continue; the new one starts from the lowest resolution so far."""
    return [path(x) for path, x in zip(transition, [*features, features[-1]], strict=True)]


@register("hrnet-w48", "HRNet-W48", width=48)
@register("hrnet-w32", "HRNet-W32", width=32)
@register("hrnet-w18", "HRNet-W18", width=18)
@register("hrnet-w16", "HRNet-W16", width=16)
def hrnet(joints: int, *, width: int) -> HRNet:
    """HRNet of the given width, with all modules and blocks (the paper has W32 and W48)."""
    return HRNet(joints, Layout(width), Layers())


@register("small-hrnet-w16", "Small HRNet: one module a stage, two blocks a branch")
def small_hrnet_w16(joints: int) -> HRNet:
    """The small HRNet that Lite-HRNet's tables compare with: 1.3 M parameters."""
    layout = Layout(16, modules=(1, 1, 1), blocks=2, layer1_blocks=1, layer1_planes=32)
    return HRNet(joints, layout, Layers())
