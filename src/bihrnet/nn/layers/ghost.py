"""Ghost module V2: half of the channels from cheap operations, weighed by DFC attention.

Tang et al. 2022, "GhostNetV2: Enhance Cheap Operation with Long-Range Attention"
(arXiv:2211.12905).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.conv_bn import conv_bn, depthwise_bn
from bihrnet.nn.layers.upsample import NearestResize


class GhostModule(nn.Module):
    """(N, channels, h, w) -> (N, channels, h / stride, w / stride) >= 0.

    A primary convolution computes half of the channels, and a depthwise 3x3 convolution derives the
    other half from them. Both are multiplied by decoupled fully connected (DFC) attention in 0..1,
    computed by 1x5 and 5x1 convolutions at half the resolution (section 4 of the paper).

    Args:
        channels: in and out.
        kernel_size: of the primary convolution and of the attention's first one.
        stride: of the same convolutions.
        grouped: whether all convolutions are depthwise, the primary one on pairs of channels.
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
            # Windows at an odd border are cropped, so that every pixel lies in one.
            nn.AvgPool2d(2, ceil_mode=True),
            *conv_bn(channels, channels, kernel_size, stride, groups),
            *conv_bn(channels, channels, (1, 5), groups=groups),
            *conv_bn(channels, channels, (5, 1), groups=groups),
            nn.Sigmoid(),
        )
        self.enlarge = NearestResize(2)

    def forward(self, x: Tensor) -> Tensor:
        primary = self.primary(x)
        y = torch.cat((primary, self.cheap(primary)), dim=1)
        return y * self.enlarge(self.attention(x), y)
