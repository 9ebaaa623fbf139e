"""Resizing of feature maps: nearest and bilinear."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class NearestUpsample(nn.Module):
    """(N, C, h, w) -> (N, C, factor * h, factor * w), every pixel repeated.

    Computes what `nn.Upsample` does. The gradient of `nn.Upsample` is scattered into a buffer of
    zeros, which kernels of torch.compile in PyTorch 2.13 read before it is filled: with bfloat16,
    some of HRNet's fuse layers then get a gradient of exactly 0. The gradient of a repetition is a
    plain sum.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        f = self.factor
        x = x.permute(0, 2, 3, 1)  # channels last: fast where the memory is laid out so
        x = x[:, :, None, :, None].expand(n, h, f, w, f, c).reshape(n, f * h, f * w, c)
        return x.permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"{self.factor}"


class NearestResize(nn.Module):
    """x upsampled `factor` times to the nearest pixel, cropped to the size of `like`."""

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.enlarge = NearestUpsample(factor)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        height, width = like.shape[2:]
        return self.enlarge(x)[:, :, :height, :width]


def bilinear_resize(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear interpolation to the height and width of `like`, corners aligned as in Torch7."""
    return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)
