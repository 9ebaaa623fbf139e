"""Operations of a graph, counted without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bihrnet.engine.graph import Conv, ConvBinary, ConvInt8, Graph
from bihrnet.engine.validation import Constants, infer_sizes


@dataclass(frozen=True)
class ConvolutionCount:
    """Multiply-accumulates of one convolution for one image.

    Attributes:
        name: of the op.
        arithmetic: what it multiplies.
        macs: the taps in the padding are counted too.
    """

    name: str
    arithmetic: Literal["fp32", "int8", "binary"]
    macs: int


def count_convolutions(
    graph: Graph, constants: Constants, size: tuple[int, int]
) -> list[ConvolutionCount]:
    """Every convolution that multiplies, in order; those of ternary weights only add."""
    sizes = infer_sizes(graph, constants, size)
    channels = {tensor.name: tensor.channels for tensor in graph.tensors}
    counts = []
    for op in graph.ops:
        if not isinstance(op, Conv | ConvInt8 | ConvBinary):
            continue
        out, rows, columns, _ = constants[op.weight].shape
        height, width = (
            (side + 2 * pad - taps) // op.stride + 1
            for side, pad, taps in zip(sizes[op.input], op.padding, (rows, columns), strict=True)
        )
        macs = height * width * out * rows * columns * channels[op.input]
        arithmetic = _ARITHMETIC[type(op)]
        counts.append(ConvolutionCount(op.name, arithmetic, macs))
    return counts


_ARITHMETIC: dict[type, Literal["fp32", "int8", "binary"]] = {
    Conv: "fp32",
    ConvInt8: "int8",
    ConvBinary: "binary",
}


def count_graph(graph: Graph, constants: Constants, size: tuple[int, int]) -> tuple[int, int]:
    """Multiply-accumulates of real-valued and of binary convolutions for one image.

    Counted as `bihrnet.nn.counting` does: all but convolutions is free.
    """
    counts = count_convolutions(graph, constants, size)
    binary = sum(count.macs for count in counts if count.arithmetic == "binary")
    return sum(count.macs for count in counts) - binary, binary
