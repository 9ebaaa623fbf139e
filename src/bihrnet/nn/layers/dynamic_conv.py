"""Dynamic convolution: every image is convolved with its own mixture of kernels.

The dynamic kernel aggregation of Dite-HRNet (Li et al. 2022, arXiv:2204.10762), after Chen et al.
2020, "Dynamic Convolution: Attention over Convolution Kernels" (arXiv:1912.03458).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bihrnet.nn.layers.gate import channel_gate

_REDUCTION = 4


class AggregatedConv2d(nn.Module):
    """x (N, in, h, w), attention (N, kernels, 1, 1) -> (N, out, h / stride, w / stride).

    The weight of an image is the sum of all kernels, each times the attention of that image. Padded
    to keep the size at stride 1; no bias. `weight` is (kernels * out, in / groups, k, k), kernel by
    kernel: with four dimensions, it can be converted to channels-last memory.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        *,
        kernels: int,
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.kernels = kernels
        self.stride = stride
        self.padding = kernel_size // 2
        self.groups = groups
        self._window = (in_channels // groups, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(kernels * out_channels, *self._window))
        nn.init.kaiming_uniform_(self.weight)

    def forward(self, x: Tensor, attention: Tensor) -> Tensor:
        # One grouped convolution in which each image is a group of channels. On a CPU it trains
        # three to six times faster than a sum of one convolution per kernel.
        weight = attention.flatten(1) @ self.weight.reshape(self.kernels, -1)
        y = F.conv2d(
            x.flatten(0, 1).unsqueeze(0),
            weight.reshape(-1, *self._window),
            stride=self.stride,
            padding=self.padding,
            groups=x.shape[0] * self.groups,
        )
        return y.squeeze(0).unflatten(0, (-1, self.out_channels))


class DynamicConv2d(nn.Module):
    """(N, in, h, w) -> (N, out, h / stride, w / stride) with a mixture of kernels.

    The attention, a number in 0..1 for each kernel, is computed from the spatial means of x; the
    numbers need not sum to 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        groups: int = 1,
        *,
        kernels: int,
    ) -> None:
        super().__init__()
        self.attention = channel_gate(in_channels, in_channels // _REDUCTION, kernels)
        self.conv = AggregatedConv2d(
            in_channels, out_channels, kernel_size, stride, groups, kernels=kernels
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x, self.attention(x.mean((2, 3), keepdim=True)))


def dynamic_bn(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int = 1,
    groups: int = 1,
    *,
    kernels: int,
) -> nn.Sequential:
    """Dynamic convolution without bias, padded to keep the size at stride 1, and BatchNorm."""
    return nn.Sequential(
        DynamicConv2d(in_channels, out_channels, kernel_size, stride, groups, kernels=kernels),
        nn.BatchNorm2d(out_channels),
    )
