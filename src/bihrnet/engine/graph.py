"""The op graph of a `.bhr` file: what the engine executes, as plain dataclasses.

`docs/engine-format.md` gives the exact meaning of everything here. In short: tensors are NHWC (the
batch is implicit) and hold f32 values, packed sign bits or unsigned 8-bit values. Ops run in the
order of the list. Every op yields one f32 value per pixel and channel and sends it through its
steps, which add, activate and store it in as many forms as there are readers. Constants are the
file's safetensors entries, referred to by name. Heights and widths follow from the input's size
(`bihrnet.engine.validation.infer_sizes`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal, TypeAlias

TensorType = Literal["f32", "bits", "u8"]


@dataclass(frozen=True)
class Tensor:
    """A buffer of height x width x channels elements per image.

    Attributes:
        name: unique in the graph.
        type: "f32"; "bits", packed signs, 1 = negative; "u8", quantized values.
        channels: channels, innermost. Bits of one pixel fill ceil(channels / 64) words.
        inverse_scale: u8 only, quantized steps per unit: q = clamp(round(v * inverse_scale) +
            zero_point, 0, 255). The image has 1: its values are the pixels themselves.
        zero_point: u8 only, the q of v = 0.
    """

    name: str
    type: TensorType
    channels: int
    inverse_scale: float = 1.0
    zero_point: int = 0


# Steps: what happens to an op's value v, in the order of the op's list. A tensor's channels from
# `channel` on are those that the op's channels 0, 1, ... read or write.


@dataclass(frozen=True)
class AddStep:
    """v += tensor[y // upsample, x // upsample, channel + c] of an f32 tensor (nearest).

    Where the op has a multiple of the tensor's channels, these repeat: c % channels, `channel` 0.
    """

    tensor: str
    channel: int = 0
    upsample: int = 1


@dataclass(frozen=True)
class MultiplyStep:
    """v *= tensor[0, 0, c] of an f32 tensor of 1 x 1 pixels."""

    tensor: str


@dataclass(frozen=True)
class ReluStep:
    """v = max(v, 0)."""


@dataclass(frozen=True)
class PreluStep:
    """v = v if v >= 0 else v * slope[c]; `slope` names an f32 constant (op channels,)."""

    slope: str


@dataclass(frozen=True)
class ScaleStep:
    """v *= scale[c]; `scale` names an f32 constant (op channels,)."""

    scale: str


@dataclass(frozen=True)
class ShiftStep:
    """v += shift[c]; `shift` names an f32 constant (op channels,)."""

    shift: str


@dataclass(frozen=True)
class SigmoidStep:
    """v = 1 / (1 + exp(-v))."""


@dataclass(frozen=True)
class StoreStep:
    """tensor[y, x, channel + c] = v, an f32 tensor."""

    tensor: str
    channel: int = 0


@dataclass(frozen=True)
class SignStep:
    """tensor[y, x, channel + c] = (v < threshold[c]), a bits tensor.

    `threshold` names an f32 constant (op channels,); it may hold infinities, never NaN.
    """

    tensor: str
    threshold: str
    channel: int = 0


@dataclass(frozen=True)
class QuantizeStep:
    """tensor[y, x, channel + c] = v quantized, a u8 tensor (see `Tensor`)."""

    tensor: str
    channel: int = 0


@dataclass(frozen=True)
class MeanStep:
    """tensor[0, 0, channel + c] = mean of v over all pixels, an f32 tensor of 1 x 1 pixels."""

    tensor: str
    channel: int = 0


WriteStep: TypeAlias = StoreStep | SignStep | QuantizeStep | MeanStep
Step: TypeAlias = (
    AddStep | MultiplyStep | ReluStep | PreluStep | ScaleStep | ShiftStep | SigmoidStep | WriteStep
)


# Ops: where v comes from. `name` is the torch layer's, for messages and profiles.


@dataclass(frozen=True)
class Conv:
    """Real-valued convolution in f32: v = sum(w * x) * mul + add over taps inside the input.

    `weight` is F16 or F32 (out, kernel height, kernel width, in). The input is f32 and x its value;
    or it is the image and x = pixel - offset, an f32 constant (3,).
    """

    name: str
    input: str
    weight: str
    mul: str
    add: str
    stride: int
    padding: tuple[int, int]
    steps: tuple[Step, ...]
    offset: str | None = None


@dataclass(frozen=True)
class ConvInt8:
    """Real-valued convolution in integers: v = float(sum(w * x)) * mul + add.

    `weight` is I8 (out, kernel height, kernel width, in). The input is u8 and x = q - zero point,
    the sum exact in int32; or it is the image and x = pixel - offset, an f32 constant (3,). Taps
    outside the input add nothing. The scales of both are part of `mul`.
    """

    name: str
    input: str
    weight: str
    mul: str
    add: str
    stride: int
    padding: tuple[int, int]
    steps: tuple[Step, ...]
    offset: str | None = None


@dataclass(frozen=True)
class ConvBinary:
    """Binary convolution: v = float(sum over taps inside the input of +-1 * +-1) * mul + add.

    `weight` is U64 (out, kernel height, kernel width, ceil(in / 64)), bit 1 = negative, channel c
    in bit c % 64 of word c // 64, pad bits 0; the input is bits. A tap inside the input adds
    in - 2 * popcount(w xor x); a tap outside adds nothing.
    """

    name: str
    input: str
    weight: str
    mul: str
    add: str
    stride: int
    padding: tuple[int, int]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class ConvTernary:
    """Convolution with weights -1, 0 and +1: v = float(sum(w * x)) * mul + add.

    `weight` is U64 (2, out, kernel height, kernel width, ceil(in / 64)): bits of the weights that
    are +1, then of those that are -1, packed as in `ConvBinary`. The input is f32 and x its value,
    or it is u8 and x = q - zero point, the sum exact. Taps outside the input add nothing.
    """

    name: str
    input: str
    weight: str
    mul: str
    add: str
    padding: tuple[int, int]
    steps: tuple[Step, ...]

    @property
    def stride(self) -> int:
        """Other convolutions have a choice."""
        return 1


@dataclass(frozen=True)
class MaxPool:
    """v = largest value of a window of kernel x kernel pixels of an f32 tensor, channel by channel.

    Windows lie as those of a convolution; what is outside the input does not count.
    """

    name: str
    input: str
    kernel: int
    stride: int
    padding: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Load:
    """v = input[y // upsample, x // upsample, c] of an f32 tensor: sums and gates start so."""

    name: str
    input: str
    steps: tuple[Step, ...]
    upsample: int = 1


AnyConv: TypeAlias = Conv | ConvInt8 | ConvBinary | ConvTernary
Op: TypeAlias = AnyConv | MaxPool | Load

#: The name of each op in the file, its key "op".
OPS: dict[str, type[Op]] = {
    "conv": Conv,
    "conv_int8": ConvInt8,
    "conv_binary": ConvBinary,
    "conv_ternary": ConvTernary,
    "max_pool": MaxPool,
    "load": Load,
}
#: The name of each step in the file, its key "step".
STEPS: dict[str, type[Step]] = {
    "add": AddStep,
    "multiply": MultiplyStep,
    "relu": ReluStep,
    "prelu": PreluStep,
    "scale": ScaleStep,
    "shift": ShiftStep,
    "sigmoid": SigmoidStep,
    "store": StoreStep,
    "sign": SignStep,
    "quantise": QuantizeStep,  # as the files of format 1 spell it
    "mean": MeanStep,
}
_CONSTANT_FIELDS = ("weight", "mul", "add", "offset", "slope", "scale", "shift", "threshold")


@dataclass(frozen=True)
class Graph:
    """A network: ops in execution order over named tensors.

    `input` is the u8 image of three channels, RGB; `output` the f32 heatmaps, a channel per joint.
    """

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    input: str
    output: str


def op_reads(op: Op) -> tuple[str, ...]:
    """Names of the tensors that an op reads, its input first."""
    read = [step.tensor for step in op.steps if isinstance(step, AddStep | MultiplyStep)]
    return (op.input, *read)


def op_writes(op: Op) -> tuple[str, ...]:
    """Names of the tensors that an op writes, in the order of its steps."""
    return tuple(step.tensor for step in op.steps if isinstance(step, WriteStep))


def constant_fields(record: Op | Step) -> Iterator[tuple[str, str]]:
    """Role and name of the constants that an op, steps apart, or a step uses."""
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name in _CONSTANT_FIELDS and value is not None:
            yield field.name, value


def op_constants(op: Op) -> tuple[str, ...]:
    """Names of the constants that an op and its steps use."""
    return tuple(name for part in (op, *op.steps) for _, name in constant_fields(part))


def packed_words(channels: int) -> int:
    """64-bit words that hold one bit per channel."""
    return -(-channels // 64)
