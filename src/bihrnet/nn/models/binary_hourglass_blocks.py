"""Layers and blocks of Bulat et al. (2019), for binary and for real-valued networks alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.binarize import SignGradient
from bihrnet.nn.layers.binary import DirectUnit
from bihrnet.nn.layers.prelu import PReLU
from bihrnet.nn.layers.ternary import ResidualBlock, pre_activation

#: Activation behind a binary convolution (Table 1).
ActivationName = Literal["relu", "leaky_relu", "prelu"]
#: Makes a layer from input channels, output channels and kernel size; height and width stay.
UnitFactory = Callable[[int, int, int], nn.Module]


def activation(name: ActivationName, channels: int) -> nn.Module:
    """ReLU, leaky ReLU of slope 0.01, or PReLU with one learned slope per channel."""
    if name == "prelu":
        return PReLU(channels)
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(inplace=True)


def active_unit(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    gradient: SignGradient,
    act: ActivationName,
) -> nn.Sequential:
    """BatchNorm -> sign -> binary convolution -> activation, the order of the paper."""
    unit = DirectUnit(in_channels, out_channels, kernel_size, gradient)
    return nn.Sequential(*unit, activation(act, out_channels))


def pre_activation_unit(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """BatchNorm -> ReLU -> convolution without bias: the real-valued counterpart."""
    padding = kernel_size // 2
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, bias=False)
    return nn.Sequential(*pre_activation(in_channels), conv)


class HierarchicalBody(nn.Module):
    """Three 3x3 layers in a row, whose outputs are concatenated.

    They give n/2, n/4 and n/4 channels of the n that come out and see 3x3, 5x5 and 7x7 pixels. In a
    `ResidualBlock` this is the hierarchical, parallel, multi-scale block: every layer has a short
    way to the output, and none is 1x1, whose binary sums have few levels (Bulat and Tzimiropoulos
    2017).

    Args:
        in_channels: of the input.
        out_channels: n, a multiple of 4.
        unit: makes the layers.
    """

    def __init__(self, in_channels: int, out_channels: int, unit: UnitFactory) -> None:
        super().__init__()
        if out_channels % 4:
            raise ValueError(
                f"a hierarchical block divides its channels by 4; it cannot have {out_channels}"
            )
        half, quarter = out_channels // 2, out_channels // 4
        self.unit1 = unit(in_channels, half, 3)
        self.unit2 = unit(half, quarter, 3)
        self.unit3 = unit(quarter, quarter, 3)

    def forward(self, x: Tensor) -> Tensor:
        a = self.unit1(x)
        b = self.unit2(a)
        return torch.cat((a, b, self.unit3(b)), dim=1)


def hierarchical_block(
    in_channels: int, out_channels: int, unit: UnitFactory, downsample: UnitFactory
) -> ResidualBlock:
    """`HierarchicalBody` and a residual path, a 1x1 layer of `downsample` where widths differ."""
    body = HierarchicalBody(in_channels, out_channels, unit)
    return ResidualBlock(body, _shortcut(in_channels, out_channels, downsample))


def bottleneck_block(
    in_channels: int, out_channels: int, unit: UnitFactory, downsample: UnitFactory
) -> ResidualBlock:
    """1x1, 3x3 and 1x1 layers, inside half as wide as what comes out, and a residual path."""
    half = out_channels // 2
    body = nn.Sequential(
        unit(in_channels, half, 1), unit(half, half, 3), unit(half, out_channels, 1)
    )
    return ResidualBlock(body, _shortcut(in_channels, out_channels, downsample))


def _shortcut(in_channels: int, out_channels: int, downsample: UnitFactory) -> nn.Module:
    if in_channels == out_channels:
        return nn.Identity()
    return downsample(in_channels, out_channels, 1)
