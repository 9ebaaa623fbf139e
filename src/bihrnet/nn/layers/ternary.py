"""Fixed ternary filters, and the residual block of LBRN (Liu et al. 2021) that is made of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Which convolutions of a block are fixed: none, those of one kernel size, or half of the 3x3
#: filters.
Fixed = Literal["none", "3x3", "1x1", "half"]
Activation = Literal["relu", "sigmoid"]


class TernaryConv2d(nn.Module):
    """Convolution with fixed weights of -1, 0 and +1; no bias, no scale, padded to keep the size.

    Local binary convolution (Juefei-Xu et al. 2017): a weight is non-zero with probability
    `density`, the paper's "sparsity"; both signs are equally likely.

    `weight`, float32 (out, in, kernel, kernel), is a buffer that is part of no checkpoint: it
    follows from the seed. It is made from the raw bits of NumPy's PCG64, whose stream, unlike that
    of torch's or NumPy's distributions, does not change between versions.

    Args:
        in_channels: of the input (N, in_channels, h, w).
        out_channels: of the output.
        density: share of non-zero weights, 0..1.
        seed: one number or several; each layer of a network has its own.
        kernel_size: odd.
        stride: of the output's pixels.

    Attributes:
        nonzero: number of weights that are not zero.
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
    """Real data even where the default device is "meta": no checkpoint would fill it later."""
    bits = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(int(np.prod(shape)))
    # The upper 53 bits are a number in 0..1, the lowest is the sign.
    chosen = (bits >> np.uint64(11)) < np.uint64(round(density * 2**53))
    signs = np.where(bits & np.uint64(1), np.float32(-1), np.float32(1))
    return torch.from_numpy((chosen * signs).astype(np.float32).reshape(shape))


class HalfTernaryConv2d(nn.Module):
    """Convolution of which the first half of the filters is fixed and ternary, the rest learned."""

    def __init__(self, fixed: TernaryConv2d, learned: nn.Conv2d) -> None:
        super().__init__()
        self.fixed, self.learned = fixed, learned

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.fixed(x), self.learned(x)], dim=1)


class Filters:
    """Makes the convolutions of one network's blocks, each with ternary filters of its own.

    Args:
        fixed: which of them are ternary.
        density: see `TernaryConv2d`.
        seed: of the network's ternary filters.
        bias: whether learned convolutions have one, as in the stacked hourglass's code.
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


def residual_body(
    widths: Sequence[int],
    kernels: Sequence[int],
    filters: Filters,
    activation: Activation = "relu",
    *,
    stride: int = 1,
) -> nn.Sequential:
    """(BatchNorm, activation, convolution) in a row: a residual branch with pre-activation.

    Args:
        widths: channels of the input and behind every convolution.
        kernels: kernel sizes of the convolutions; the stride sits at those of size 3.
        filters: makes the convolutions.
        activation: in front of each convolution.
        stride: of the output's pixels.
    """
    layers: list[nn.Module] = []
    for kernel, inputs, outputs in zip(kernels, widths[:-1], widths[1:], strict=True):
        layers += pre_activation(inputs, activation)
        layers.append(filters.conv(inputs, outputs, kernel, stride if kernel == 3 else 1))
    return nn.Sequential(*layers)


def pre_activation(channels: int, activation: Activation = "relu") -> list[nn.Module]:
    """BatchNorm and activation in front of a convolution."""
    act = nn.Sigmoid() if activation == "sigmoid" else nn.ReLU(inplace=True)
    return [nn.BatchNorm2d(channels), act]


class ResidualBlock(nn.Module):
    """y = shortcut(x) + body(x).

    Of three convolutions, 1x1 (c -> c/2), 3x3 and 1x1 (c/2 -> c), the body is the bottleneck of the
    stacked hourglass; with fixed ternary 3x3 filters it is the local binary residual block, LBB.
    """

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.body(x)
