"""How function and method calls of a traced network are read as layers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx

from bihrnet.export.ir import (
    Affine,
    BilinearResize,
    Concat,
    FractionalMaxPool,
    Mean,
    Multiply,
    Relu,
    Sigmoid,
    Slice,
    Sum,
)
from bihrnet.export.trace_reader import NodeReader, has_one_pixel, output_shape
from bihrnet.nn.layers.fractional_max_pool import fractional_max_pool
from bihrnet.nn.layers.upsample import bilinear_resize


def read_sum(reader: NodeReader, node: fx.Node) -> None:
    """Sum of two values, or of a value and a number."""
    first, second = reader.operands(node)
    if isinstance(second, int | float):
        add = np.full(output_shape(node)[1], float(second))
        reader.emit(node, Affine, (reader.indices[first],), mul=np.ones_like(add), add=add)
        return
    if output_shape(first) != output_shape(second):
        reader.refuse(node, "a sum of different shapes")
    reader.emit(node, Sum, (reader.indices[first], reader.indices[second]))


def read_product(reader: NodeReader, node: fx.Node) -> None:
    """Product of two values, or of a value and a number."""
    first, second = reader.operands(node)
    if isinstance(second, int | float):
        mul = np.full(output_shape(node)[1], float(second))
        reader.emit(node, Affine, (reader.indices[first],), mul=mul, add=np.zeros_like(mul))
        return
    channels_fit = output_shape(second)[1] in (output_shape(first)[1], 1)
    pixels_fit = output_shape(second)[2:] == output_shape(first)[2:] or has_one_pixel(second)
    if not channels_fit or not pixels_fit:
        reader.refuse(node, "a product of different shapes")
    reader.emit(node, Multiply, (reader.indices[first], reader.indices[second]))


def read_slice(reader: NodeReader, node: fx.Node) -> None:
    """x[:, start:stop]."""
    index = node.args[1]
    two_slices = isinstance(index, tuple) and len(index) == 2 and index[0] == slice(None)
    if not two_slices or not isinstance(index[1], slice) or index[1].step not in (None, 1):  # type: ignore[index]
        reader.refuse(node, f"the index {index}")
    start, _, _ = index[1].indices(output_shape(node.args[0])[1])  # type: ignore[index]
    reader.emit_unary(node, Slice, start=start)


def read_concatenation(reader: NodeReader, node: fx.Node) -> None:
    """torch.cat along the channels."""
    given = reader.arguments(node, "tensors", "dim")
    dimension = given.get("dim", 0)
    if dimension != 1:
        reader.refuse(node, f"a concatenation along dimension {dimension}")
    reader.emit(node, Concat, tuple(reader.indices[part] for part in given["tensors"]))


def read_mean(reader: NodeReader, node: fx.Node) -> None:
    """Mean over height and width."""
    dimensions = reader.arguments(node, "input", "dim", "keepdim").get("dim")
    if dimensions not in ([2, 3], (2, 3)):
        reader.refuse(node, f"a mean over dimensions {dimensions} instead of (2, 3)")
    reader.emit_unary(node, Mean)


def read_reshape(reader: NodeReader, node: fx.Node) -> None:
    """(N, C) to (N, C, 1, 1), which is the same value."""
    if not has_one_pixel(node) or output_shape(node)[1] != output_shape(node.args[0])[1]:
        reader.refuse(node, f"{node.target} of more than one pixel")
    reader.forward(node)


def read_fractional_max_pool(reader: NodeReader, node: fx.Node) -> None:
    """Pooling of LBRN's pyramids."""
    given = reader.arguments(node, "x", "ratio", "training")
    if given["training"]:
        reader.refuse(node, "fractional max-pooling in training mode")
    reader.emit(node, FractionalMaxPool, (reader.indices[given["x"]],), ratio=given["ratio"])


def read_bilinear_resize(reader: NodeReader, node: fx.Node) -> None:
    """Bilinear up-sampling to the size of another value, in LBRN's pyramids."""
    given = reader.arguments(node, "x", "like")
    inputs = (reader.indices[given["x"]], reader.indices[given["like"]])
    reader.emit(node, BilinearResize, inputs)


#: By function, or by name of the method.
FUNCTIONS: dict[Any, Callable[[NodeReader, fx.Node], None]] = {
    operator.add: read_sum,
    operator.mul: read_product,
    operator.getitem: read_slice,
    torch.cat: read_concatenation,
    fractional_max_pool: read_fractional_max_pool,
    bilinear_resize: read_bilinear_resize,
    "mean": read_mean,
    "relu": lambda reader, node: reader.emit_unary(node, Relu),
    "sigmoid": lambda reader, node: reader.emit_unary(node, Sigmoid),
    "unflatten": read_reshape,
}
