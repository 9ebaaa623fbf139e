"""Operations of a graph, counted without torch."""

from __future__ import annotations

from bihrnet.engine.graph import ConvBinary, ConvTernary, Graph, Load, MaxPool
from bihrnet.engine.validation import Constants, infer_sizes


def count_graph(graph: Graph, constants: Constants, size: tuple[int, int]) -> tuple[int, int]:
    """Multiply-accumulates of real-valued and of binary convolutions for one image.

    Counted as `bihrnet.nn.counting` does: the taps in the padding too, all else is free, and so are
    the additions of ternary convolutions.
    """
    sizes = infer_sizes(graph, constants, size)
    channels = {tensor.name: tensor.channels for tensor in graph.tensors}
    real = binary = 0
    for op in graph.ops:
        if isinstance(op, Load | MaxPool | ConvTernary):
            continue
        out, rows, columns, _ = constants[op.weight].shape
        height, width = (
            (side + 2 * pad - taps) // op.stride + 1
            for side, pad, taps in zip(sizes[op.input], op.padding, (rows, columns), strict=True)
        )
        macs = height * width * out * rows * columns * channels[op.input]
        if isinstance(op, ConvBinary):
            binary += macs
        else:
            real += macs
    return real, binary
