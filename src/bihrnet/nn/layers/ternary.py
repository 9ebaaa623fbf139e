"""Convolutions with fixed ternary filters, and a factory of them.

Juefei-Xu et al. 2017, "Local Binary Convolutional Neural Networks" (arXiv:1608.06049), as used in
LBRN (Liu et al. 2021, doi:10.1016/j.neucom.2020.11.041, section 3.4).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Which convolutions of a block are fixed: none, those of one kernel size, or half of the filters
#: of the 3x3 convolutions.
Fixed = Literal["none", "3x3", "1x1", "half"]


class TernaryConv2d(nn.Module):
    """Convolution with fixed weights of -1, 0 and +1; no bias, no scale, padded to keep the size.

    A weight is non-zero with probability `density`, the papers' "sparsity"; both signs are equally
    likely.

    `weight`, float32 (out, in, kernel, kernel), is a non-persistent buffer: checkpoints do not hold
    it, because the seed determines it. It is drawn from the raw bits of NumPy's PCG64, whose stream
    does not change between versions, unlike the distributions of torch and NumPy.

    Args:
        in_channels: of the input (N, in_channels, h, w).
        out_channels: of the output.
        density: share of non-zero weights, 0..1.
        seed: one number or several; every layer of a network has its own.
        kernel_size: odd.
        stride: of the convolution.

    Attributes:
        nonzero: number of weights that are not zero.

    Example:
        >>> conv = TernaryConv2d(8, 16, density=0.5, seed=0)
        >>> conv.weight.unique()
        tensor([-1.,  0.,  1.])
    """

    weight: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        density: float,
        seed: int | Sequence[int],
        *,
        kernel_size: int = 3,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.density = density
        self.kernel_size, self.stride, self.padding = kernel_size, stride, kernel_size // 2
        weight = _draw_ternary((out_channels, in_channels, kernel_size, kernel_size), density, seed)
        self.register_buffer("weight", weight, persistent=False)
        self.nonzero = int(weight.count_nonzero())

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, stride=self.stride, padding=self.padding)

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, density={self.density}"
        )


def _draw_ternary(shape: Sequence[int], density: float, seed: int | Sequence[int]) -> Tensor:
    """On the CPU even where the default device is "meta": no checkpoint provides the data later."""
    bits = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(int(np.prod(shape)))
    # The upper 53 bits are a number in 0..1, the lowest bit is the sign.
    chosen = (bits >> np.uint64(11)) < np.uint64(round(density * 2**53))
    signs = np.where(bits & np.uint64(1), np.float32(-1), np.float32(1))
    return torch.from_numpy((chosen * signs).astype(np.float32).reshape(shape))


class HalfTernaryConv2d(nn.Module):
    """Convolution whose first filters are fixed and ternary and whose other filters are learned."""

    def __init__(self, fixed: TernaryConv2d, learned: nn.Conv2d) -> None:
        super().__init__()
        self.fixed, self.learned = fixed, learned

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.fixed(x), self.learned(x)], dim=1)


class Filters:
    """Factory of the convolutions in the blocks of a network, each with ternary filters of its own.

    Args:
        fixed: which convolutions are ternary.
        density: see `TernaryConv2d`.
        seed: of all ternary filters of the network.
        bias: whether learned convolutions have a bias, as in the code of the stacked hourglass.
    """

    def __init__(
        self, fixed: Fixed = "none", density: float = 0.5, seed: int = 0, *, bias: bool = True
    ) -> None:
        self._fixed, self._density, self._seed, self._bias = fixed, density, seed, bias
        self._numbers = itertools.count()

    def conv(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1
    ) -> nn.Module:
        """Convolution, padded to keep the size at stride 1."""
        arguments = (in_channels, kernel_size, stride)
        if self._fixed == f"{kernel_size}x{kernel_size}":
            return self._ternary(out_channels, *arguments)
        if self._fixed == "half" and kernel_size == 3:
            half = out_channels // 2
            return HalfTernaryConv2d(
                self._ternary(half, *arguments), self._learned(out_channels - half, *arguments)
            )
        return self._learned(out_channels, *arguments)

    def _learned(
        self, out_channels: int, in_channels: int, kernel_size: int, stride: int
    ) -> nn.Conv2d:
        padding = kernel_size // 2
        return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=self._bias)

    def _ternary(
        self, out_channels: int, in_channels: int, kernel_size: int, stride: int
    ) -> TernaryConv2d:
        seed = (self._seed, next(self._numbers))
        return TernaryConv2d(
            in_channels, out_channels, self._density, seed, kernel_size=kernel_size, stride=stride
        )
