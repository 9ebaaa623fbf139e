"""A network as an ONNX file; binary networks keep their signs as explicit nodes, in float32.

The file is made of the exporters' layers, like the engine's graph. torch's own exporter takes
minutes for the thousand layers of these networks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError
from bihrnet.export.ir import (
    Affine,
    AnyLayer,
    AveragePool,
    BilinearResize,
    BilinearUpsample,
    Concat,
    Convolution,
    Crop,
    Deconvolution,
    DynamicConvolution,
    Floats,
    FractionalMaxPool,
    GroupMean,
    HardSigmoid,
    HardSwish,
    Image,
    Layer,
    MaxPool,
    Mean,
    Multiply,
    Permute,
    Prelu,
    Relu,
    Relu6,
    Repeat,
    Sigmoid,
    Sign,
    Slice,
    SpatialSoftmax,
    Sum,
    Upsample,
)
from bihrnet.export.trace import trace, trace_layers
from bihrnet.files import replacing
from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD
from bihrnet.nn.torch_model import TorchModel

OPSET = 17
IR_VERSION = 8  # of that opset's time, so that older runtimes read it, too


def write_onnx(session: TorchModel, path: str | Path) -> None:
    """Write a network as ONNX: input "image" (N, 3, h, w), output "heatmaps" (N, K, h/4, w/4).

    The image is normalized RGB, float32; the file's metadata holds mean and standard deviation (of
    values 0..1), name and skeleton. It takes any batch, and any height and width that are multiples
    of 32; where the network crops, only those that divide by 32 to odd numbers where the session's
    size does.

    Raises:
        BihrnetError: a layer is unknown, onnx is missing, or the file cannot be written.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise BihrnetError(
            f"{path}: ONNX export needs the package onnx, which is missing: pip install onnx"
        ) from None
    spec = session.spec
    layers, _ = trace_layers(trace(session.module, spec.input_size))
    writer = _Writer(layers)
    output = writer.run()
    make = onnx.helper
    sides: list[str | int | None] = ["batch", 3, "height", "width"]
    image = make.make_tensor_value_info("image", onnx.TensorProto.FLOAT, sides)
    heatmaps = make.make_tensor_value_info(
        output, onnx.TensorProto.FLOAT, ["batch", layers[-1].channels, None, None]
    )
    constants = [onnx.numpy_helper.from_array(a, name) for name, a in writer.constants.items()]
    nodes = [make.make_node(kind, *arguments, **given) for kind, arguments, given in writer.nodes]
    model = make.make_model(
        make.make_graph(nodes, spec.name, [image], [heatmaps], constants),
        opset_imports=[make.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="bihrnet",
    )
    make.set_model_props(
        model,
        {
            "name": spec.name,
            "skeleton": json.dumps(spec.skeleton.to_dict()),
            "mean": json.dumps(IMAGENET_MEAN),
            "std": json.dumps(IMAGENET_STD),
        },
    )
    onnx.checker.check_model(model)
    with replacing(path) as temporary:
        onnx.save(model, temporary)


class _Value:
    """A layer's output. Affine layers wait, for a convolution can take them into its weights."""

    def __init__(self, emit: Callable[[Floats, Floats], str], channels: int) -> None:
        self.emit = emit
        self.mul, self.add = np.ones(channels), np.zeros(channels)


class _Writer:
    """Nodes as (type, (inputs, outputs), attributes), constants, and the values so far."""

    def __init__(self, layers: Sequence[AnyLayer]) -> None:
        self.layers = layers
        sources = [index for layer in layers for index in layer.inputs]
        self.users = np.bincount(sources, minlength=len(layers))
        self.nodes: list[tuple[str, tuple[list[str], list[str]], dict[str, Any]]] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.values: list[_Value] = []

    def run(self) -> str:
        for index, layer in enumerate(self.layers):
            self.values.append(_HANDLERS[type(layer)](self, index, layer))
        self.nodes.append(("Identity", ([self.name(len(self.layers) - 1)], ["heatmaps"]), {}))
        return "heatmaps"

    def node(self, kind: str, layer: Layer, inputs: Sequence[str], **attributes: Any) -> str:
        output = f"{layer.name}.{len(self.nodes)}"
        self.nodes.append((kind, (list(inputs), [output]), attributes))
        return output

    def constant(self, array: NDArray[Any]) -> str:
        name = f"constant.{len(self.constants)}"
        kind = np.int64 if array.dtype.kind == "i" else np.float32
        self.constants[name] = np.ascontiguousarray(array, dtype=kind)
        return name

    def name(self, index: int) -> str:
        """The layer's value, all affine layers applied."""
        value, layer = self.values[index], self.layers[index]
        name = value.emit(value.mul, value.add)
        self.values[index] = self.made(layer, name)
        return name

    def made(self, layer: Layer, name: str) -> _Value:
        """The value of a node that is there already."""

        def emit(mul: Floats, add: Floats) -> str:
            result = name
            for kind, factor in (("Mul", mul), ("Add", add)):
                if (factor != (kind == "Mul")).any():
                    constant = self.constant(factor.reshape(1, -1, 1, 1))
                    result = self.node(kind, layer, [result, constant])
            return result

        return _Value(emit, layer.channels)

    def simple(
        self, kind: str, layer: Layer, *constants: NDArray[Any], **attributes: Any
    ) -> _Value:
        inputs = [self.name(source) for source in layer.inputs]
        inputs += [self.constant(array) for array in constants]
        return self.made(layer, self.node(kind, layer, inputs, **attributes))

    def image(self, index: int, layer: Image) -> _Value:
        return self.made(layer, "image")

    def convolution(self, index: int, layer: Convolution) -> _Value:
        source = self.name(layer.inputs[0])
        weight = layer.weight.transpose(0, 3, 1, 2).astype(np.float64)
        if layer.kind == "binary":
            weight = np.where(weight < 0, -1.0, 1.0)

        def emit(mul: Floats, add: Floats) -> str:
            inputs = [source, self.constant(weight * mul.reshape(-1, 1, 1, 1)), self.constant(add)]
            sizes = {"strides": [layer.stride] * 2, "pads": [*layer.padding] * 2}
            return self.node("Conv", layer, inputs, group=layer.groups, **sizes)

        value = _Value(emit, layer.channels)
        value.mul, value.add = layer.mul, layer.add
        return value

    def dynamic_convolution(self, index: int, layer: DynamicConvolution) -> _Value:
        """One convolution for each kernel, so that no shape depends on the batch."""
        source, attention = (self.name(given) for given in layer.inputs)
        sizes = {"strides": [layer.stride] * 2, "pads": [*layer.padding] * 2}

        def emit(mul: Floats, add: Floats) -> str:
            terms = []
            for kernel, weight in enumerate(layer.weight.transpose(0, 1, 4, 2, 3)):
                scaled = self.constant(weight * mul.reshape(-1, 1, 1, 1))
                term = self.node("Conv", layer, [source, scaled], group=layer.groups, **sizes)
                number = self.channels(layer, attention, kernel, kernel + 1)
                terms.append(self.node("Mul", layer, [term, number]))
            bias = self.constant(add.reshape(1, -1, 1, 1))
            return self.node("Sum", layer, [*terms, bias])

        return _Value(emit, layer.channels)

    def deconvolution(self, index: int, layer: Deconvolution) -> _Value:
        source = self.name(layer.inputs[0])

        def emit(mul: Floats, add: Floats) -> str:
            weight = layer.weight * mul.reshape(1, -1, 1, 1)
            inputs = [source, self.constant(weight), self.constant(add)]
            sizes = {"strides": [layer.stride] * 2, "pads": [*layer.padding] * 2}
            return self.node("ConvTranspose", layer, inputs, **sizes)

        return _Value(emit, layer.channels)

    def affine(self, index: int, layer: Affine) -> _Value:
        source = layer.inputs[0]
        if self.users[source] > 1:
            self.name(source)
        before = self.values[source]
        value = _Value(before.emit, layer.channels)
        value.mul, value.add = before.mul * layer.mul, before.add * layer.mul + layer.add
        return value

    def sign(self, index: int, layer: Sign) -> _Value:
        """Explicitly: ONNX's Sign would give 0 for 0."""
        zero, plus, minus = (self.constant(np.array(number)) for number in (0.0, 1.0, -1.0))
        condition = self.node("GreaterOrEqual", layer, [self.name(layer.inputs[0]), zero])
        return self.made(layer, self.node("Where", layer, [condition, plus, minus]))

    def upsample(self, index: int, layer: Upsample) -> _Value:
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.resize(layer, layer.factor, mode="nearest", **how)

    def bilinear_upsample(self, index: int, layer: BilinearUpsample) -> _Value:
        how = {"coordinate_transformation_mode": "align_corners"}
        return self.resize(layer, layer.factor, mode="linear", **how)

    def bilinear_resize(self, index: int, layer: BilinearResize) -> _Value:
        source, like = (self.name(given) for given in layer.inputs)
        keep = self.node("Shape", layer, [source], end=2)
        sides = self.node("Shape", layer, [like], start=2)
        sizes = self.node("Concat", layer, [keep, sides], axis=0)
        how = {"coordinate_transformation_mode": "align_corners", "mode": "linear"}
        return self.made(layer, self.node("Resize", layer, [source, "", "", sizes], **how))

    def resize(self, layer: Layer, factor: int, **how: Any) -> _Value:
        scales = self.constant(np.array([1.0, 1.0, factor, factor]))
        inputs = [self.name(layer.inputs[0]), "", scales]
        return self.made(layer, self.node("Resize", layer, inputs, **how))

    def max_pool(self, index: int, layer: MaxPool) -> _Value:
        sides = {"kernel_shape": layer.kernel, "strides": layer.stride}
        attributes = {name: [side] * 2 for name, side in sides.items()}
        return self.simple("MaxPool", layer, pads=[layer.padding] * 4, **attributes)

    def fractional_max_pool(self, index: int, layer: FractionalMaxPool) -> _Value:
        """All squares, as many as pixels; then the nearest of those that count."""
        sides = {"kernel_shape": [2, 2], "strides": [1, 1], "pads": [0, 0, 1, 1]}
        squares = self.node("MaxPool", layer, [self.name(layer.inputs[0])], **sides)
        scales = self.constant(np.array([1.0, 1.0, layer.ratio, layer.ratio]))
        how = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"}
        chosen = self.node("Resize", layer, [squares, "", scales], mode="nearest", **how)
        return self.made(layer, chosen)

    def average_pool(self, index: int, layer: AveragePool) -> _Value:
        sides = {"kernel_shape": [layer.factor] * 2, "strides": [layer.factor] * 2}
        return self.simple("AveragePool", layer, ceil_mode=int(layer.cut), **sides)

    def spatial_softmax(self, index: int, layer: SpatialSoftmax) -> _Value:
        """Spelt out, as a Softmax over two axes would have to be reshaped there and back."""
        (source,) = (self.name(given) for given in layer.inputs)
        peak = self.node("GlobalMaxPool", layer, [source])
        powers = self.node("Exp", layer, [self.node("Sub", layer, [source, peak])])
        mean = self.node("GlobalAveragePool", layer, [powers])
        return self.made(layer, self.node("Div", layer, [powers, mean]))

    def slice(self, index: int, layer: Slice) -> _Value:
        start = layer.start
        source = self.name(layer.inputs[0])
        return self.made(layer, self.channels(layer, source, start, start + layer.channels))

    def channels(self, layer: Layer, source: str, start: int, stop: int) -> str:
        """A range of a value's channels."""
        ends = (self.constant(np.array([number])) for number in (start, stop, 1))
        return self.node("Slice", layer, [source, *ends])

    def crop(self, index: int, layer: Crop) -> _Value:
        cuts = [(axis, -cut) for axis, cut in ((2, layer.rows), (3, layer.columns)) if cut]
        axes, ends = np.array(cuts).T
        return self.simple("Slice", layer, np.zeros_like(ends), ends, axes)

    def permute(self, index: int, layer: Permute) -> _Value:
        """Reshape, Transpose, Reshape where it will do: runtimes know it for a shuffle.

        OpenVINO takes blocked memory apart for a Gather of channels, and all after it suffers.
        """
        if layer.turns is None:
            return self.simple("Gather", layer, np.array(layer.order), axis=1)
        source = self.name(layer.inputs[0])
        ranges = self.constant(np.array([0, layer.turns, layer.channels // layer.turns, -1]))
        parts = self.node("Reshape", layer, [source, ranges])
        turned = self.node("Transpose", layer, [parts], perm=[0, 2, 1, 3])
        shape = self.node("Shape", layer, [source])
        return self.made(layer, self.node("Reshape", layer, [turned, shape]))

    def repeat(self, index: int, layer: Repeat) -> _Value:
        return self.simple("Gather", layer, np.arange(layer.channels) // layer.factor, axis=1)

    def group_mean(self, index: int, layer: GroupMean) -> _Value:
        weight = np.full((layer.channels, layer.factor, 1, 1), 1 / layer.factor)
        return self.simple("Conv", layer, weight, group=layer.channels)


_HANDLERS: dict[type[Layer], Callable[[_Writer, int, Any], _Value]] = {
    Image: _Writer.image,
    Convolution: _Writer.convolution,
    DynamicConvolution: _Writer.dynamic_convolution,
    Deconvolution: _Writer.deconvolution,
    MaxPool: _Writer.max_pool,
    FractionalMaxPool: _Writer.fractional_max_pool,
    AveragePool: _Writer.average_pool,
    Affine: _Writer.affine,
    Relu: lambda writer, _, layer: writer.simple("Relu", layer),
    Relu6: lambda writer, _, layer: writer.simple("Clip", layer, np.array(0.0), np.array(6.0)),
    Prelu: lambda writer, _, layer: writer.simple("PRelu", layer, layer.slope.reshape(-1, 1, 1)),
    Sigmoid: lambda writer, _, layer: writer.simple("Sigmoid", layer),
    HardSigmoid: lambda writer, _, layer: writer.simple("HardSigmoid", layer, alpha=1 / 6),
    HardSwish: lambda writer, _, layer: writer.simple("HardSwish", layer),
    SpatialSoftmax: _Writer.spatial_softmax,
    Sign: _Writer.sign,
    Sum: lambda writer, _, layer: writer.simple("Add", layer),
    Multiply: lambda writer, _, layer: writer.simple("Mul", layer),
    Mean: lambda writer, _, layer: writer.simple("GlobalAveragePool", layer),
    Upsample: _Writer.upsample,
    Crop: _Writer.crop,
    BilinearUpsample: _Writer.bilinear_upsample,
    BilinearResize: _Writer.bilinear_resize,
    Slice: _Writer.slice,
    Concat: lambda writer, _, layer: writer.simple("Concat", layer, axis=1),
    Permute: _Writer.permute,
    Repeat: _Writer.repeat,
    GroupMean: _Writer.group_mean,
}
