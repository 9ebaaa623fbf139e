"""What a network consists of for the exporters: a list of layers, without torch.

Tracing yields this list; fusion turns it into an op graph, others into ONNX or OpenVINO. A layer's
inputs are the numbers of earlier layers, and each layer has one output: a value of `channels`
channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
    """The network's input: RGB, normalised."""


@dataclass(frozen=True, kw_only=True)
class Convolution(Layer):
    """Real-valued or binary convolution, zero padding.

    `weight` is float32 (out, kernel height, kernel width, in / groups); binary: latent weights, of
    which the sign counts. `mul` and `add`, float64 (out,), follow the sum: a binary convolution's
    scaling factor, a bias.
    """

    weight: NDArray[np.float32]
    mul: Floats
    add: Floats
    stride: int
    padding: tuple[int, int]
    binary: bool
    groups: int = 1


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
class AveragePool(Layer):
    """Mean of every square of `factor` x `factor` pixels."""

    factor: int


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
class Sign(Layer):
    """-1 where x < 0, else +1."""


@dataclass(frozen=True, kw_only=True)
class Sum(Layer):
    """Of two values of one size."""


@dataclass(frozen=True, kw_only=True)
class Multiply(Layer):
    """The first value times the second, which has one pixel or as many as the first."""


@dataclass(frozen=True, kw_only=True)
class Mean(Layer):
    """Over all pixels."""


@dataclass(frozen=True, kw_only=True)
class Upsample(Layer):
    """To the nearest."""

    factor: int


@dataclass(frozen=True, kw_only=True)
class BilinearUpsample(Layer):
    """Bilinear; the centres of the corner pixels stay where they are."""

    factor: int


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
    | Deconvolution
    | MaxPool
    | AveragePool
    | Affine
    | Relu
    | Relu6
    | Prelu
    | Sigmoid
    | Sign
    | Sum
    | Multiply
    | Mean
    | Upsample
    | BilinearUpsample
    | Slice
    | Concat
    | Permute
    | Repeat
    | GroupMean
)
