"""Stacked hourglass: the topology that real-valued, ternary and binary networks share.

Newell et al. 2016, "Stacked Hourglass Networks for Human Pose Estimation" (arXiv:1603.06937). A
`HourglassLayers` factory makes the blocks; the families are in `lbrn` and `binary_hourglass`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, cast

from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn
from bihrnet.nn.layers.initialize import initialize
from bihrnet.nn.layers.upsample import NearestUpsample

#: Position of a block in one level of an hourglass: on the path that keeps the resolution, before
#: and after the next lower level, and in the middle of the lowest level.
Place = Literal["skip", "down", "up", "bottom"]


class HourglassLayers(ABC):
    """Layer factory of a stacked hourglass; every family has its own.

    The 1x1 layers around heatmaps are real-valued convolutions unless a family replaces them.

    Attributes:
        channels: width of the hourglasses.
    """

    channels = 256

    @abstractmethod
    def stem_block(self, in_channels: int, out_channels: int) -> nn.Module:
        """One of the three blocks between the first convolution and the first hourglass."""

    @abstractmethod
    def block(self, level: int, place: Place) -> nn.Module:
        """Block inside an hourglass; levels count from 1, the innermost, to the depth."""

    @abstractmethod
    def post_block(self) -> nn.Module:
        """Block after an hourglass."""

    @abstractmethod
    def lin(self) -> nn.Module:
        """1x1 layer with its activation, from the post block to the heatmaps."""

    def heatmaps(self, joints: int) -> nn.Module:
        """1x1 layer from `channels` to heatmaps."""
        return nn.Conv2d(self.channels, joints, 1)

    def feature_path(self) -> nn.Module:
        """1x1 layer from one stack's features into the next stack's input."""
        return nn.Conv2d(self.channels, self.channels, 1)

    def heatmap_path(self, joints: int) -> nn.Module:
        """1x1 layer from one stack's heatmaps into the next stack's input."""
        return nn.Conv2d(joints, self.channels, 1)


class Hourglass(nn.Module):
    """One level: a path that keeps the resolution, and one through half of it; their sum.

    Args:
        depth: number of levels; height and width must be multiples of 2^depth.
        layers: factory of the blocks.
    """

    def __init__(self, depth: int, layers: HourglassLayers) -> None:
        super().__init__()
        self.skip = layers.block(depth, "skip")
        self.pool = nn.MaxPool2d(2)
        self.down = layers.block(depth, "down")
        self.inner = Hourglass(depth - 1, layers) if depth > 1 else layers.block(depth, "bottom")
        self.up = layers.block(depth, "up")
        self.enlarge = NearestUpsample(2)

    def forward(self, x: Tensor) -> Tensor:
        low = self.up(self.inner(self.down(self.pool(x))))
        return self.skip(x) + self.enlarge(low)


class Stack(nn.Module):
    """Hourglass, post block and heatmaps; `last` leaves out the paths into the next stack."""

    def __init__(self, joints: int, depth: int, layers: HourglassLayers, *, last: bool) -> None:
        super().__init__()
        self.hourglass = Hourglass(depth, layers)
        self.post = layers.post_block()
        self.lin = layers.lin()
        self.heatmaps = layers.heatmaps(joints)
        initialize(self.heatmaps)  # heatmaps start near zero, as HRNet's do
        self.last = last
        if not last:
            self.feature_path = layers.feature_path()
            self.heatmap_path = layers.heatmap_path(joints)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, channels, h, w) -> heatmaps (N, joints, h, w) and the next stack's input."""
        features = self.lin(self.post(self.hourglass(x)))
        heatmaps = self.heatmaps(features)
        if self.last:
            return heatmaps, x
        return heatmaps, x + self.feature_path(features) + self.heatmap_path(heatmaps)


class StackedHourglass(nn.Module):
    """(N, 3, h, w) normalized RGB -> (N, joints, h/4, w/4) heatmaps.

    In training mode the output is a list of the heatmaps of all stacks, first to last, because each
    is supervised. In evaluation mode it is those of the last stack. h and w are multiples of
    4 * 2^depth, 64 for the usual depth of 4.

    Args:
        joints: number of heatmaps.
        stacks: number of hourglasses.
        depth: levels of each.
        layers: factory of the blocks.
    """

    def __init__(self, joints: int, stacks: int, depth: int, layers: HourglassLayers) -> None:
        super().__init__()
        self.stem = conv_bn(3, 64, 7, stride=2).append(nn.ReLU(inplace=True))
        self.stem_block1 = layers.stem_block(64, 128)
        self.pool = nn.MaxPool2d(2)
        self.stem_block2 = layers.stem_block(128, 128)
        self.stem_block3 = layers.stem_block(128, layers.channels)
        self.stacks = nn.ModuleList(
            Stack(joints, depth, layers, last=number == stacks - 1) for number in range(stacks)
        )

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        x = self.stem_block2(self.pool(self.stem_block1(self.stem(x))))
        x = self.stem_block3(x)
        outputs: list[Tensor] = []
        for stack in self.stacks:
            heatmaps, x = cast(tuple[Tensor, Tensor], stack(x))
            outputs.append(heatmaps)
        return outputs if self.training else outputs[-1]
