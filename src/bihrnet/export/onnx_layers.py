"""How each kind of layer is written as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bihrnet.export.ir import (
    Affine,
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
from bihrnet.export.onnx_graph import LazyValue, OnnxGraph

# Convolutions


def write_convolution(graph: OnnxGraph, index: int, layer: Convolution) -> LazyValue:
    """Conv; affine layers behind it join its weights."""
    source = graph.tensor(layer.inputs[0])
    weight = layer.weight.transpose(0, 3, 1, 2).astype(np.float64)
    if layer.kind == "binary":
        weight = np.where(weight < 0, -1.0, 1.0)

    def emit(mul: Floats, add: Floats) -> str:
        inputs = [source, graph.constant(weight * mul.reshape(-1, 1, 1, 1)), graph.constant(add)]
        return graph.node("Conv", layer, inputs, group=layer.groups, **_window(layer))

    return LazyValue(emit, layer.mul, layer.add)


def write_dynamic_convolution(graph: OnnxGraph, index: int, layer: DynamicConvolution) -> LazyValue:
    """One Conv per kernel, so that no shape depends on the batch."""
    source, attention = (graph.tensor(given) for given in layer.inputs)

    def emit(mul: Floats, add: Floats) -> str:
        terms = []
        for kernel, weight in enumerate(layer.weight.transpose(0, 1, 4, 2, 3)):
            scaled = graph.constant(weight * mul.reshape(-1, 1, 1, 1))
            term = graph.node("Conv", layer, [source, scaled], group=layer.groups, **_window(layer))
            number = graph.channels(layer, attention, kernel, kernel + 1)
            terms.append(graph.node("Mul", layer, [term, number]))
        bias = graph.constant(add.reshape(1, -1, 1, 1))
        return graph.node("Sum", layer, [*terms, bias])

    return LazyValue(emit, np.ones(layer.channels), np.zeros(layer.channels))


def write_deconvolution(graph: OnnxGraph, index: int, layer: Deconvolution) -> LazyValue:
    """ConvTranspose; affine layers behind it join its weights."""
    source = graph.tensor(layer.inputs[0])

    def emit(mul: Floats, add: Floats) -> str:
        weight = graph.constant(layer.weight * mul.reshape(1, -1, 1, 1))
        inputs = [source, weight, graph.constant(add)]
        return graph.node("ConvTranspose", layer, inputs, **_window(layer))

    return LazyValue(emit, np.ones(layer.channels), np.zeros(layer.channels))


def _window(layer: Convolution | DynamicConvolution | Deconvolution) -> dict[str, list[int]]:
    return {"strides": [layer.stride] * 2, "pads": [*layer.padding] * 2}


# Per channel


def write_affine(graph: OnnxGraph, index: int, layer: Affine) -> LazyValue:
    """Left to the layer before, which may take it into its weights."""
    lazy = graph.pending(layer.inputs[0])
    return LazyValue(lazy.emit, lazy.mul * layer.mul, lazy.add * layer.mul + layer.add)


def write_sign(graph: OnnxGraph, index: int, layer: Sign) -> LazyValue:
    """Spelled out, because ONNX's Sign gives 0 for 0."""
    zero, plus, minus = (graph.constant(np.array(number)) for number in (0.0, 1.0, -1.0))
    condition = graph.node("GreaterOrEqual", layer, [graph.tensor(layer.inputs[0]), zero])
    return graph.value(layer, graph.node("Where", layer, [condition, plus, minus]))


def write_spatial_softmax(graph: OnnxGraph, index: int, layer: SpatialSoftmax) -> LazyValue:
    """Spelled out, because Softmax over two axes would need a reshape before and after."""
    source = graph.tensor(layer.inputs[0])
    peak = graph.node("GlobalMaxPool", layer, [source])
    powers = graph.node("Exp", layer, [graph.node("Sub", layer, [source, peak])])
    mean = graph.node("GlobalAveragePool", layer, [powers])
    return graph.value(layer, graph.node("Div", layer, [powers, mean]))


# Pooling and up-sampling


def write_max_pool(graph: OnnxGraph, index: int, layer: MaxPool) -> LazyValue:
    """MaxPool of square windows."""
    sides = {"kernel_shape": layer.kernel, "strides": layer.stride}
    attributes = {name: [side] * 2 for name, side in sides.items()}
    return graph.single("MaxPool", layer, pads=[layer.padding] * 4, **attributes)


def write_fractional_max_pool(graph: OnnxGraph, index: int, layer: FractionalMaxPool) -> LazyValue:
    """The maximum of the window at every pixel, of which Resize picks those that count."""
    window = {"kernel_shape": [2, 2], "strides": [1, 1], "pads": [0, 0, 1, 1]}
    largest = graph.node("MaxPool", layer, [graph.tensor(layer.inputs[0])], **window)
    scales = graph.constant(np.array([1.0, 1.0, layer.ratio, layer.ratio]))
    how = {"coordinate_transformation_mode": "half_pixel", "nearest_mode": "floor"}
    chosen = graph.node("Resize", layer, [largest, "", scales], mode="nearest", **how)
    return graph.value(layer, chosen)


def write_average_pool(graph: OnnxGraph, index: int, layer: AveragePool) -> LazyValue:
    """AveragePool of adjacent square windows."""
    sides = {"kernel_shape": [layer.factor] * 2, "strides": [layer.factor] * 2}
    return graph.single("AveragePool", layer, ceil_mode=int(layer.ceil_mode), **sides)


