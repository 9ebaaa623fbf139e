"""The state of fusion: the value of every layer so far, computed only as far as it was needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.graph import ScaleStep, ShiftStep, Step
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.builder import GraphBuilder
from bihrnet.export.bhr.chains import Value
from bihrnet.export.bhr.channel_shortcuts import arrange_channels
from bihrnet.export.bhr.folding import Quantization
from bihrnet.export.ir import AnyLayer, Floats, Layer


@dataclass(frozen=True)
class LazyValue:
    """`value` * mul + add, up-sampled to the nearest by `upsample`: nothing of it computed yet.

    Attributes:
        value: what the engine computes so far.
        mul: (channels,).
        add: (channels,).
        upsample: integer factor.
        foldable: whether `value` is the sum of a convolution with nothing pending, so that an
            affine layer that alone reads it can fold into the convolution.
    """

    value: Value
    mul: Floats
    add: Floats
    upsample: int = 1
    foldable: bool = False

    @classmethod
    def of(cls, value: Value, upsample: int = 1, *, foldable: bool = False) -> LazyValue:
        """The value itself, up-sampled."""
        ones, zeros = np.ones(value.channels), np.zeros(value.channels)
        return cls(value, ones, zeros, upsample, foldable)


class FusionState:
    """What the functions for the kinds of layers share.

    Attributes:
        layers: in execution order.
        orders: for each layer, the order in which the channels of its output are stored.
        quantization: of the layers whose output 8-bit convolutions read; None for an fp32 model.
        builder: of the graph.
        values: of the layers so far.
        signs: for each sign layer, its bits tensor and the channels whose bits are negated.
    """

    def __init__(
        self, layers: Sequence[AnyLayer], quantization: Mapping[int, Quantization] | None
    ) -> None:
        self.layers, self.orders = arrange_channels(layers)
        self.quantization = quantization
        self.builder = GraphBuilder()
        self.values: list[LazyValue] = []
        self.signs: dict[int, tuple[str, NDArray[np.bool_]]] = {}
        inputs = [index for layer in layers for index in layer.inputs]
        self._readers = np.bincount(inputs, minlength=len(layers))

    def scaled(self, index: int, mul: Floats, add: Floats | float = 0.0) -> LazyValue:
        """A layer's value * mul + add, folded into its convolution if nothing else reads it."""
        lazy = self.values[index]
        if lazy.foldable and self._readers[index] == 1:
            self.builder.fold(lazy.value, mul, add)
            return lazy
        return LazyValue(lazy.value, lazy.mul * mul, lazy.add * mul + add, lazy.upsample)

    def at_low_resolution(self, index: int) -> tuple[Value, int]:
        """A layer's value with its affine part computed, and the up-sampling still to be done."""
        lazy = self.values[index]
        value = self._apply_affine(lazy, self.layers[index].name)
        self.values[index] = LazyValue.of(value, lazy.upsample)
        return value, lazy.upsample

    def computed(self, index: int) -> Value:
        """A layer's value with nothing pending."""
        value, upsample = self.at_low_resolution(index)
        if upsample > 1:
            value = self.builder.load(self.layers[index].name, value, upsample)
            self.values[index] = LazyValue.of(value)
        return value

    def multiplied(self, index: int, factor: float) -> Value:
        """A layer's value times a number; the layer stays as it is for its other readers."""
        name = self.layers[index].name
        lazy = self.scaled(index, np.full(self.values[index].value.channels, factor))
        value = self._apply_affine(lazy, name)
        return self.builder.load(name, value, lazy.upsample) if lazy.upsample > 1 else value

    def _apply_affine(self, lazy: LazyValue, name: str) -> Value:
        scaled, shifted = bool((lazy.mul != 1).any()), bool((lazy.add != 0).any())
        if not scaled and not shifted:
            return lazy.value

        def steps(part: slice) -> list[Step]:
            steps: list[Step] = []
            if scaled:
                steps.append(ScaleStep(self.builder.constant(lazy.mul[part])))
            if shifted:
                steps.append(ShiftStep(self.builder.constant(lazy.add[part])))
            return steps

        return self.builder.extend(name, lazy.value, steps)


def refuse(layer: Layer, reason: str) -> NoReturn:
    """Raise the error for a layer that the engine cannot run."""
    raise BihrnetError(
        f"layer {layer.name} {reason}, which the engine cannot run; "
        "export the network to .onnx instead"
    )
