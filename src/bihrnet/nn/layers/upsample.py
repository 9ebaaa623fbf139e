"""Enlarging to the nearest pixel."""

from __future__ import annotations

from torch import Tensor, nn


class NearestUpsample(nn.Module):
    """(N, C, h, w) -> (N, C, factor * h, factor * w), every pixel repeated.

    The values are those of `nn.Upsample`. That module's gradient is scattered into zeros, and
    torch.compile of 2.13 has kernels read that buffer before it is filled: with bfloat16, paths of
    HRNet's fusion then get a gradient of exactly 0. The gradient of a repetition is a plain sum.
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
