"""What a network consists of for the exporters: a list of layers, without torch.

Tracing yields this list; fusion turns it into an op graph, others into ONNX or OpenVINO. A layer's
inputs are the numbers of earlier layers, and each layer has one output: a value of `channels`
channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ConvolutionKind = Literal["real", "binary", "ternary"]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Common to all layers.

    Attributes:
        name: of the torch layer or node, for messages and profiles.
        inputs: indices of the layers whose outputs come in.
        channels: of the output.
    """

    name: str
    inputs: tuple[int, ...]
    channels: int


@dataclass(frozen=True, kw_only=True)
class Image(Layer):
    """The network's input: RGB, normalized."""


@dataclass(frozen=True, kw_only=True)
class Convolution(Layer):
    """Real-valued, binary or ternary convolution, zero padding.

    `weight` is float32 (out, kernel height, kernel width, in / groups); binary: latent weights, of
    which the sign counts; ternary: -1, 0 and +1. `mul` and `add`, float64 (out,), follow the sum: a
    binary convolution's scaling factor, a bias.
    """

    weight: NDArray[np.float32]
    mul: Floats
    add: Floats
    stride: int
    padding: tuple[int, int]
    kind: ConvolutionKind = "real"
    groups: int = 1


@dataclass(frozen=True, kw_only=True)
class DynamicConvolution(Layer):
    """Sum of real-valued convolutions of the first value, each times a number of the second.

    The second value has one pixel and a channel for each kernel; `weight` is float32 (kernels, out,
    kernel height, kernel width, in / groups). Zero padding, no bias.
    """

    weight: NDArray[np.float32]
    stride: int
    padding: tuple[int, int]
    groups: int


@dataclass(frozen=True, kw_only=True)
class Deconvolution(Layer):
    """Transposed convolution, `weight` float32 (in, out, kernel height, kernel width), no bias."""

    weight: NDArray[np.float32]
    stride: int
    padding: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class MaxPool(Layer):
    """Largest value of square windows; outside the input nothing counts."""

    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True, kw_only=True)
class FractionalMaxPool(Layer):
    """Largest values of regular 2x2 squares, floor(ratio * side) of them along each side.

    Number i starts at pixel floor((i + 0.5) / ratio - 0.5).
    """

    ratio: float


@dataclass(frozen=True, kw_only=True)
class AveragePool(Layer):
    """Mean of every square of `factor` x `factor` pixels.

    `cut`: squares may reach over the last row and column; then they are cut.
    """

    factor: int
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Affine(Layer):
    """y = x * mul + add per channel: BatchNorm, shifts, constant factors."""

    mul: Floats
    add: Floats


@dataclass(frozen=True, kw_only=True)
class Relu(Layer):
    """max(x, 0)."""


@dataclass(frozen=True, kw_only=True)
class Relu6(Layer):
    """min(max(x, 0), 6)."""


@dataclass(frozen=True, kw_only=True)
class Prelu(Layer):
    """x where x >= 0, else slope * x, per channel."""

    slope: Floats


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Layer):
    """1 / (1 + exp(-x))."""


@dataclass(frozen=True, kw_only=True)
class HardSigmoid(Layer):
    """min(max(x + 3, 0), 6) / 6."""


@dataclass(frozen=True, kw_only=True)
class HardSwish(Layer):
    """x * hard sigmoid of x."""


@dataclass(frozen=True, kw_only=True)
class SpatialSoftmax(Layer):
    """Softmax over the pixels of each channel, times their number: the mean is 1."""


@dataclass(frozen=True, kw_only=True)
class Sign(Layer):
    """-1 where x < 0, else +1."""


@dataclass(frozen=True, kw_only=True)
class Sum(Layer):
    """Of two values of one size."""


@dataclass(frozen=True, kw_only=True)
class Multiply(Layer):
    """The first value times the second, which has the first's pixels and channels, or one."""


@dataclass(frozen=True, kw_only=True)
class Mean(Layer):
    """Over all pixels."""


@dataclass(frozen=True, kw_only=True)
class Upsample(Layer):
    """To the nearest."""

    factor: int


@dataclass(frozen=True, kw_only=True)
class Crop(Layer):
    """The value without its last `rows` rows and `columns` columns."""

    rows: int
    columns: int


@dataclass(frozen=True, kw_only=True)
class BilinearUpsample(Layer):
    """Bilinear; the centers of the corner pixels stay where they are."""

    factor: int


@dataclass(frozen=True, kw_only=True)
class BilinearResize(Layer):
    """The first value to the size of the second; corner pixels as in `BilinearUpsample`."""


@dataclass(frozen=True, kw_only=True)
class Slice(Layer):
    """y[c] = x[start + c] of channels."""

    start: int


@dataclass(frozen=True, kw_only=True)
class Concat(Layer):
    """Of the inputs' channels."""


@dataclass(frozen=True, kw_only=True)
class Permute(Layer):
    """y[c] = x[order[c]] of channels: a shuffle."""

    order: tuple[int, ...]

    @property
    def turns(self) -> int | None:
        """How many equal ranges of channels give one channel in turn; None of other orders."""
        order = np.array(self.order)
        stride = int(order[1]) if len(order) > 1 and order[1] else len(order)
        if len(order) % stride:
            return None
        in_turn = np.arange(len(order)).reshape(-1, stride).T.ravel()
        return len(order) // stride if np.array_equal(order, in_turn) else None


@dataclass(frozen=True, kw_only=True)
class Repeat(Layer):
    """y[c] = x[c // factor] of channels."""

    factor: int


@dataclass(frozen=True, kw_only=True)
class GroupMean(Layer):
    """y[c] = mean of x[factor * c], ... x[factor * c + factor - 1] of channels."""

    factor: int


AnyLayer: TypeAlias = (
    Image
    | Convolution
    | DynamicConvolution
    | Deconvolution
    | MaxPool
    | FractionalMaxPool
    | AveragePool
    | Affine
    | Relu
    | Relu6
    | Prelu
    | Sigmoid
    | HardSigmoid
    | HardSwish
    | SpatialSoftmax
    | Sign
    | Sum
    | Multiply
    | Mean
    | Upsample
    | Crop
    | BilinearUpsample
    | BilinearResize
    | Slice
    | Concat
    | Permute
    | Repeat
    | GroupMean
)


def sign_used_as_number(layers: Sequence[AnyLayer]) -> Sign | None:
    """A sign that something else than a binary convolution reads, or that is the output.

    Where signs are bits, they have no value.
    """
    signs = {index: layer for index, layer in enumerate(layers) if isinstance(layer, Sign)}
    for layer in layers:
        if isinstance(layer, Convolution) and layer.kind == "binary":
            continue
        for source in layer.inputs:
            if source in signs:
                return signs[source]
    return signs.get(len(layers) - 1)
