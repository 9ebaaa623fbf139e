"""Fresh weights: as HRNet's and SimpleBaseline's code draw them, and as He et al. (2015)."""

from __future__ import annotations

from torch import nn

from bihrnet.nn.layers.binary import BinaryConv2d


def initialize(model: nn.Module) -> None:
    """Draw real-valued convolutions from N(0, 0.001), biases 0; leave all other layers alone.

    BatchNorm starts as the identity, linear layers and latent binary weights as they drew
    themselves.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d) and not isinstance(
            module, BinaryConv2d
        ):
            nn.init.normal_(module.weight, std=0.001)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def initialize_he(model: nn.Module) -> None:
    """Draw convolutions as He et al. (2015) from their number of outputs, biases 0.

    So start the backbones that were made for classification on phones.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
