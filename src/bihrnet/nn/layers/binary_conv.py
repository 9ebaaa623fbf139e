"""Binary convolution: the only layer whose weights are one bit each."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.binarize import scaled_sign

# A single node for torch.fx, which cannot trace through an autograd function.
torch.fx.wrap("scaled_sign")


class BinaryConv2d(nn.Conv2d):
    """Convolution of activations in {-1, +1} with weights a * {-1, +1}.

    `weight` holds the latent real-valued weights that the optimizer updates; the forward pass uses
    `scaled_sign` of them. The input is already binary (`Sign`), and zero padding comes after that
    sign as in ReActNet's code: a padded position adds nothing to the sum. There is no bias. Height
    and width stay.

    Latent weights start small, N(0, 0.01), so that early steps can flip signs (on LSPET they learn
    faster than with He's deviation). They should not be decayed.

    Example:
        >>> conv = nn.Sequential(Sign(), BinaryConv2d(64, 32, 3))
        >>> conv(torch.randn(1, 64, 8, 8)).shape
        torch.Size([1, 32, 8, 8])
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
    """The latent weights of all binary convolutions, for optimizer settings of their own."""
    return [module.weight for module in model.modules() if isinstance(module, BinaryConv2d)]


def use_real_weights(network: nn.Module) -> None:
    """Replace all binary convolutions by real-valued ones with the same weights, in place.

    Activations stay binary. This is the first stage of reverse-order initialization (Bulat et al.
    2019, section 3.3). Names and shapes stay, so the second stage can load its weights.
    """
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, BinaryConv2d):
                setattr(parent, name, _real_convolution(child))


def _real_convolution(binary: BinaryConv2d) -> nn.Conv2d:
    with torch.device("meta"):  # its weights are replaced at once
        real = nn.Conv2d(
            binary.in_channels,
            binary.out_channels,
            binary.kernel_size,  # type: ignore[arg-type]
            padding=binary.padding,  # type: ignore[arg-type]
            bias=False,
        )
    real.weight = binary.weight
    return real.train(binary.training)