def write_upsample(graph: OnnxGraph, index: int, layer: Upsample) -> LazyValue:
    """Resize to the nearest."""
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return _resize(graph, layer, layer.factor, mode="nearest", **how)


def write_bilinear_upsample(graph: OnnxGraph, index: int, layer: BilinearUpsample) -> LazyValue:
    """Resize with aligned corners."""
    how = {"coordinate_transformation_mode": "align_corners"}
    return _resize(graph, layer, layer.factor, mode="linear", **how)


def write_bilinear_resize(graph: OnnxGraph, index: int, layer: BilinearResize) -> LazyValue:
    """Resize to the height and width of another tensor."""
    source, like = (graph.tensor(given) for given in layer.inputs)
    kept = graph.node("Shape", layer, [source], end=2)
    sides = graph.node("Shape", layer, [like], start=2)
    sizes = graph.node("Concat", layer, [kept, sides], axis=0)
    how = {"coordinate_transformation_mode": "align_corners", "mode": "linear"}
    return graph.value(layer, graph.node("Resize", layer, [source, "", "", sizes], **how))


def _resize(graph: OnnxGraph, layer: Layer, factor: int, **how: Any) -> LazyValue:
    scales = graph.constant(np.array([1.0, 1.0, factor, factor]))
    inputs = [graph.tensor(layer.inputs[0]), "", scales]
    return graph.value(layer, graph.node("Resize", layer, inputs, **how))


# Ranges and orders of pixels and channels


def write_crop(graph: OnnxGraph, index: int, layer: Crop) -> LazyValue:
    """Slice of rows and columns."""
    cuts = [(axis, -cut) for axis, cut in ((2, layer.rows), (3, layer.columns)) if cut]
    axes, ends = np.array(cuts).T
    return graph.single("Slice", layer, np.zeros_like(ends), ends, axes)


def write_slice(graph: OnnxGraph, index: int, layer: Slice) -> LazyValue:
    """Slice of channels."""
    source, start = graph.tensor(layer.inputs[0]), layer.start
    return graph.value(layer, graph.channels(layer, source, start, start + layer.channels))


def write_permute(graph: OnnxGraph, index: int, layer: Permute) -> LazyValue:
    """Reshape, Transpose, Reshape for a channel shuffle, which runtimes recognize; else Gather.

    OpenVINO leaves its blocked memory layout for a Gather of channels, and all layers that follow
    slow down.
    """
    if layer.shuffle_groups is None:
        return graph.single("Gather", layer, np.array(layer.order), axis=1)
    source, groups = graph.tensor(layer.inputs[0]), layer.shuffle_groups
    split = graph.constant(np.array([0, groups, layer.channels // groups, -1]))
    parts = graph.node("Reshape", layer, [source, split])
    transposed = graph.node("Transpose", layer, [parts], perm=[0, 2, 1, 3])
    shape = graph.node("Shape", layer, [source])
    return graph.value(layer, graph.node("Reshape", layer, [transposed, shape]))


def write_repeat(graph: OnnxGraph, index: int, layer: Repeat) -> LazyValue:
    """Gather of channels."""
    return graph.single("Gather", layer, np.arange(layer.channels) // layer.factor, axis=1)


def write_group_mean(graph: OnnxGraph, index: int, layer: GroupMean) -> LazyValue:
    """A grouped 1x1 Conv with equal weights."""
    weight = np.full((layer.channels, layer.factor, 1, 1), 1 / layer.factor)
    return graph.single("Conv", layer, weight, group=layer.channels)


#: By type of the layer: makes its nodes, or leaves them to its readers.
LAYERS: dict[type[Layer], Callable[[OnnxGraph, int, Any], LazyValue]] = {
    Image: lambda graph, _, layer: graph.value(layer, "image"),
    Convolution: write_convolution,
    DynamicConvolution: write_dynamic_convolution,
    Deconvolution: write_deconvolution,
    Affine: write_affine,
    Relu: lambda graph, _, layer: graph.single("Relu", layer),
    Relu6: lambda graph, _, layer: graph.single("Clip", layer, np.array(0.0), np.array(6.0)),
    Prelu: lambda graph, _, layer: graph.single("PRelu", layer, layer.slope.reshape(-1, 1, 1)),
    Sigmoid: lambda graph, _, layer: graph.single("Sigmoid", layer),
    HardSigmoid: lambda graph, _, layer: graph.single("HardSigmoid", layer, alpha=1 / 6),
    HardSwish: lambda graph, _, layer: graph.single("HardSwish", layer),
    SpatialSoftmax: write_spatial_softmax,
    Sign: write_sign,
    Sum: lambda graph, _, layer: graph.single("Add", layer),
    Multiply: lambda graph, _, layer: graph.single("Mul", layer),
    Mean: lambda graph, _, layer: graph.single("GlobalAveragePool", layer),
    MaxPool: write_max_pool,
    FractionalMaxPool: write_fractional_max_pool,
    AveragePool: write_average_pool,
    Upsample: write_upsample,
    BilinearUpsample: write_bilinear_upsample,
    BilinearResize: write_bilinear_resize,
    Crop: write_crop,
    Slice: write_slice,
    Concat: lambda graph, _, layer: graph.single("Concat", layer, axis=1),
    Permute: write_permute,
    Repeat: write_repeat,
    GroupMean: write_group_mean,
}
