"""Channel orders that make concatenations contiguous, and shuffles and plain shortcuts cheap.

The stored order of a value is an array: stored channel i is the logical channel order[i]. Layers
that work channel by channel keep it, a convolution may have any at its input and at its output, and
a concatenation stores one part after the other. So the order behind a shuffle settles the order of
all that is added to it, and convolutions on the border permute their weights.

A mean over neighboring channels wants each neighbor's channels as one range, a repetition wants
one copy of all channels after the other. Where the rest of the network leaves no such order, they
become 1x1 convolutions with fixed weights.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError
from bihrnet.export.ir import (
    AnyLayer,
    Concat,
    Convolution,
    Deconvolution,
    GroupMean,
    Image,
    Permute,
    Repeat,
    Sum,
)

Order = NDArray[np.intp]


class _ConflictError(Exception):
    """Two orders meet at a layer."""


def arrange(layers: Sequence[AnyLayer]) -> tuple[list[AnyLayer], list[Order]]:
    """The layers, some shortcuts as convolutions, and the stored order of every layer's output.

    That of the image and of the last layer is the logical order.

    Raises:
        BihrnetError: two orders meet that no arrangement of weights reconciles.
    """
    shortcuts = [i for i, layer in enumerate(layers) if isinstance(layer, GroupMean | Repeat)]
    cheap = [index for index in shortcuts if _is_summand(layers, index)]
    try:
        return _solve(layers, set(shortcuts) - set(cheap))
    except _ConflictError:
        dense = set(shortcuts)
    for index in cheap:
        if _has_solution(layers, dense - {index}):
            dense.remove(index)
    try:
        return _solve(layers, dense)
    except _ConflictError as conflict:
        raise BihrnetError(
            f"layer {conflict} mixes channels that are shuffled in two ways, which the engine "
            "cannot; export the network to .onnx instead"
        ) from conflict


def _has_solution(layers: Sequence[AnyLayer], dense: set[int]) -> bool:
    try:
        _solve(layers, dense)
    except _ConflictError:
        return False
    return True


def _is_summand(layers: Sequence[AnyLayer], index: int) -> bool:
    """Whether a layer is only ever added to something else, which is no shortcut itself."""
    users = [layer for layer in layers if index in layer.inputs]
    others = [layers[source] for user in users for source in user.inputs if source != index]
    added_once = all(isinstance(user, Sum) and user.inputs.count(index) == 1 for user in users)
    return added_once and not any(isinstance(other, GroupMean | Repeat) for other in others)


def _solve(layers: Sequence[AnyLayer], dense: set[int]) -> tuple[list[AnyLayer], list[Order]]:
    arranged = [
        _as_convolution(layer, layers[layer.inputs[0]].channels)
        if index in dense and isinstance(layer, GroupMean | Repeat)
        else layer
        for index, layer in enumerate(layers)
    ]
    return arranged, _Solver(arranged).solve()


def _as_convolution(layer: GroupMean | Repeat, inputs: int) -> Convolution:
    if isinstance(layer, Repeat):
        matrix = np.eye(inputs).repeat(layer.factor, axis=0)
    else:
        matrix = np.eye(layer.channels).repeat(layer.factor, axis=1) / layer.factor
    return Convolution(
        name=layer.name,
        inputs=layer.inputs,
        channels=layer.channels,
        weight=matrix.astype(np.float32)[:, None, None],
        mul=np.ones(layer.channels),
        add=np.zeros(layer.channels),
        stride=1,
        padding=(0, 0),
    )


class _Solver:
    """Spreads settled orders to all values that they determine."""

    def __init__(self, layers: Sequence[AnyLayer]) -> None:
        self.layers = layers
        self.orders: dict[int, Order] = {}
        self.users: list[list[int]] = [[] for _ in layers]
        for index, layer in enumerate(layers):
            for source in layer.inputs:
                self.users[source].append(index)

    def solve(self) -> list[Order]:
        """Forced orders first, then those with a wish, then the logical one for all others."""
        layers = self.layers
        for end in (0, len(layers) - 1):
            self.settle(end, np.arange(layers[end].channels))
        indices = range(len(layers))
        # The order of a mean settles that of its input, so later means come first.
        for kind, ordered in ((Concat, indices), (GroupMean, indices[::-1]), (Repeat, indices)):
            for index in ordered:
                if isinstance(layers[index], kind):
                    self.settle_default(index)
        for index in indices:
            self.settle_default(index)
        return [self.orders[index] for index in range(len(layers))]

    def settle_default(self, index: int) -> None:
        layer = self.layers[index]
        if isinstance(layer, Concat):
            for part in layer.inputs:
                self.settle_default(part)
            starts = np.cumsum([0, *(self.layers[part].channels for part in layer.inputs)])
            orders = [self.orders[part] for part in layer.inputs]
            stored = [order + start for order, start in zip(orders, starts, strict=False)]
            self.settle(index, np.concatenate(stored))
        elif index not in self.orders and isinstance(layer, Repeat):
            self.settle_default(layer.inputs[0])
            copies = np.arange(layer.factor)[:, None]
            self.settle(index, (layer.factor * self.orders[layer.inputs[0]] + copies).ravel())
        elif index not in self.orders:
            self.settle(index, np.arange(layer.channels))

    def settle(self, index: int, order: Order) -> None:
        """Set an order and all that follows from it."""
        queue = deque([(index, order)])
        while queue:
            index, order = queue.popleft()
            if index in self.orders:
                if not np.array_equal(self.orders[index], order):
                    raise _ConflictError(self.layers[index].name)
                continue
            self.orders[index] = order
            layer = self.layers[index]
            queue.extend((source, self.backward(layer, order)) for source in _linked(layer))
            for user in self.users[index]:
                if _linked(self.layers[user]) and not isinstance(self.layers[user], Repeat):
                    queue.append((user, self.forward(self.layers[user], order)))

    def forward(self, layer: AnyLayer, order: Order) -> Order:
        """A layer's order from its input's."""
        if isinstance(layer, Permute):
            return np.argsort(layer.order)[order]
        if isinstance(layer, GroupMean):
            return _common(order, layer)
        return order

    def backward(self, layer: AnyLayer, order: Order) -> Order:
        """The order of a layer's input from its own."""
        if isinstance(layer, Permute):
            return np.array(layer.order)[order]
        if isinstance(layer, GroupMean):
            # Bit-reversed, so that the ranges pair up for a repetition by a power of two before.
            neighbors = np.array(_bit_reversed(layer.factor))[:, None]
            return (layer.factor * order + neighbors).ravel()
        if isinstance(layer, Repeat):
            return _common(order, layer)
        return order


def _linked(layer: AnyLayer) -> tuple[int, ...]:
    """Inputs whose order determines the layer's and the other way round."""
    free = Image | Convolution | Deconvolution | Concat
    return () if isinstance(layer, free) else layer.inputs


def _common(order: Order, layer: GroupMean | Repeat) -> Order:
    """The order of the narrow side, if every range of the wide side's order agrees on it."""
    ranges = order.reshape(layer.factor, -1) // layer.factor
    if (ranges != ranges[0]).any():
        raise _ConflictError(layer.name)
    return ranges[0]


def _bit_reversed(count: int) -> list[int]:
    """0 to count - 1 in bit-reversed order where count is a power of two."""
    order = [0]
    while len(order) < count:
        order = [2 * number for number in order] + [2 * number + 1 for number in order]
    return order if len(order) == count else list(range(count))
