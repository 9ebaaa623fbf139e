"""A binary network as an OpenVINO graph with its `BinaryConvolution`, to compare the engine with.

The graph is as fast as OpenVINO allows: affine layers fold into weights and thresholds, and signs
are the `FakeQuantize` of two levels that its CPU plugin packs into bits.
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

#: OpenVINO 2026.4 computes wrong sums where the input channels are not a multiple of this. Such
#: layers, few and narrow, become real-valued convolutions of -1 and +1.
CHANNEL_MULTIPLE = 8


def write_openvino(model: TorchModel, path: str | Path) -> None:
    """Write OpenVINO's IR, `path` (.xml) and a .bin beside it; real-valued layers are float32.

    The input is normalized RGB (1, 3, h, w) of the size of `model.spec`, the output heatmaps
    (1, K, h/4, w/4).

    Raises:
        BihrnetError: a layer is not supported.
    """
    size = model.spec.input_size
    layers, _ = trace_layers(trace(model.module, size))
    ov.save_model(openvino_model(layers, size), path, compress_to_fp16=False)


def openvino_model(layers: Sequence[AnyLayer], size: tuple[int, int]) -> ov.Model:
    """The graph of a network for images of one (height, width); the last layer is the output.

    Raises:
        BihrnetError: a layer is not supported.
    """
    if (sign := find_sign_used_as_number(layers)) is not None:
        raise BihrnetError(
            f"layer {sign.name} is a sign whose value is used as a number; export the network "
            "to ONNX for OpenVINO"
        )
    writer = _GraphWriter(layers, size)
    for index, layer in enumerate(layers):
        write = _LAYERS.get(type(layer))
        if write is None:
            raise BihrnetError(
                f"layer {layer.name} is not supported; export the network to ONNX for OpenVINO"
            )
        writer.values.append(write(writer, index, layer))
    return ov.Model([writer.node(len(layers) - 1)], [writer.image], "bihrnet")


class _GraphWriter:
    """The graph so far.

    Attributes:
        values: of the layers so far: a node, and the factor and the term per channel still pending.
        flips: for each sign layer, the channels whose bits are negated.
    """

    def __init__(self, layers: Sequence[AnyLayer], size: tuple[int, int]) -> None:
        self.layers = layers
        self.size = size
        self.image: Any = None
        self.values: list[tuple[Any, Floats, Floats]] = []
        self.flips: dict[int, NDArray[np.bool_]] = {}

    def node(self, index: int) -> Any:
        """The node of a layer's output, with nothing pending."""
        node, mul, add = self.values[index]
        if (mul != 1).any():
            node = ops.multiply(node, _per_channel(mul))
        if (add != 0).any():
            node = ops.add(node, _per_channel(add))
        self.values[index] = _computed(node, len(mul))
        return node

    def inputs(self, layer: Layer) -> list[Any]:
        return [self.node(source) for source in layer.inputs]

    def read_image(self, index: int, layer: Image) -> Any:
        self.image = ops.parameter([1, 3, *self.size], np.float32, "image")
        return _computed(self.image, 3)

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
            raise BihrnetError(f"layer {layer.name} is binary, but its input is not a sign")
        weight = layer.weight.transpose(0, 3, 1, 2)
        if weight.shape[1] % CHANNEL_MULTIPLE:
            value = self.node(self.layers[source].inputs[0])
            zero, plus, minus = (ops.constant(np.float32(number)) for number in (0, 1, -1))
            signs = ops.select(ops.greater_equal(value, zero), plus, minus)
            filters = ops.constant(np.where(weight < 0, -1, 1).astype(np.float32))
            return ops.convolution(signs, filters, *window)
        positive = (weight >= 0) ^ self.flips[source][:, None, None]
        # The bits of u1 constants are stored in little-endian order; a padding of 0 adds nothing.
        bits = ov.Tensor(ov.Type.u1, ov.Shape(positive.shape))
        bits.data[:] = np.packbits(positive.ravel(), bitorder="little")
        node, _, _ = self.values[source]
        return ops.binary_convolution(node, ov.op.Constant(bits), *window, "xnor-popcount", 0.0)

    def max_pool(self, index: int, layer: MaxPool) -> Any:
        steps, pads, window = ([n] * 2 for n in (layer.stride, layer.padding, layer.kernel))
        pooled = ops.max_pool(*self.inputs(layer), steps, [1, 1], pads, pads, window)
        return _computed(pooled.output(0), layer.channels)

    def affine(self, index: int, layer: Affine) -> Any:
        node, mul, add = self.values[layer.inputs[0]]
        return node, mul * layer.mul, add * layer.mul + layer.add

    def sign(self, index: int, layer: Sign) -> Any:
        """0 up to the threshold and 1 above it, which stand for -1 and +1."""
        node, mul, add = self.values[layer.inputs[0]]
        threshold, self.flips[index] = sign_threshold(mul, add)
        # The largest float below the threshold; not a denormal one, which the CPU flushes to 0.
        limits = np.finfo(np.float32)
        below = np.where(threshold == 0, -limits.tiny, np.nextafter(threshold, np.float32(-np.inf)))
        level = _per_channel(np.clip(below, limits.min, limits.max))
        zero, one = (ops.constant(np.full((1, 1, 1, 1), bit, np.float32)) for bit in (0, 1))
        return _computed(ops.fake_quantize(node, level, level, zero, one, 2), layer.channels)

    def relu(self, index: int, layer: Relu) -> Any:
        return _computed(ops.relu(*self.inputs(layer)), layer.channels)

    def prelu(self, index: int, layer: Prelu) -> Any:
        slope = ops.constant(layer.slope.astype(np.float32))
        return _computed(ops.prelu(*self.inputs(layer), slope), layer.channels)

    def sigmoid(self, index: int, layer: Sigmoid) -> Any:
        return _computed(ops.sigmoid(*self.inputs(layer)), layer.channels)

    def sum(self, index: int, layer: Sum) -> Any:
        return _computed(ops.add(*self.inputs(layer)), layer.channels)

    def multiply(self, index: int, layer: Multiply) -> Any:
        return _computed(ops.multiply(*self.inputs(layer)), layer.channels)

    def mean(self, index: int, layer: Mean) -> Any:
        return _computed(ops.reduce_mean(*self.inputs(layer), [2, 3], True), layer.channels)

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
        return _computed(ops.concat(self.inputs(layer), 1), layer.channels)

    def permute(self, index: int, layer: Permute) -> Any:
        return _computed(ops.gather(*self.inputs(layer), list(layer.order), 1), layer.channels)

    def repeat(self, index: int, layer: Repeat) -> Any:
        copies = np.arange(layer.channels) // layer.factor
        return _computed(ops.gather(*self.inputs(layer), copies, 1), layer.channels)

    def group_mean(self, index: int, layer: GroupMean) -> Any:
        (node,) = self.inputs(layer)
        height, width = list(node.output(0).get_shape())[2:]
        groups = ops.reshape(node, [1, layer.channels, layer.factor, height, width], False)
        return _computed(ops.reduce_mean(groups, [2], False), layer.channels)


def _computed(node: Any, channels: int) -> tuple[Any, Floats, Floats]:
    return node, np.ones(channels), np.zeros(channels)


def _per_channel(values: NDArray[Any]) -> Any:
    return ops.constant(values.astype(np.float32).reshape(1, -1, 1, 1))


_LAYERS: dict[type[Layer], Callable[[_GraphWriter, int, Any], Any]] = {
    Image: _GraphWriter.read_image,
    Convolution: _GraphWriter.convolution,
    MaxPool: _GraphWriter.max_pool,
    Affine: _GraphWriter.affine,
    Relu: _GraphWriter.relu,
    Prelu: _GraphWriter.prelu,
    Sigmoid: _GraphWriter.sigmoid,
    Sign: _GraphWriter.sign,
    Sum: _GraphWriter.sum,
    Multiply: _GraphWriter.multiply,
    Mean: _GraphWriter.mean,
    Upsample: _GraphWriter.upsample,
    Concat: _GraphWriter.concat,
    Permute: _GraphWriter.permute,
    Repeat: _GraphWriter.repeat,
    GroupMean: _GraphWriter.group_mean,
}
