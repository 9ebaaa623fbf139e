"""Convolution and BatchNorm: dense, depthwise and depthwise-separable."""

from __future__ import annotations

from torch import nn


def conv_bn(
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    stride: int = 1,
    groups: int = 1,
) -> nn.Sequential:
    """Convolution without bias, padded to keep the size at stride 1, and BatchNorm."""
    height, width = (kernel_size,) * 2 if isinstance(kernel_size, int) else kernel_size
    kernel, padding = (height, width), (height // 2, width // 2)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
    )


def depthwise_bn(channels: int, stride: int = 1, kernel_size: int = 3) -> nn.Sequential:
    """Depthwise convolution without bias, padded to keep the size at stride 1, and BatchNorm."""
    return conv_bn(channels, channels, kernel_size, stride, groups=channels)


def separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """Depthwise 3x3 and 1x1 convolution, each with BatchNorm, no activation."""
    return nn.Sequential(*depthwise_bn(in_channels, stride), *conv_bn(in_channels, out_channels, 1))
