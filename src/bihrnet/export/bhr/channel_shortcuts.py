"""Parameter-free shortcuts between widths: additions of channel ranges, or 1x1 convolutions.

Input: layers with `GroupMean` and `Repeat`. Output: the layers in which those that cannot be
additions have become convolutions, and the stored order of every layer's channels.

A shortcut that is only ever added to another value costs no pass of its own if the channels are
stored in a suitable order (see `channel_order`). That holds for the shortcuts of BiHRNet's
transitions and bottlenecks. The shuffle of an MS-Block demands other orders, so where Binary Units
inside MS-Blocks have shortcuts (`unit_shortcut: all`), those become 1x1 convolutions with the fixed
weights 1 / r or 1.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.channel_order import Order, OrderConflictError, solve_orders
from bihrnet.export.ir import AnyLayer, Convolution, GroupMean, Repeat, Sum


def arrange_channels(layers: Sequence[AnyLayer]) -> tuple[list[AnyLayer], list[Order]]:
    """The layers, with as few shortcuts as convolutions as is found, and their channel orders.

    Raises:
        BihrnetError: there is no order of channels that suits all layers.
    """
    shortcuts = {i for i, layer in enumerate(layers) if isinstance(layer, GroupMean | Repeat)}
    additions = {index for index in shortcuts if _is_only_added(layers, index)}
    dense = shortcuts - additions
    if not _has_orders(layers, dense):
        dense = set(shortcuts)
        for index in sorted(additions):
            if _has_orders(layers, dense - {index}):
                dense.remove(index)
    arranged = _with_convolutions(layers, dense)
    try:
        return arranged, solve_orders(arranged)
    except OrderConflictError as conflict:
        raise BihrnetError(
            f"layer {conflict} mixes channels that are shuffled in two ways, which the engine "
            "cannot run; export the network to .onnx instead"
        ) from conflict


def _has_orders(layers: Sequence[AnyLayer], dense: Collection[int]) -> bool:
    try:
        solve_orders(_with_convolutions(layers, dense))
    except OrderConflictError:
        return False
    return True


def _is_only_added(layers: Sequence[AnyLayer], index: int) -> bool:
    """Whether all readers of a shortcut add it to something that is not a shortcut itself."""
    readers = [layer for layer in layers if index in layer.inputs]
    others = [layers[source] for reader in readers for source in reader.inputs if source != index]
    added = all(isinstance(reader, Sum) and reader.inputs.count(index) == 1 for reader in readers)
    return added and not any(isinstance(other, GroupMean | Repeat) for other in others)


def _with_convolutions(layers: Sequence[AnyLayer], dense: Collection[int]) -> list[AnyLayer]:
    return [
        _as_convolution(layer, layers[layer.inputs[0]].channels)
        if index in dense and isinstance(layer, GroupMean | Repeat)
        else layer
        for index, layer in enumerate(layers)
    ]


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
