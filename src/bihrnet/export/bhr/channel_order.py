"""Orders of stored channels that make concatenations contiguous and shuffles free.

Input: layers. Output: for each layer the order in which the channels of its output are stored, an
array such that stored channel i is the logical channel order[i].

Layers that work channel by channel keep the order of their input, a convolution may have any order
at its input and at its output, and a concatenation stores one part after the other. So the order
behind a shuffle determines that of all values added to it, and the convolutions around permute
their weights.

A mean over groups of adjacent channels is cheap where the channels of each position in the group
are one stored range; a repetition of channels, where one copy of all channels follows the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bihrnet.export.ir import (
    AnyLayer,
    Concat,
    Convolution,
    Deconvolution,
    GroupMean,
    Image,
    Permute,
    Repeat,
)

Order = NDArray[np.intp]


class OrderConflictError(Exception):
    """Two different orders are demanded of the layer that the message names."""


def solve_orders(layers: Sequence[AnyLayer]) -> list[Order]:
    """The stored order of every layer's output; that of the image and of the last is the logical.

    Raises:
        OrderConflictError: there is none.
    """
    return _Solver(layers).solve()


class _Solver:
    """Propagates orders to all values that they determine."""

    def __init__(self, layers: Sequence[AnyLayer]) -> None:
        self.layers = layers
        self.orders: dict[int, Order] = {}
        self.readers: list[list[int]] = [[] for _ in layers]
        for index, layer in enumerate(layers):
            for source in layer.inputs:
                self.readers[source].append(index)

    def solve(self) -> list[Order]:
        """Fixed orders first, then those of layers with a preference, then all others."""
        layers = self.layers
        for end in (0, len(layers) - 1):
            self.settle(end, np.arange(layers[end].channels))
        indices = range(len(layers))
        # The order of a mean determines that of its input, so later means come first.
        for kind, ordered in ((Concat, indices), (GroupMean, indices[::-1]), (Repeat, indices)):
            for index in ordered:
                if isinstance(layers[index], kind):
                    self.settle_preferred(index)
        for index in indices:
            self.settle_preferred(index)
        return [self.orders[index] for index in range(len(layers))]

    def settle_preferred(self, index: int) -> None:
        """Give a layer the order that suits it best, unless its order is determined already."""
        layer = self.layers[index]
        if isinstance(layer, Concat):
            for part in layer.inputs:
                self.settle_preferred(part)
            starts = np.cumsum([0, *(self.layers[part].channels for part in layer.inputs)])
            orders = [self.orders[part] for part in layer.inputs]
            stored = [order + start for order, start in zip(orders, starts, strict=False)]
            self.settle(index, np.concatenate(stored))
        elif index not in self.orders and isinstance(layer, Repeat):
            self.settle_preferred(layer.inputs[0])
            copies = np.arange(layer.factor)[:, None]
            self.settle(index, (layer.factor * self.orders[layer.inputs[0]] + copies).ravel())
        elif index not in self.orders:
            self.settle(index, np.arange(layer.channels))

    def settle(self, index: int, order: Order) -> None:
        """Set an order and all orders that follow from it."""
        queue = deque([(index, order)])
        while queue:
            index, order = queue.popleft()
            if index in self.orders:
                if not np.array_equal(self.orders[index], order):
                    raise OrderConflictError(self.layers[index].name)
                continue
            self.orders[index] = order
            layer = self.layers[index]
            queue.extend((source, _input_order(layer, order)) for source in _linked(layer))
            for reader in self.readers[index]:
                if _linked(self.layers[reader]) and not isinstance(self.layers[reader], Repeat):
                    queue.append((reader, _output_order(self.layers[reader], order)))


def _linked(layer: AnyLayer) -> tuple[int, ...]:
    """Inputs whose order determines that of the layer, and the other way round."""
    free = Image | Convolution | Deconvolution | Concat
    return () if isinstance(layer, free) else layer.inputs


def _output_order(layer: AnyLayer, order: Order) -> Order:
    """The order of a layer's output, given that of its input."""
    if isinstance(layer, Permute):
        return np.argsort(layer.order)[order]
    if isinstance(layer, GroupMean):
        return _narrow_order(order, layer)
    return order


def _input_order(layer: AnyLayer, order: Order) -> Order:
    """The order of a layer's input, given that of its output."""
    if isinstance(layer, Permute):
        return np.array(layer.order)[order]
    if isinstance(layer, GroupMean):
        # Bit-reversed, so that the ranges pair up for a repetition by a power of two before.
        positions = np.array(_bit_reversed(layer.factor))[:, None]
        return (layer.factor * order + positions).ravel()
    if isinstance(layer, Repeat):
        return _narrow_order(order, layer)
    return order


def _narrow_order(order: Order, layer: GroupMean | Repeat) -> Order:
    """The order of the narrow side, which every range of the wide side's order must agree on."""
    ranges = order.reshape(layer.factor, -1) // layer.factor
    if (ranges != ranges[0]).any():
        raise OrderConflictError(layer.name)
    return ranges[0]


def _bit_reversed(count: int) -> list[int]:
    """0 to count - 1, in bit-reversed order where count is a power of two."""
    order = [0]
    while len(order) < count:
        order = [2 * number for number in order] + [2 * number + 1 for number in order]
    return order if len(order) == count else list(range(count))
