"""Ghost module V2 (Tang et al. 2022): half of the channels from cheap operations, DFC attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.residual import conv_bn
from bihrnet.nn.layers.upsample import NearestUpsample
from bihrnet.nn.models.lite_hrnet_blocks import depthwise_bn


class EnlargeTo(nn.Module):
    """x enlarged `factor` times to the nearest, without what exceeds the size of `like`."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.enlarge = NearestUpsample(factor)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        height, width = like.shape[2:]
        return self.enlarge(x)[:, :, :height, :width]


class GhostModule(nn.Module):
    """(N, channels, h, w) -> (N, channels, h / stride, w / stride), not negative.

    A primary convolution makes half of the channels, a depthwise one makes the other half of them.
    Decoupled fully connected (DFC) attention, of 1x5 and 5x1 convolutions at half the resolution,
    weighs both by numbers in 0..1.

    Args:
        channels: in and out.
        kernel_size: of the primary convolution and of the attention's first one.
        stride: of the same.
        grouped: whether all of them work depthwise, the primary one on pairs of channels.
    """

    def __init__(self, channels: int, kernel_size: int, stride: int = 1, *, grouped: bool) -> None:
        super().__init__()
        half = channels // 2
        self.primary = conv_bn(
            channels, half, kernel_size, stride, groups=half if grouped else 1
        ).append(nn.ReLU(inplace=True))
        self.cheap = depthwise_bn(half).append(nn.ReLU(inplace=True))
        groups = channels if grouped else 1
        self.attention = nn.Sequential(
            # Squares at an odd border are cut, so that every pixel lies in one.
            nn.AvgPool2d(2, ceil_mode=True),
            *conv_bn(channels, channels, kernel_size, stride, groups),
            *conv_bn(channels, channels, (1, 5), groups=groups),
            *conv_bn(channels, channels, (5, 1), groups=groups),
            nn.Sigmoid(),
        )
        self.enlarge = EnlargeTo(2)

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)
        y = torch.cat((primary, self.cheap(primary)), dim=1)
        return y * self.enlarge(self.attention(x), y)
