"""The Binary Unit of BiHRNet, and the plain binary layer of its baseline and of Bulat et al."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bihrnet.nn.layers import fused
from bihrnet.nn.layers.binarize import Sign, SignGradient
from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.prelu import PReLU

UnitActivation = Literal["rprelu", "prelu"]
SignInput = Literal["shift", "batchnorm"]

#: Of the sum of a unit and its shortcut.
_SHORTCUT_FACTOR = 0.5**0.5


class Shift(nn.Module):
    """x + b with a learned b per channel, initially zero (ReActNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.type_as(x)  # under autocast the activations stay in bfloat16


class RPReLU(nn.Sequential):
    """PReLU with a learned shift before and after, all per channel.

    Liu et al. 2020, "ReActNet: Towards Precise Binary Neural Network with Generalized Activation
    Functions" (arXiv:2003.03488).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(Shift(channels), PReLU(channels), Shift(channels))


class ChannelShortcut(nn.Module):
    """Parameter-free path between numbers of channels of which one divides the other.

    Identity if they are equal; the mean over r consecutive channels where they shrink by a factor
    of r; each channel repeated r times where they grow by a factor of r.

    Raises:
        ValueError: neither number divides the other.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        if in_channels % out_channels and out_channels % in_channels:
            raise ValueError(
                f"no parameter-free path from {in_channels} to {out_channels} channels"
            )
        self.in_channels, self.out_channels = in_channels, out_channels

    def forward(self, x: Tensor) -> Tensor:
        if self.in_channels == self.out_channels:
            return x
        x = x.permute(0, 2, 3, 1)  # channels last: fast where the memory is laid out so
        if self.in_channels > self.out_channels:
            x = x.unflatten(-1, (self.out_channels, -1)).mean(-1)
        else:
            x = x.repeat_interleave(self.out_channels // self.in_channels, dim=-1)
        return x.permute(0, 3, 1, 2)

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.out_channels}"


@dataclass(frozen=True)
class UnitStyle:
    """Options of the Binary Units of a network, each for an ablation.

    Attributes:
        act: "rprelu" has ReActNet's learned shifts before the sign (RSign) and around the PReLU;
            "prelu" is BatchNorm and PReLU as in BiHRNet's text, without any shift.
        gradient: surrogate gradient of the sign of activations.
        sign_input: layer before the sign. "batchnorm" replaces the shift: sums of residuals grow
            block by block, and the surrogate gradient is zero outside -1..1. In the engine it is
            free, as it becomes the sign's threshold.
    """

    act: UnitActivation = "rprelu"
    gradient: SignGradient = "approx"
    sign_input: SignInput = "shift"


class BinaryUnit(nn.Module):
    """Shift -> sign -> binary convolution -> BatchNorm (+ shortcut) -> PReLU.

    Section 3.3.1 and figure 2(b) of BiHRNet. The order is that of ReActNet's code: the shortcut is
    added before the activation. It starts at the real-valued input of the unit, and the sum is
    divided by sqrt(2); otherwise every unit would double the variance of the signal.

    Args:
        in_channels: of the real-valued input (N, in_channels, h, w).
        out_channels: of the real-valued output, same h and w.
        kernel_size: odd.
        style: kind of activation and of sign.
        activation: whether the unit ends with its activation.
        shortcut: whether a parameter-free path bypasses the convolution.

    Example:
        >>> unit = BinaryUnit(64, 32, 3, UnitStyle(gradient="ste"), shortcut=True)
        >>> unit(torch.randn(2, 64, 8, 8)).shape
        torch.Size([2, 32, 8, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style: UnitStyle,
        *,
        activation: bool = True,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        shifted = style.act == "rprelu"
        self.shift: nn.Module = Shift(in_channels) if shifted else nn.Identity()
        if style.sign_input == "batchnorm":
            self.shift = nn.BatchNorm2d(in_channels)
        self.sign = Sign(style.gradient)
        self.conv = BinaryConv2d(in_channels, out_channels, kernel_size)
        self.bn = nn.BatchNorm2d(out_channels)
        self.shortcut = ChannelShortcut(in_channels, out_channels) if shortcut else None
        self.act: nn.Module = nn.Identity()
        if activation:
            self.act = RPReLU(out_channels) if shifted else PReLU(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self._signs(x))
        residual = None if self.shortcut is None else self.shortcut(x)
        if self.training and fused.applies_to(y) and fused.normalizes_plainly(self.bn):
            return self._activated(y, residual)
        y = self.bn(y)
        if residual is not None:
            y = (y + residual) * _SHORTCUT_FACTOR
        return self.act(y)

    def _signs(self, x: Tensor) -> Tensor:
        if (
            self.training
            and self.sign.smoothing is None
            and isinstance(self.shift, Shift)
            and fused.applies_to(x)
        ):
            approx = self.sign.gradient == "approx"
            return fused.shifted_sign(x, self.shift.bias, approx=approx)
        return self.sign(self.shift(x))

    def _activated(self, y: Tensor, residual: Tensor | None) -> Tensor:
        """What follows the convolution, in one function."""
        before: Tensor | None = None
        slope: Tensor | None = None
        after: Tensor | None = None
        if isinstance(self.act, RPReLU):
            before, slope, after = self.act.parameters()
        elif isinstance(self.act, PReLU):
            slope = self.act.weight
        if residual is not None:
            residual = residual.contiguous(memory_format=torch.channels_last)
        return fused.normalized_prelu(
            y,
            self.bn,
            before=before,
            slope=slope,
            after=after,
            residual=residual,
            factor=1.0 if residual is None else _SHORTCUT_FACTOR,
        )


class DirectUnit(nn.Sequential):
    """BatchNorm -> sign -> binary convolution, without a shortcut.

    The directly binarized convolution of BiHRNet's baseline (figure 2(a)); followed by an
    activation, the layer of Bulat et al. (2019).

    Args:
        in_channels: of the real-valued input (N, in_channels, h, w).
        out_channels: of the real-valued output, same h and w.
        kernel_size: odd.
        gradient: surrogate gradient of the sign.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, gradient: SignGradient
    ) -> None:
        super().__init__(
            nn.BatchNorm2d(in_channels),
            Sign(gradient),
            BinaryConv2d(in_channels, out_channels, kernel_size),
        )
