"""Every op and step in plain NumPy: the truth for the C++ engine's tests, and a slow runtime.

Values are (N, h, w, channels) arrays; bits stay unpacked as booleans, true where negative.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.graph import (
    AddStep,
    AnyConv,
    Conv,
    ConvBinary,
    ConvTernary,
    Graph,
    Load,
    MaxPool,
    MeanStep,
    MultiplyStep,
    Op,
    PreluStep,
    QuantizeStep,
    ReluStep,
    ScaleStep,
    ShiftStep,
    SigmoidStep,
    SignStep,
    Step,
    Tensor,
)
from bihrnet.engine.model_file import ModelFile
from bihrnet.engine.packing import unpack_bits, unpack_ternary
from bihrnet.engine.validation import infer_sizes
from bihrnet.model import ModelSpec

Array = NDArray[Any]
Floats = NDArray[np.float32]

_DTYPES = {"f32": np.float32, "bits": np.bool_, "u8": np.uint8}


class ReferenceModel:
    """A `.bhr` model run by NumPy; a `HeatmapModel`. Warns that it is slow."""

    def __init__(self, model: ModelFile) -> None:
        warnings.warn(
            f"{model.spec.name} runs on the NumPy reference: seconds an image, for tests only",
            stacklevel=2,
        )
        self._model = model

    @property
    def spec(self) -> ModelSpec:
        """Input size, skeleton and defaults."""
        return self._model.spec

    def __call__(self, crops: NDArray[np.uint8]) -> Floats:
        """(N, h, w, 3) uint8 RGB -> heatmaps (N, K, h / 4, w / 4)."""
        graph = self._model.graph
        values = run_graph(graph, self._model.constants, crops)
        return np.ascontiguousarray(values[graph.output].transpose(0, 3, 1, 2))


def run_graph(
    graph: Graph, constants: Mapping[str, Array], images: NDArray[np.uint8]
) -> dict[str, Array]:
    """The values of all tensors, by name: f32 and uint8 as they are, bits as booleans.

    Args:
        graph: a graph that fits the images' size.
        constants: the file's arrays.
        images: (N, h, w, 3) uint8 RGB.
    """
    count, height, width, _ = images.shape
    sizes = infer_sizes(graph, constants, (height, width))
    tensors = {tensor.name: tensor for tensor in graph.tensors}
    values: dict[str, Array] = {
        name: np.zeros((count, *sizes[name], tensor.channels), _DTYPES[tensor.type])
        for name, tensor in tensors.items()
    }
    values[graph.input] = images
    for op in graph.ops:
        value = _producer(op, tensors, constants, values)
        for step in op.steps:
            value = _step(step, value, tensors, constants, values)
    return values


def _producer(
    op: Op,
    tensors: Mapping[str, Tensor],
    constants: Mapping[str, Array],
    values: Mapping[str, Array],
) -> Floats:
    if isinstance(op, Load):
        return upsample(values[op.input], op.upsample)
    if isinstance(op, MaxPool):
        return max_pool(values[op.input], op.kernel, op.stride, op.padding)
    sums = raw_sums(op, tensors[op.input], constants, values[op.input])
    return (sums.astype(np.float32) * constants[op.mul] + constants[op.add]).astype(np.float32)


def raw_sums(
    op: AnyConv, tensor: Tensor, constants: Mapping[str, Array], x: Array
) -> NDArray[np.float32] | NDArray[np.float64]:
    """The sums of a convolution before `mul` and `add`, (N, h, w, out).

    Sums of bits and bytes are exact integers (held as floats, wide enough for them).
    """
    weight = constants[op.weight]
    if isinstance(op, ConvBinary):
        w = 1 - 2 * unpack_bits(weight, tensor.channels).astype(np.float32)
        return convolve(1 - 2 * x.astype(np.float32), w, op.stride, op.padding)
    if isinstance(op, ConvTernary):
        w = unpack_ternary(weight, tensor.channels).astype(np.float32)
        return convolve(x - np.float32(tensor.zero_point), w, op.stride, op.padding)
    offset = tensor.zero_point if op.offset is None else constants[op.offset]
    if isinstance(op, Conv):
        return convolve(x - np.float32(offset), weight.astype(np.float32), op.stride, op.padding)
    # float64 holds sums of 2^16 products of 8 bits exactly, and BLAS is fast.
    shifted = x - np.asarray(offset, np.float64)
    return convolve(shifted, weight.astype(np.float64), op.stride, op.padding)


def convolve(x: Array, weight: Array, stride: int, padding: tuple[int, int]) -> Array:
    """Cross-correlation of (N, h, w, in) with (out, kh, kw, in), zeros outside the input."""
    _, kernel_height, kernel_width, _ = weight.shape
    (rows, columns) = padding
    padded = np.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    height = (padded.shape[1] - kernel_height) // stride + 1
    width = (padded.shape[2] - kernel_width) // stride + 1
    sums = np.zeros((len(x), height, width, len(weight)), x.dtype)
    for i in range(kernel_height):
        for j in range(kernel_width):
            tap = padded[:, i : i + stride * height : stride, j : j + stride * width : stride]
            sums += tap[:, :height, :width] @ weight[:, i, j].T
    return sums


def max_pool(x: Array, kernel: int, stride: int, padding: int) -> Array:
    """Largest values of square windows of (N, h, w, channels)."""
    around = (padding, padding)
    padded = np.pad(x, ((0, 0), around, around, (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
    return windows[:, ::stride, ::stride].max(axis=(-2, -1))


def upsample(x: Array, factor: int) -> Array:
    """Nearest up-sampling of (N, h, w, channels)."""
    return x.repeat(factor, axis=1).repeat(factor, axis=2)


def quantize(value: Floats, tensor: Tensor) -> NDArray[np.uint8]:
    """clamp(rint(v * inverse_scale) + zero_point, 0, 255), halves to even."""
    q = np.rint(value * np.float32(tensor.inverse_scale)) + tensor.zero_point
    return np.clip(q, 0, 255).astype(np.uint8)


def _step(
    step: Step,
    value: Floats,
    tensors: Mapping[str, Tensor],
    constants: Mapping[str, Array],
    values: dict[str, Array],
) -> Floats:
    if isinstance(step, AddStep):
        source = values[step.tensor]
        channels = (step.channel + np.arange(value.shape[-1])) % source.shape[-1]
        return value + upsample(source[..., channels], step.upsample)
    if isinstance(step, MultiplyStep):
        return value * values[step.tensor]
    if isinstance(step, ReluStep):
        return np.maximum(value, 0)
    if isinstance(step, PreluStep):
        return np.where(value >= 0, value, value * constants[step.slope])
    if isinstance(step, ScaleStep):
        return value * constants[step.scale]
    if isinstance(step, ShiftStep):
        return value + constants[step.shift]
    if isinstance(step, SigmoidStep):
        return sigmoid(value)
    target = values[step.tensor][..., step.channel : step.channel + value.shape[-1]]
    if isinstance(step, SignStep):
        target[...] = value < constants[step.threshold]
    elif isinstance(step, QuantizeStep):
        target[...] = quantize(value, tensors[step.tensor])
    elif isinstance(step, MeanStep):
        target[...] = value.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    else:
        target[...] = value
    return value


def sigmoid(value: Floats) -> Floats:
    """1 / (1 + exp(-v)) without overflow."""
    small = np.exp(-np.abs(value))
    return np.where(value >= 0, 1 / (1 + small), small / (1 + small)).astype(np.float32)
