"""ResNet-56 with and without ternary filters on CIFAR: LBRN's check outside pose estimation."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from bihrnet.nn.layers.initialize import initialize_he
from bihrnet.nn.layers.ternary import Filters, ResidualBlock, pre_activation, residual_body
from bihrnet.nn.models.lbrn import Density, Seed
from bihrnet.nn.registry import register

_WIDTHS, _BLOCKS = (16, 32, 64), 6  # of the three groups; bottlenecks in each


class ZeroPadShortcut(nn.Module):
    """Parameter-free residual path (He et al. 2016, option A).

    Every `stride`-th row and column, and channels of zeros behind those that there are.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.missing = stride, out_channels - in_channels

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.missing))


class CifarResNet56(nn.Module):
    """(N, 3, 32, 32) normalized RGB -> (N, classes) logits.

    A convolution, three groups of six bottlenecks with pre-activation, average pooling and a linear
    layer: 56 layers.

    Args:
        classes: number of logits.
        expansion: channels of a bottleneck's output, as a multiple of those inside.
        filters: makes the bottlenecks' convolutions.
    """

    def __init__(self, classes: int, expansion: int, filters: Filters) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _WIDTHS[0], 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        channels = _WIDTHS[0]
        for group, planes in enumerate(_WIDTHS):
            for number in range(_BLOCKS):
                stride = 2 if group > 0 and number == 0 else 1
                widths = [channels, planes, planes, planes * expansion]
                blocks.append(
                    ResidualBlock(
                        residual_body(widths, [1, 3, 1], filters, stride=stride),
                        ZeroPadShortcut(channels, widths[-1], stride),
                    )
                )
                channels = widths[-1]
        self.blocks = nn.Sequential(*blocks, *pre_activation(channels))
        self.classifier = nn.Linear(channels, classes)
        initialize_he(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.stem(x)).mean((2, 3)))


Expansion = Annotated[int, Field(ge=1, le=4)]


@register(
    "resnet-56",
    "ResNet-56 of bottlenecks for CIFAR",
    multiple=4,
    default_size=(32, 32),
    task="classification",
)
def resnet_56(classes: int, *, expansion: Expansion = 3) -> CifarResNet56:
    """ResNet-56, real-valued; an expansion of 3 is the one that comes closest to LBRN's counts."""
    return CifarResNet56(classes, expansion, Filters(bias=False))


@register(
    "resnet-lbb-56",
    "ResNet-56 of local binary residual blocks for CIFAR",
    multiple=4,
    default_size=(32, 32),
    task="classification",
)
def resnet_lbb_56(
    classes: int, *, expansion: Expansion = 3, density: Density = 0.5, seed: Seed = 0
) -> CifarResNet56:
    """ResNet-56 whose bottlenecks have fixed ternary 3x3 filters, options as of LBRN-S."""
    return CifarResNet56(classes, expansion, Filters("3x3", density, seed, bias=False))
