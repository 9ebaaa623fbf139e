"""The gate of Dite-HRNet: squeeze-and-excitation's, with BatchNorm inside."""

from __future__ import annotations

from torch import nn

from bihrnet.nn.layers.conv_bn import conv_bn


def channel_gate(in_channels: int, hidden: int, out_channels: int) -> nn.Sequential:
    """(N, in_channels, 1, 1) -> (N, out_channels, 1, 1) in 0..1, by two 1x1 convolutions."""
    return nn.Sequential(
        *conv_bn(in_channels, hidden, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(hidden, out_channels, 1),
        nn.Sigmoid(),
    )
