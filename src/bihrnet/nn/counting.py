"""Parameters and operations of a network, counted layer by layer on shapes only."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bihrnet.nn.layers.binary_conv import BinaryConv2d
from bihrnet.nn.layers.dynamic_conv import AggregatedConv2d
from bihrnet.nn.layers.ternary import TernaryConv2d

_LEARNED_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, AggregatedConv2d)


@dataclass(frozen=True)
class Counts:
    """Plain counts for one image. A MAC is one multiply-accumulate.

    Attributes:
        params: all learned parameters, including those of normalization and activations.
        real_macs: of real-valued convolutions, transposed convolutions and linear layers.
        binary_macs: of binary convolutions.
        binary_weights: weights of binary convolutions, one bit each when deployed.
        real_weights: weights and biases of the layers of `real_macs`.
        ternary_adds: additions and subtractions of fixed ternary filters, one for each non-zero
            weight and output pixel. As in LBRN's tables, they are not MACs and not part of any
            other count, and the weights, which follow from a seed, are not parameters.
    """

    params: int
    real_macs: int
    binary_macs: int
    binary_weights: int
    real_weights: int
    ternary_adds: int

    @property
    def ops(self) -> float:
        """BOPs / 64 + FLOPs, the measure of Bi-Real Net, also used in BiHRNet's tables."""
        return self.binary_macs / 64 + self.real_macs


def count(model: nn.Module, size: tuple[int, int]) -> Counts:
    """Count a network at an input of `size` (height, width), without computing anything.

    Normalization, activations, resizing and additions are free, as in the papers' tools. A
    transposed convolution costs one MAC per weight and input pixel; HRNet's summary tool uses the
    output pixels, four times as many. A dynamic convolution counts as one
    convolution, and mixing its kernels is free, as in Dite-HRNet's tables.
    """
    binary_macs = real_macs = ternary_adds = 0

    def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal binary_macs, real_macs, ternary_adds
        if isinstance(layer, TernaryConv2d):
            ternary_adds += output[:, 0].numel() * layer.nonzero
        elif isinstance(layer, BinaryConv2d):
            binary_macs += _macs(layer, inputs[0], output)
        else:
            real_macs += _macs(layer, inputs[0], output)

    # A copy, so that the model of the caller keeps its mode, hooks and device.
    shapes = copy.deepcopy(model).to("meta").eval()
    counted = (*_LEARNED_LAYERS, TernaryConv2d)
    layers = [layer for layer in shapes.modules() if isinstance(layer, counted)]
    for layer in layers:
        layer.register_forward_hook(record)
    shapes(torch.empty(1, 3, *size, device="meta"))

    return Counts(
        params=sum(parameter.numel() for parameter in model.parameters()),
        real_macs=real_macs,
        binary_macs=binary_macs,
        binary_weights=_weights(layers, binary=True),
        real_weights=_weights(layers, binary=False),
        ternary_adds=ternary_adds,
    )


def _macs(layer: nn.Module, x: Tensor, y: Tensor) -> int:
    if isinstance(layer, nn.ConvTranspose2d):
        return x[:, 0].numel() * layer.weight.numel()
    if isinstance(layer, nn.Conv2d):
        return y[:, 0].numel() * layer.weight.numel()
    if isinstance(layer, AggregatedConv2d):
        return y[:, 0].numel() * layer.weight.numel() // layer.kernels
    assert isinstance(layer, nn.Linear)
    return y.numel() * layer.in_features


def _weights(layers: Sequence[nn.Module], *, binary: bool) -> int:
    return sum(
        parameter.numel()
        for layer in layers
        if isinstance(layer, BinaryConv2d) == binary
        for parameter in layer.parameters()
    )
