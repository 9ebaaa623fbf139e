"""Fusion of layers that start an op of their own: convolutions and pooling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from bihrnet.engine.graph import Conv, ConvBinary, ConvInt8, ConvTernary
from bihrnet.engine.graph import MaxPool as MaxPoolOp
from bihrnet.engine.packing import pack_ternary
from bihrnet.export.bhr.builder import IMAGE
from bihrnet.export.bhr.chains import Value
from bihrnet.export.bhr.folding import (
    IMAGE_OFFSET,
    IMAGE_STEP,
    compact,
    pack_weight,
    quantize_weight,
)
from bihrnet.export.bhr.fusion.state import FusionState, LazyValue, refuse
from bihrnet.export.ir import Convolution, Floats, Image, Layer, MaxPool


def fuse_convolution(state: FusionState, index: int, layer: Convolution) -> LazyValue:
    """A convolution with its weights in the stored order of the channels."""
    if layer.groups > 1:
        refuse(layer, f"is a convolution in {layer.groups} groups")
    order = state.orders[index]
    weight = layer.weight[order][..., state.orders[layer.inputs[0]]]
    layer = replace(layer, weight=weight, mul=layer.mul[order], add=layer.add[order])
    if layer.kind == "binary":
        value = _binary(state, layer)
    elif layer.kind == "ternary":
        value = _ternary(state, layer)
    elif isinstance(state.layers[layer.inputs[0]], Image):
        value = _of_image(state, layer)
    else:
        value = _real(state, layer)
    return LazyValue.of(value, foldable=True)


def _binary(state: FusionState, layer: Convolution) -> Value:
    if layer.inputs[0] not in state.signs:
        refuse(layer, "is a binary convolution whose input is not a sign")
    tensor, flip = state.signs[layer.inputs[0]]
    weight = pack_weight(layer.weight, flip)
    return _start(state, ConvBinary, layer, tensor, weight, layer.mul, stride=layer.stride)


def _ternary(state: FusionState, layer: Convolution) -> Value:
    if layer.stride != 1:
        refuse(layer, f"is a ternary convolution of stride {layer.stride}")
    source = layer.inputs[0]
    if isinstance(state.layers[source], Image):
        refuse(layer, "is a ternary convolution of the image")
    value, weight = state.computed(source), pack_ternary(layer.weight)
    quantization = (state.quantization or {}).get(source)
    if quantization is None:
        return _start(state, ConvTernary, layer, state.builder.store(value), weight, layer.mul)
    tensor = state.builder.quantize(value, quantization)
    mul = layer.mul / quantization.inverse_scale
    return _start(state, ConvTernary, layer, tensor, weight, mul)


def _of_image(state: FusionState, layer: Convolution) -> Value:
    """A real-valued convolution of pixels; their normalization folds into offset and weights."""
    weight = layer.weight * IMAGE_STEP
    fields = {"stride": layer.stride, "offset": state.builder.constant(IMAGE_OFFSET)}
    if state.quantization is None:
        return _start(
            state, Conv, layer, IMAGE, compact(weight, lossless=True), layer.mul, **fields
        )
    integers, scale = quantize_weight(weight)
    return _start(state, ConvInt8, layer, IMAGE, integers, layer.mul * scale, **fields)


def _real(state: FusionState, layer: Convolution) -> Value:
    """In 8 bits if its input has a range, otherwise in floats."""
    source = layer.inputs[0]
    value = state.computed(source)
    quantization = (state.quantization or {}).get(source)
    fields = {"stride": layer.stride, "one_pixel": value.one_pixel}
    if quantization is None:
        weight = compact(layer.weight, lossless=state.quantization is None)
        return _start(state, Conv, layer, state.builder.store(value), weight, layer.mul, **fields)
    tensor = state.builder.quantize(value, quantization)
    integers, scale = quantize_weight(layer.weight)
    mul = layer.mul * scale / quantization.inverse_scale
    return _start(state, ConvInt8, layer, tensor, integers, mul, **fields)


def _start(
    state: FusionState,
    kind: Any,
    layer: Convolution,
    tensor: str,
    weight: NDArray[Any],
    mul: Floats,
    **fields: Any,
) -> Value:
    return state.builder.start(
        kind,
        layer.name,
        tensor,
        layer.channels,
        mul=mul,
        add=layer.add,
        weight=state.builder.constant(weight),
        padding=layer.padding,
        **fields,
    )


def fuse_max_pool(state: FusionState, index: int, layer: MaxPool) -> LazyValue:
    """An op of its own that reads a stored value."""
    value = state.builder.start(
        MaxPoolOp,
        layer.name,
        state.builder.store(state.computed(layer.inputs[0])),
        layer.channels,
        kernel=layer.kernel,
        stride=layer.stride,
        padding=layer.padding,
    )
    return LazyValue.of(value)


#: By type of the layer.
FUSIONS: dict[type[Layer], Callable[[FusionState, int, Any], LazyValue]] = {
    Image: lambda state, _index, _layer: LazyValue.of(state.builder.image),
    Convolution: fuse_convolution,
    MaxPool: fuse_max_pool,
}
