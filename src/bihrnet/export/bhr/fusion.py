"""From layers to the op graph: folding what is affine, fusing what follows a convolution.

Layers are taken in order. What works pixel by pixel joins the op that made its input, as steps in
registers, unless another layer has carried that op on already or the op would have to wait for
itself; then a new op loads the input. Nothing is stored that nobody reads: affine layers before a
sign become its threshold, up-sampling becomes part of the addition that reads it, and a value is
written only in the forms that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.graph import (
    AddStep,
    Conv,
    ConvBinary,
    ConvInt8,
    ConvTernary,
    Graph,
    MultiplyStep,
    PreluStep,
    ReluStep,
    ScaleStep,
    ShiftStep,
    SigmoidStep,
    Step,
)
from bihrnet.engine.graph import MaxPool as MaxPoolOp
from bihrnet.engine.packing import pack_ternary
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.builder import IMAGE, GraphBuilder
from bihrnet.export.bhr.chains import Lazy, Value
from bihrnet.export.bhr.channel_order import arrange
from bihrnet.export.bhr.folding import (
    IMAGE_OFFSET,
    IMAGE_STEP,
    compact,
    pack_weight,
    quantize_weight,
    sign_threshold,
)
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
    sign_used_as_number,
)

#: By the index of a layer: u8 steps per unit of its output, and the step of zero.
Quantization = Mapping[int, tuple[float, int]]
Constants = dict[str, NDArray[Any]]


def fuse(
    layers: Sequence[AnyLayer], quantization: Quantization | None = None
) -> tuple[Graph, Constants]:
    """The op graph of a network and its constants.

    Args:
        layers: in order; the first is the image, the last the output.
        quantization: a real-valued or ternary convolution reads 8 bits where this holds its input,
            or where it reads the image and this is given at all. All others read float32.

    Raises:
        BihrnetError: a combination that the engine cannot express; the sentence names the layer.
    """
    for layer in layers:
        if type(layer) not in _HANDLERS:
            _refuse(layer, f"is a {type(layer).__name__}")
    if (sign := sign_used_as_number(layers)) is not None:
        _refuse(sign, "is a sign whose value is used as a number")
    fusion = _Fusion(layers, quantization)
    for index, layer in enumerate(fusion.layers):
        fusion.values.append(_HANDLERS[type(layer)](fusion, index, layer))
    builder = fusion.builder
    return builder.finish(builder.store(fusion.computed(len(layers) - 1)))


def _refuse(layer: Layer, why: str) -> NoReturn:
    raise BihrnetError(
        f"layer {layer.name} {why}, which the engine cannot run; "
        "export the network to .onnx instead"
    )


class _Fusion:
    """State: the value of every layer so far.

    Attributes:
        signs: of every Sign layer, its bits tensor and the channels whose bits are negated.
        folded: layers whose value is a convolution's with all affine layers so far folded in.
    """

    def __init__(self, layers: Sequence[AnyLayer], quantization: Quantization | None) -> None:
        self.layers, self.orders = arrange(layers)
        self.quantization = quantization
        inputs = [index for layer in layers for index in layer.inputs]
        self.users = np.bincount(inputs, minlength=len(layers))
        self.builder = GraphBuilder()
        self.values: list[Lazy] = []
        self.signs: dict[int, tuple[str, NDArray[np.bool_]]] = {}
        self.folded: set[int] = set()

    def affine_done(self, lazy: Lazy, name: str) -> Value:
        """The value with its affine part computed, its up-sampling not."""
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

        return self.builder.carry_on(name, lazy.value, steps)

    def settled(self, index: int) -> tuple[Value, int]:
        """The layer's value, affine part computed, and its pending up-sampling."""
        lazy = self.values[index]
        value = self.affine_done(lazy, self.layers[index].name)
        self.values[index] = Lazy.of(value, lazy.factor)
        return value, lazy.factor

    def computed(self, index: int) -> Value:
        """The layer's value as it is."""
        value, factor = self.settled(index)
        if factor > 1:
            value = self.builder.load(self.layers[index].name, value, factor)
            self.values[index] = Lazy.of(value)
        return value

    def times(self, index: int, factor: float) -> Value:
        """The layer's value times a number; the layer itself stays as it is for other readers."""
        lazy = self.scaled(index, np.full(self.values[index].value.channels, factor))
        value = self.affine_done(lazy, self.layers[index].name)
        if lazy.factor > 1:
            value = self.builder.load(self.layers[index].name, value, lazy.factor)
        return value

    def image(self, index: int, layer: Image) -> Lazy:
        return Lazy.of(Value(IMAGE, 3, (), tensor=IMAGE))

    def convolution(self, index: int, layer: Convolution) -> Lazy:
        if layer.groups > 1:
            _refuse(layer, f"is a convolution in {layer.groups} groups")
        weight = layer.weight[self.orders[index]][..., self.orders[layer.inputs[0]]]
        mul, add = layer.mul[self.orders[index]], layer.add[self.orders[index]]
        make = {"binary": self.binary, "ternary": self.ternary, "real": self.real}[layer.kind]
        self.folded.add(index)
        return Lazy.of(make(layer, weight, mul, add))

    def binary(
        self, layer: Convolution, weight: NDArray[np.float32], mul: Floats, add: Floats
    ) -> Value:
        if layer.inputs[0] not in self.signs:
            _refuse(layer, "is a binary convolution of something that is no sign")
        tensor, flip = self.signs[layer.inputs[0]]
        return self.start(ConvBinary, layer, tensor, pack_weight(weight, flip), mul, add)

    def ternary(
        self, layer: Convolution, weight: NDArray[np.float32], mul: Floats, add: Floats
    ) -> Value:
        if layer.stride != 1:
            _refuse(layer, f"is a ternary convolution of stride {layer.stride}")
        if isinstance(self.layers[layer.inputs[0]], Image):
            _refuse(layer, "is a ternary convolution of the image")
        value = self.computed(layer.inputs[0])
        steps = None if self.quantization is None else self.quantization.get(layer.inputs[0])
        if steps is None:
            tensor = self.builder.store(value)
        else:
            tensor, mul = self.builder.quantize(value, *steps), mul / steps[0]
        return self.start(ConvTernary, layer, tensor, pack_ternary(weight), mul, add)

    def real(
        self, layer: Convolution, weight: NDArray[np.float32], mul: Floats, add: Floats
    ) -> Value:
        source = layer.inputs[0]
        steps = None if self.quantization is None else self.quantization.get(source)
        if isinstance(self.layers[source], Image):
            offset = self.builder.constant(IMAGE_OFFSET)
            scaled = weight * IMAGE_STEP
            if self.quantization is None:
                return self.start(
                    Conv, layer, IMAGE, compact(scaled, lossless=True), mul, add, offset=offset
                )
            whole, scale = quantize_weight(scaled)
            return self.start(ConvInt8, layer, IMAGE, whole, mul * scale, add, offset=offset)
        value = self.computed(source)
        if steps is None:
            tensor = self.builder.store(value)
            lossless = self.quantization is None
            compacted = compact(weight, lossless=lossless)
            return self.start(Conv, layer, tensor, compacted, mul, add, one_pixel=value.one_pixel)
        inverse_scale, zero_point = steps
        tensor = self.builder.quantize(value, inverse_scale, zero_point)
        whole, scale = quantize_weight(weight)
        return self.start(ConvInt8, layer, tensor, whole, mul * scale / inverse_scale, add)

    def start(
        self,
        kind: Any,
        layer: Convolution,
        tensor: str,
        weight: NDArray[Any],
        mul: Floats,
        add: Floats,
        **fields: Any,
    ) -> Value:
        if kind is not ConvTernary:
            fields["stride"] = layer.stride
        return self.builder.start(
            kind,
            layer.name,
            tensor,
            layer.channels,
            mul=mul,
            add=add,
            weight=self.builder.constant(weight),
            padding=layer.padding,
            **fields,
        )

    def max_pool(self, index: int, layer: MaxPool) -> Lazy:
        tensor = self.builder.store(self.computed(layer.inputs[0]))
        value = self.builder.start(
            MaxPoolOp,
            layer.name,
            tensor,
            layer.channels,
            kernel=layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
        )
        return Lazy.of(value)

    def affine(self, index: int, layer: Affine) -> Lazy:
        source = layer.inputs[0]
        mul, add = layer.mul[self.orders[index]], layer.add[self.orders[index]]
        if source in self.folded and self.users[source] == 1:
            self.folded.add(index)
        return self.scaled(source, mul, add)

    def scaled(self, source: int, mul: Floats, add: Floats | float = 0.0) -> Lazy:
        """A layer's value * mul + add: folded into its convolution if nobody else reads it."""
        lazy = self.values[source]
        if source in self.folded and self.users[source] == 1:
            ((chain, _),) = lazy.value.parts
            chain.fold(mul, add)
            return lazy
        return Lazy(lazy.value, lazy.mul * mul, lazy.add * mul + add, lazy.factor)

    def sign(self, index: int, layer: Sign) -> Lazy:
        lazy = self.values[layer.inputs[0]]
        value = lazy.value
        if lazy.factor > 1:
            value = self.builder.load(layer.name, value, lazy.factor)
        threshold, flip = sign_threshold(lazy.mul, lazy.add)
        self.signs[index] = self.builder.sign(value, threshold), flip
        return lazy

    def pointwise(self, index: int, layer: Layer, steps: Callable[[slice], list[Step]]) -> Lazy:
        """Steps that commute with up-sampling."""
        value, factor = self.settled(layer.inputs[0])
        return Lazy.of(self.builder.carry_on(layer.name, value, steps), factor)

    def relu(self, index: int, layer: Relu) -> Lazy:
        return self.pointwise(index, layer, lambda _: [ReluStep()])

    def sigmoid(self, index: int, layer: Sigmoid) -> Lazy:
        return self.pointwise(index, layer, lambda _: [SigmoidStep()])

    def prelu(self, index: int, layer: Prelu) -> Lazy:
        slope = layer.slope[self.orders[index]]

        def steps(part: slice) -> list[Step]:
            return [PreluStep(self.builder.constant(slope[part]))]

        return self.pointwise(index, layer, steps)

    def sum(self, index: int, layer: Sum) -> Lazy:
        """One summand's op adds the other: the later one's where that is possible."""
        for shortcut, summand in (layer.inputs, layer.inputs[::-1]):
            short = self.layers[shortcut]
            if isinstance(short, GroupMean | Repeat):
                return self.shortcut_sum(layer, short, summand)
        terms = [self.settled(source) for source in layer.inputs]
        common = min(factor for _, factor in terms)
        pairs = [
            (host, other, factor // common)
            for (host, own), (other, factor) in (terms, terms[::-1])
            if own == common
        ]
        pairs.sort(key=lambda pair: max((c.number for c, _ in pair[0].parts), default=-1))
        possible = [pair for pair in pairs if self.builder.can_carry_on(pair[0], pair[1])]
        host, other, factor = (possible or pairs)[-1]

        def steps(part: slice) -> list[Step]:
            return [AddStep(self.builder.store(other), part.start, factor)]

        return Lazy.of(self.builder.carry_on(layer.name, host, steps, other), common)

    def shortcut_sum(self, layer: Sum, short: GroupMean | Repeat, summand: int) -> Lazy:
        """Adds ranges of the wider value, or copies of the narrower one, to the other summand.

        A mean of r ranges is their sum over r, so the other summand is multiplied by r before.
        """
        ranges = short.factor if isinstance(short, GroupMean) else 1
        host = self.times(summand, float(ranges)) if ranges > 1 else self.computed(summand)
        wide = self.computed(short.inputs[0])
        if len(host.parts) > 1:
            host = self.builder.load(layer.name, host)

        def steps(part: slice) -> list[Step]:
            starts = range(0, ranges * layer.channels, layer.channels)
            return [AddStep(self.builder.store(wide), start) for start in starts]

        value = self.builder.carry_on(layer.name, host, steps, wide)
        lazy = Lazy.of(value)
        return Lazy(value, lazy.mul / ranges, lazy.add)

    def multiply(self, index: int, layer: Multiply) -> Lazy:
        value, gate = (self.computed(source) for source in layer.inputs)
        if not gate.one_pixel:
            _refuse(layer, "is a product of two images")
        if len(value.parts) > 1:
            value = self.builder.load(layer.name, value)

        def steps(_: slice) -> list[Step]:
            return [MultiplyStep(self.builder.store(gate))]

        return Lazy.of(self.builder.carry_on(layer.name, value, steps, gate))

    def mean(self, index: int, layer: Mean) -> Lazy:
        value, _ = self.settled(layer.inputs[0])  # up-sampling to the nearest keeps the mean
        return Lazy.of(self.builder.mean(layer.name, value))

    def upsample(self, index: int, layer: Upsample) -> Lazy:
        lazy = self.values[layer.inputs[0]]
        return Lazy(lazy.value, lazy.mul, lazy.add, lazy.factor * layer.factor)

    def concat(self, index: int, layer: Concat) -> Lazy:
        values = [self.computed(source) for source in layer.inputs]
        loaded = [v if v.parts else self.builder.load(layer.name, v) for v in values]
        parts = tuple(part for value in loaded for part in value.parts)
        return Lazy.of(Value(layer.name, layer.channels, parts))

    def shortcut(self, index: int, layer: GroupMean | Repeat) -> Lazy:
        """Left to the sum that reads it."""
        return self.values[layer.inputs[0]]

    def permute(self, index: int, layer: Permute) -> Lazy:
        """Costs nothing: the stored order is the same."""
        return self.values[layer.inputs[0]]


_HANDLERS: dict[type[Layer], Callable[[_Fusion, int, Any], Lazy]] = {
    Image: _Fusion.image,
    Convolution: _Fusion.convolution,
    MaxPool: _Fusion.max_pool,
    Affine: _Fusion.affine,
    Relu: _Fusion.relu,
    Prelu: _Fusion.prelu,
    Sigmoid: _Fusion.sigmoid,
    Sign: _Fusion.sign,
    Sum: _Fusion.sum,
    Multiply: _Fusion.multiply,
    Mean: _Fusion.mean,
    Upsample: _Fusion.upsample,
    Concat: _Fusion.concat,
    Permute: _Fusion.permute,
    Repeat: _Fusion.shortcut,
    GroupMean: _Fusion.shortcut,
}
