"""Binary convolution and the Binary Unit, the brick of every binary network here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.binarize import Sign, SignGradient, scaled_sign
from bihrnet.nn.layers.prelu import PReLU

UnitActivation = Literal["rprelu", "prelu"]
SignInput = Literal["shift", "batchnorm"]

# A single node for torch.fx, which cannot trace through an autograd function.
torch.fx.wrap("scaled_sign")


class BinaryConv2d(nn.Conv2d):
    """Convolution of activations in {-1, +1} with weights a * {-1, +1}.

    `weight` holds the latent real-valued weights that the optimizer moves; the forward pass uses
    `scaled_sign` of them. The input is binary already (`Sign`), and zero padding follows that sign
    as in ReActNet's code: a padded position adds nothing to the sum. There is no bias.

    Latent weights start small, N(0, 0.01): the optimizer's first steps must be able to turn signs
    (measured on LSPET, they learn faster than with He's deviation). They should not be decayed.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False
        )

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, scaled_sign(self.weight), None)


def latent_parameters(model: nn.Module) -> list[Tensor]:
    """The latent weights of all binary convolutions, for their own optimizer settings."""
    return [module.weight for module in model.modules() if isinstance(module, BinaryConv2d)]


def use_real_weights(network: nn.Module) -> None:
    """Turn all binary convolutions into real-valued ones with the same weights, in place.

    Activations stay binary. This is the first stage of Bulat's reverse-order initialization; as
    names and shapes stay, the second stage starts from the weights that the first one ends with.
    """
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, BinaryConv2d):
                setattr(parent, name, _real_convolution(child))


def _real_convolution(binary: BinaryConv2d) -> nn.Conv2d:
    with torch.device("meta"):  # no time for weights that are replaced at once
        real = nn.Conv2d(
            binary.in_channels,
            binary.out_channels,
            binary.kernel_size,  # type: ignore[arg-type]
            padding=binary.padding,  # type: ignore[arg-type]
            bias=False,
        )
    real.weight = binary.weight
    return real.train(binary.training)


class Shift(nn.Module):
    """x + b with a learned b per channel, zero at first (ReActNet, Liu et al. 2020)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.type_as(x)  # under autocast the activations stay in bfloat16


class RPReLU(nn.Sequential):
    """PReLU with a learned shift before and after, all per channel (ReActNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__(Shift(channels), PReLU(channels), Shift(channels))


class ChannelShortcut(nn.Module):
    """Parameter-free path between widths of which one divides the other.

    Identity; mean over r consecutive channels where they shrink by r; each channel r times where
    they grow by r.
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
    """How the Binary Units of one network are made; a switch each for an ablation.

    Attributes:
        act: "rprelu" has ReActNet's learned shifts before the sign (RSign) and around the PReLU;
            "prelu" is the literal "BN and PReLU" of BiHRNet's text, without any shift.
        gradient: surrogate gradient of the sign of activations.
        sign_input: what signs read. "batchnorm" normalizes it, in place of the shift: sums of
            residuals grow block by block, and the surrogate gradient lets nothing through beyond
            -1..1. In the engine it costs nothing, as it becomes the sign's threshold.
    """

    act: UnitActivation = "rprelu"
    gradient: SignGradient = "approx"
    sign_input: SignInput = "shift"


class BinaryUnit(nn.Module):
    """Shift -> sign -> binary convolution -> BatchNorm (+ shortcut) -> PReLU (BiHRNet fig. 2b).

    The order is that of ReActNet's code: the shortcut is added before the activation. It starts
    from the unit's real-valued input, and the sum is divided by sqrt(2), or a stack of units
    would double the signal's variance unit by unit.

    Args:
        in_channels: of the real-valued input (N, in_channels, h, w).
        out_channels: of the real-valued output, same h and w.
        kernel_size: odd.
        style: kind of activation and of sign.
        activation: whether the unit ends with its activation.
        shortcut: whether a parameter-free path runs around the convolution.
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
        y = self.bn(self.conv(self.sign(self.shift(x))))
        if self.shortcut is not None:
            y = (y + self.shortcut(x)) * 0.5**0.5
        return self.act(y)


class DirectUnit(nn.Sequential):
    """BatchNorm -> sign -> binary convolution: a layer with no path around it.

    So BiHRNet's baseline binarizes a convolution directly (fig. 2a); with an activation behind it,
    it is the layer of Bulat et al. (2019).

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
