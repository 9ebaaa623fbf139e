"""A binary network as an OpenVINO graph with its `BinaryConvolution`: the peer of benchmarks.

Everything is done for OpenVINO that can be: affine layers fold into weights and thresholds, signs
are the two-level `FakeQuantize` that its CPU plugin packs to bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset11 as ops

from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.folding import sign_threshold
from bihrnet.export.ir import (
    Affine,
    AnyLayer,
    Concat,
    Convolution,
    Floats,
    GroupMean,
    Image,
    Layer,
    MaxPool,
    Mean,
    Multiply,
    Permute,
    Prelu,
    Relu,
    Repeat,
    Sigmoid,
    Sign,
    Sum,
    Upsample,
    find_sign_used_as_number,
)
from bihrnet.export.trace import trace, trace_layers
from bihrnet.nn.torch_model import TorchModel

#: Where input channels are no multiple of this, the sums of OpenVINO 2026.4 differ from torch's, so
#: these layers, few and narrow, are real-valued convolutions of -1 and +1.
CHANNELS = 8


def write_openvino(session: TorchModel, path: str | Path) -> None:
    """Write OpenVINO IR, `path` (.xml) and a .bin beside it; float32 but for the binary layers.

    Input (1, 3, h, w), normalized RGB; output (1, K, h / 4, w / 4); size of `session.spec`.

    Raises:
        BihrnetError: the network has a layer that has no counterpart here.
    """
    size = session.spec.input_size
    layers, _ = trace_layers(trace(session.module, size))
    ov.save_model(openvino_model(layers, size), path, compress_to_fp16=False)


def openvino_model(layers: Sequence[AnyLayer], size: tuple[int, int]) -> ov.Model:
    """The graph of a network's layers, the last one its output."""
    if (sign := find_sign_used_as_number(layers)) is not None:
        raise BihrnetError(
            f"layer {sign.name} is a sign whose value is used as a number; use ONNX for OpenVINO"
        )
    translation = _Translation(layers, size)
    for index, layer in enumerate(layers):
        handler = _HANDLERS.get(type(layer))
        if handler is None:
            raise BihrnetError(f"layer {layer.name} has no counterpart here; use ONNX for OpenVINO")
        translation.values.append(handler(translation, index, layer))
    return ov.Model([translation.node(len(layers) - 1)], [translation.image], "bihrnet")


