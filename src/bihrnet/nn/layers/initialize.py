"""Weight initialization: as in the code of HRNet and SimpleBaseline, and after He et al. (2015)."""

from __future__ import annotations

from torch import nn

from bihrnet.nn.layers.binary_conv import BinaryConv2d


def initialize(model: nn.Module) -> None:
    """Draw real-valued convolutions from N(0, 0.001), biases 0; leave all other layers alone.

    BatchNorm starts as the identity; linear layers and latent binary weights keep their own
    initialization.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(
            module, BinaryConv2d
        ):
            nn.init.normal_(module.weight, std=0.001)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialize_he(model: nn.Module) -> None:
    """Draw convolutions as He et al. (2015) do by their fan-out, biases 0.

    He et al. 2015, "Delving Deep into Rectifiers" (arXiv:1502.01852). The initialization of the
    mobile classification backbones.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
