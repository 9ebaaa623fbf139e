"""Operations of a graph, counted without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bihrnet.engine.graph import AnyConv, Conv, ConvBinary, ConvInt8, ConvTernary, Graph
from bihrnet.engine.packing import unpack_bits
from bihrnet.engine.validation import Constants, Size, infer_sizes


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
        pixels = _pixels(op, (rows, columns), sizes[op.input])
        macs = pixels * out * rows * columns * channels[op.input]
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

    Counted as the graph runs: all but convolutions is free. That is what `bihrnet.nn.counting`
    finds, but for shortcuts without parameters that export could only write as 1x1 convolutions
    (`bihrnet.export.bhr.channel_shortcuts`): they are free there and multiply here.
    """
    counts = count_convolutions(graph, constants, size)
    binary = sum(count.macs for count in counts if count.arithmetic == "binary")
    return sum(count.macs for count in counts) - binary, binary


def count_ternary_adds(graph: Graph, constants: Constants, size: tuple[int, int]) -> int:
    """Additions and subtractions of ternary convolutions for one image.

    One for each weight that is not zero and output pixel, as `bihrnet.nn.counting` has them.
    """
    sizes = infer_sizes(graph, constants, size)
    adds = 0
    for op in graph.ops:
        if isinstance(op, ConvTernary):
            weight = constants[op.weight]
            nonzero = int(np.count_nonzero(unpack_bits(weight, 64 * weight.shape[-1])))
            adds += nonzero * _pixels(op, weight.shape[2:4], sizes[op.input])
    return adds


def _pixels(op: AnyConv, kernel: tuple[int, ...], size: Size) -> int:
    """Pixels of the output of a convolution of an input of that (height, width)."""
    height, width = (
        (side + 2 * pad - taps) // op.stride + 1
        for side, pad, taps in zip(size, op.padding, kernel, strict=True)
    )
    return height * width
