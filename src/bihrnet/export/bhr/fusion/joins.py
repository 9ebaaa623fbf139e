"""Fusion of layers that join values, reduce them or reorder their channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bihrnet.engine.graph import AddStep, MultiplyStep, Step
from bihrnet.export.bhr.fusion.state import FusionState, LazyValue, refuse
from bihrnet.export.ir import Concat, GroupMean, Layer, Mean, Multiply, Permute, Repeat, Sum


def fuse_sum(state: FusionState, index: int, layer: Sum) -> LazyValue:
    """The op that makes one summand adds the other: the later one, where that is possible."""
    for shortcut, summand in (layer.inputs, layer.inputs[::-1]):
        short = state.layers[shortcut]
        if isinstance(short, GroupMean | Repeat):
            return _add_shortcut(state, layer, short, summand)
    terms = [state.at_low_resolution(source) for source in layer.inputs]
    common = min(upsample for _, upsample in terms)
    choices = [
        (host, other, upsample // common)
        for (host, own), (other, upsample) in (terms, terms[::-1])
        if own == common
    ]
    choices.sort(key=lambda choice: state.builder.latest_op(choice[0]))
    possible = [choice for choice in choices if state.builder.can_extend(choice[0], choice[1])]
    host, other, upsample = (possible or choices)[-1]

    def steps(part: slice) -> list[Step]:
        return [AddStep(state.builder.store(other), part.start, upsample)]

    return LazyValue.of(state.builder.extend(layer.name, host, steps, other), common)


def _add_shortcut(
    state: FusionState, layer: Sum, short: GroupMean | Repeat, summand: int
) -> LazyValue:
    """Adds what a parameter-free shortcut reads to the other summand.

    The stored order of channels (see `channel_order`) makes a repetition an addition whose tensor
    repeats, and a mean over r neighbors the sum of r ranges of channels, divided by r. So that the
    division can stay pending, the other summand is multiplied by r first.
    """
    ranges = short.factor if isinstance(short, GroupMean) else 1
    host = state.multiplied(summand, float(ranges)) if ranges > 1 else state.computed(summand)
    wide = state.computed(short.inputs[0])
    host = state.builder.in_one_op(layer.name, host)

    def steps(part: slice) -> list[Step]:
        starts = range(0, ranges * layer.channels, layer.channels)
        return [AddStep(state.builder.store(wide), start) for start in starts]

    lazy = LazyValue.of(state.builder.extend(layer.name, host, steps, wide))
    return replace(lazy, mul=lazy.mul / ranges)


def fuse_multiply(state: FusionState, index: int, layer: Multiply) -> LazyValue:
    """A gate: the second value has one pixel."""
    value, gate = (state.computed(source) for source in layer.inputs)
    if not gate.one_pixel:
        refuse(layer, "is a product of two images")
    value = state.builder.in_one_op(layer.name, value)

    def steps(_: slice) -> list[Step]:
        return [MultiplyStep(state.builder.store(gate))]

    return LazyValue.of(state.builder.extend(layer.name, value, steps, gate))


def fuse_mean(state: FusionState, index: int, layer: Mean) -> LazyValue:
    """Written by the op that makes the value; up-sampling to the nearest does not change it."""
    value, _ = state.at_low_resolution(layer.inputs[0])
    return LazyValue.of(state.builder.mean(layer.name, value))


def fuse_concatenation(state: FusionState, index: int, layer: Concat) -> LazyValue:
    """Every part writes its range of channels."""
    values = [state.computed(source) for source in layer.inputs]
    return LazyValue.of(state.builder.concatenate(layer.name, values))


def pass_on(state: FusionState, index: int, layer: Permute | GroupMean | Repeat) -> LazyValue:
    """The stored value is that of the input.

    A permutation is a matter of the stored order; shortcuts are left to the sum that reads them.
    """
    return replace(state.values[layer.inputs[0]], foldable=False)


#: By type of the layer.
FUSIONS: dict[type[Layer], Callable[[FusionState, int, Any], LazyValue]] = {
    Sum: fuse_sum,
    Multiply: fuse_multiply,
    Mean: fuse_mean,
    Concat: fuse_concatenation,
    Permute: pass_on,
    Repeat: pass_on,
    GroupMean: pass_on,
}