class _Translation:
    """Nodes so far. A value is a node and the factor and term per channel still to be applied."""

    def __init__(self, layers: Sequence[AnyLayer], size: tuple[int, int]) -> None:
        self.layers = layers
        self.size = size
        self.image: Any = None
        self.values: list[tuple[Any, Floats, Floats]] = []
        self.flips: dict[int, NDArray[np.bool_]] = {}

    def node(self, index: int) -> Any:
        """The layer's output, all affine parts applied."""
        node, mul, add = self.values[index]
        if (mul != 1).any():
            node = ops.multiply(node, _per_channel(mul))
        if (add != 0).any():
            node = ops.add(node, _per_channel(add))
        self.values[index] = _plain(node, len(mul))
        return node

    def inputs(self, layer: Layer) -> list[Any]:
        return [self.node(source) for source in layer.inputs]

    def read_image(self, index: int, layer: Image) -> Any:
        self.image = ops.parameter([1, 3, *self.size], np.float32, "image")
        return _plain(self.image, 3)

    def convolution(self, index: int, layer: Convolution) -> Any:
        steps, pads = [layer.stride] * 2, list(layer.padding)
        window = (steps, pads, pads, [1, 1])
        if layer.kind == "binary":
            node = self.binary_convolution(layer, window)
        else:
            filters = np.ascontiguousarray(layer.weight.transpose(0, 3, 1, 2))
            node = ops.convolution(self.node(layer.inputs[0]), ops.constant(filters), *window)
        return node, layer.mul, layer.add

    def binary_convolution(self, layer: Convolution, window: tuple[list[int], ...]) -> Any:
        source = layer.inputs[0]
        if source not in self.flips:
            raise BihrnetError(f"layer {layer.name} is binary, but its input is no sign")
        weight = layer.weight.transpose(0, 3, 1, 2)
        if weight.shape[1] % CHANNELS:
            value = self.node(self.layers[source].inputs[0])
            zero, plus, minus = (ops.constant(np.float32(number)) for number in (0, 1, -1))
            signs = ops.select(ops.greater_equal(value, zero), plus, minus)
            filters = ops.constant(np.where(weight < 0, -1, 1).astype(np.float32))
            return ops.convolution(signs, filters, *window)
        positive = (weight >= 0) ^ self.flips[source][:, None, None]
        # Bits of u1 constants are stored little end first; a padding of 0 adds nothing.
        bits = ov.Tensor(ov.Type.u1, ov.Shape(positive.shape))
        bits.data[:] = np.packbits(positive.ravel(), bitorder="little")
        node, _, _ = self.values[source]
        return ops.binary_convolution(node, ov.op.Constant(bits), *window, "xnor-popcount", 0.0)

    def max_pool(self, index: int, layer: MaxPool) -> Any:
        steps, pads, window = ([n] * 2 for n in (layer.stride, layer.padding, layer.kernel))
        pooled = ops.max_pool(*self.inputs(layer), steps, [1, 1], pads, pads, window)
        return _plain(pooled.output(0), layer.channels)

    def affine(self, index: int, layer: Affine) -> Any:
        node, mul, add = self.values[layer.inputs[0]]
        return node, mul * layer.mul, add * layer.mul + layer.add

    def sign(self, index: int, layer: Sign) -> Any:
        """0 up to the threshold, 1 above; bits stand for -1 and +1."""
        node, mul, add = self.values[layer.inputs[0]]
        threshold, self.flips[index] = sign_threshold(mul, add)
        # The largest float below the threshold: not a denormal one, which the CPU takes for zero.
        limits = np.finfo(np.float32)
        below = np.where(threshold == 0, -limits.tiny, np.nextafter(threshold, np.float32(-np.inf)))
        level = _per_channel(np.clip(below, limits.min, limits.max))
        zero, one = (ops.constant(np.full((1, 1, 1, 1), bit, np.float32)) for bit in (0, 1))
        return _plain(ops.fake_quantize(node, level, level, zero, one, 2), layer.channels)

    def relu(self, index: int, layer: Relu) -> Any:
        return _plain(ops.relu(*self.inputs(layer)), layer.channels)

    def prelu(self, index: int, layer: Prelu) -> Any:
        slope = ops.constant(layer.slope.astype(np.float32))
        return _plain(ops.prelu(*self.inputs(layer), slope), layer.channels)

    def sigmoid(self, index: int, layer: Sigmoid) -> Any:
        return _plain(ops.sigmoid(*self.inputs(layer)), layer.channels)

    def sum(self, index: int, layer: Sum) -> Any:
        return _plain(ops.add(*self.inputs(layer)), layer.channels)

    def multiply(self, index: int, layer: Multiply) -> Any:
        return _plain(ops.multiply(*self.inputs(layer)), layer.channels)

    def mean(self, index: int, layer: Mean) -> Any:
        return _plain(ops.reduce_mean(*self.inputs(layer), [2, 3], True), layer.channels)

    def upsample(self, index: int, layer: Upsample) -> Any:
        node, mul, add = self.values[layer.inputs[0]]
        node = ops.interpolate(
            node,
            np.full(2, layer.factor, np.float32),
            mode="nearest",
            shape_calculation_mode="scales",
            axes=np.array([2, 3]),
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        return node, mul, add

    def concat(self, index: int, layer: Concat) -> Any:
        return _plain(ops.concat(self.inputs(layer), 1), layer.channels)

    def permute(self, index: int, layer: Permute) -> Any:
        return _plain(ops.gather(*self.inputs(layer), list(layer.order), 1), layer.channels)

    def repeat(self, index: int, layer: Repeat) -> Any:
        copies = np.arange(layer.channels) // layer.factor
        return _plain(ops.gather(*self.inputs(layer), copies, 1), layer.channels)

    def group_mean(self, index: int, layer: GroupMean) -> Any:
        (node,) = self.inputs(layer)
        height, width = list(node.output(0).get_shape())[2:]
        groups = ops.reshape(node, [1, layer.channels, layer.factor, height, width], False)
        return _plain(ops.reduce_mean(groups, [2], False), layer.channels)


def _plain(node: Any, channels: int) -> tuple[Any, Floats, Floats]:
    return node, np.ones(channels), np.zeros(channels)


def _per_channel(values: NDArray[Any]) -> Any:
    return ops.constant(values.astype(np.float32).reshape(1, -1, 1, 1))


_HANDLERS: dict[type[Layer], Callable[[_Translation, int, Any], Any]] = {
    Image: _Translation.read_image,
    Convolution: _Translation.convolution,
    MaxPool: _Translation.max_pool,
    Affine: _Translation.affine,
    Relu: _Translation.relu,
    Prelu: _Translation.prelu,
    Sigmoid: _Translation.sigmoid,
    Sign: _Translation.sign,
    Sum: _Translation.sum,
    Multiply: _Translation.multiply,
    Mean: _Translation.mean,
    Upsample: _Translation.upsample,
    Concat: _Translation.concat,
    Permute: _Translation.permute,
    Repeat: _Translation.repeat,
    GroupMean: _Translation.group_mean,
}
