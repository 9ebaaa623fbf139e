"""Fusion of layers that work value by value: they become steps of the op that made their input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bihrnet.engine.graph import PreluStep, ReluStep, SigmoidStep, Step
from bihrnet.export.bhr.folding import sign_threshold
from bihrnet.export.bhr.fusion.state import FusionState, LazyValue
from bihrnet.export.ir import Affine, Layer, Prelu, Relu, Sigmoid, Sign, Upsample


def fuse_affine(state: FusionState, index: int, layer: Affine) -> LazyValue:
    """Folded into a convolution, or pending until a sign or a step takes it."""
    order = state.orders[index]
    return state.scaled(layer.inputs[0], layer.mul[order], layer.add[order])


def fuse_sign(state: FusionState, index: int, layer: Sign) -> LazyValue:
    """Bits, with all that is pending in the threshold. The value of the sign itself is not used."""
    lazy = state.values[layer.inputs[0]]
    value = lazy.value
    if lazy.upsample > 1:
        value = state.builder.load(layer.name, value, lazy.upsample)
    threshold, flip = sign_threshold(lazy.mul, lazy.add)
    state.signs[index] = state.builder.sign(value, threshold), flip
    return lazy


def fuse_prelu(state: FusionState, index: int, layer: Prelu) -> LazyValue:
    """One slope per channel."""
    slope = layer.slope[state.orders[index]]
    return _extend(state, layer, lambda part: [PreluStep(state.builder.constant(slope[part]))])


def fuse_upsample(state: FusionState, index: int, layer: Upsample) -> LazyValue:
    """Left to the layer that reads it: additions read a smaller tensor."""
    lazy = state.values[layer.inputs[0]]
    return replace(lazy, upsample=lazy.upsample * layer.factor, foldable=False)


def _extend(state: FusionState, layer: Layer, steps: Callable[[slice], list[Step]]) -> LazyValue:
    """Steps that commute with up-sampling to the nearest, so that they run before it."""
    value, upsample = state.at_low_resolution(layer.inputs[0])
    return LazyValue.of(state.builder.extend(layer.name, value, steps), upsample)


#: By type of the layer.
FUSIONS: dict[type[Layer], Callable[[FusionState, int, Any], LazyValue]] = {
    Affine: fuse_affine,
    Sign: fuse_sign,
    Relu: lambda state, _, layer: _extend(state, layer, lambda _: [ReluStep()]),
    Prelu: fuse_prelu,
    Sigmoid: lambda state, _, layer: _extend(state, layer, lambda _: [SigmoidStep()]),
    Upsample: fuse_upsample,
}
