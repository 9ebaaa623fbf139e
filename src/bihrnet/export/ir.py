"""The intermediate representation (IR) that all exporters share: a list of layers, without torch.

`bihrnet.export.trace` makes this list from a torch module. `bihrnet.export.bhr` turns it into the
engine's op graph, `bihrnet.export.onnx` into ONNX, `bihrnet.bench.openvino_graph` into OpenVINO IR.

Layers are in execution order, the image first and the network's output last. The inputs of a layer
are indices into the list; every layer has one output, a value of (N, channels, h, w).
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
    """What all layers have in common.

    Attributes:
        name: path of the torch module, or name of the traced function, for messages and profiles.
        inputs: indices of the layers whose outputs this layer reads.
        channels: number of channels of the output.
    """

    name: str
    inputs: tuple[int, ...]
    channels: int


@dataclass(frozen=True, kw_only=True)
class Image(Layer):
    """The network's input: RGB, normalized with ImageNet's mean and deviation."""


@dataclass(frozen=True, kw_only=True)
class Convolution(Layer):
    """y = convolution(x, weight) * mul + add with zero padding; real-valued, binary or ternary.

    Attributes:
        weight: (out, kernel height, kernel width, in / groups) float32. Binary: latent weights, of
            which only the sign is used. Ternary: -1, 0 and +1.
        mul: (out,), the scaling factor of a binary convolution, otherwise 1.
        add: (out,), the bias.
        stride: of both axes.
        padding: (rows, columns).
        kind: arithmetic of the convolution.
        groups: number of groups.
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
    """y = sum over k of attention[k] * convolution(x, weight[k]) with zero padding, without bias.

    The inputs are x and the attention, (N, kernels, 1, 1).

    Attributes:
        weight: (kernels, out, kernel height, kernel width, in / groups) float32.
        stride: of both axes.
        padding: (rows, columns).
        groups: number of groups.
    """

    weight: NDArray[np.float32]
    stride: int
    padding: tuple[int, int]
    groups: int


@dataclass(frozen=True, kw_only=True)
class Deconvolution(Layer):
    """Transposed convolution without bias.

    Attributes:
        weight: (in, out, kernel height, kernel width) float32.
        stride: of both axes.
        padding: (rows, columns).
    """

    weight: NDArray[np.float32]
    stride: int
    padding: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class MaxPool(Layer):
    """Maximum over kernel x kernel windows; padding is ignored."""

    kernel: int
    stride: int
    padding: int


@dataclass(frozen=True, kw_only=True)
class FractionalMaxPool(Layer):
    """Maximum over 2x2 windows, floor(ratio * side) of them along each axis.

    Window i starts at pixel floor((i + 0.5) / ratio - 0.5).
    """

    ratio: float


@dataclass(frozen=True, kw_only=True)
class AveragePool(Layer):
    """Mean over adjacent factor x factor windows.

    Attributes:
        factor: side and stride of the windows.
        ceil_mode: whether windows may reach beyond the last row and column; the mean is then over
            the pixels inside.
    """

    factor: int
    ceil_mode: bool = False


@dataclass(frozen=True, kw_only=True)
class Affine(Layer):
    """y = x * mul + add per channel: BatchNorm, learned shifts, constant factors and terms."""

    mul: Floats
    add: Floats


@dataclass(frozen=True, kw_only=True)
class Relu(Layer):
    """y = max(x, 0)."""


@dataclass(frozen=True, kw_only=True)
class Relu6(Layer):
    """y = min(max(x, 0), 6)."""


@dataclass(frozen=True, kw_only=True)
class Prelu(Layer):
    """y = x if x >= 0 else slope * x, per channel."""

    slope: Floats


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Layer):
    """y = 1 / (1 + exp(-x))."""


@dataclass(frozen=True, kw_only=True)
class HardSigmoid(Layer):
    """y = min(max(x + 3, 0), 6) / 6."""


@dataclass(frozen=True, kw_only=True)
class HardSwish(Layer):
    """y = x * hard_sigmoid(x)."""


@dataclass(frozen=True, kw_only=True)
class SpatialSoftmax(Layer):
    """Softmax over the pixels of each channel times h * w, so that the mean is 1."""


@dataclass(frozen=True, kw_only=True)
class Sign(Layer):
    """y = -1 if x < 0 else +1."""


@dataclass(frozen=True, kw_only=True)
class Sum(Layer):
    """Elementwise sum of two values of the same shape."""


@dataclass(frozen=True, kw_only=True)
class Multiply(Layer):
    """Elementwise product; the second value may have one pixel or one channel (broadcast)."""


@dataclass(frozen=True, kw_only=True)
class Mean(Layer):
    """Mean over all pixels, (N, channels, 1, 1)."""


@dataclass(frozen=True, kw_only=True)
class Upsample(Layer):
    """Nearest-neighbor up-sampling by an integer factor."""

    factor: int


@dataclass(frozen=True, kw_only=True)
class Crop(Layer):
    """Removes the last `rows` rows and `columns` columns."""

    rows: int
    columns: int


@dataclass(frozen=True, kw_only=True)
class BilinearUpsample(Layer):
    """Bilinear up-sampling by an integer factor, corners aligned."""

    factor: int


@dataclass(frozen=True, kw_only=True)
class BilinearResize(Layer):
    """Bilinear up-sampling of the first value to the size of the second, corners aligned."""


@dataclass(frozen=True, kw_only=True)
class Slice(Layer):
    """A range of channels: y[c] = x[start + c]."""

    start: int


@dataclass(frozen=True, kw_only=True)
class Concat(Layer):
    """Concatenation along the channels."""


@dataclass(frozen=True, kw_only=True)
class Permute(Layer):
    """Reorders channels: y[c] = x[order[c]]."""

    order: tuple[int, ...]

    @property
    def shuffle_groups(self) -> int | None:
        """Number of groups g where this is the channel shuffle of ShuffleNet, otherwise None.

        Such a shuffle views the channels as (g, n) and transposes them to (n, g).
        """
        order = np.array(self.order)
        width = int(order[1]) if len(order) > 1 and order[1] else len(order)
        if len(order) % width:
            return None
        shuffled = np.arange(len(order)).reshape(-1, width).T.ravel()
        return len(order) // width if np.array_equal(order, shuffled) else None


@dataclass(frozen=True, kw_only=True)
class Repeat(Layer):
    """Repeats every channel: y[c] = x[c // factor]."""

    factor: int


@dataclass(frozen=True, kw_only=True)
class GroupMean(Layer):
    """Mean over groups of adjacent channels: y[c] = mean(x[factor * c : factor * (c + 1)])."""

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


def find_sign_used_as_number(layers: Sequence[AnyLayer]) -> Sign | None:
    """The first sign that is the output or is read by anything but a binary convolution.

    Backends that store signs as bits cannot run such a network.
    """
    signs = {index: layer for index, layer in enumerate(layers) if isinstance(layer, Sign)}
    for layer in layers:
        if isinstance(layer, Convolution) and layer.kind == "binary":
            continue
        for source in layer.inputs:
            if source in signs:
                return signs[source]
    return signs.get(len(layers) - 1)
