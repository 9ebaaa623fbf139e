"""8-bit ranges of activations, measured on real crops.

Input: a traced network, its layers and crops. Output: a `Quantization` for every value that a
convolution of an int8 model reads as 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.folding import Quantization
from bihrnet.export.ir import AnyLayer, Convolution, Image, Mean
from bihrnet.model import ModelSpec
from bihrnet.nn.torch_model import TorchModel

#: Values kept of each activation and batch; enough for a range, small enough for memory.
SAMPLES = 1 << 14
BATCH = 8


def calibrate(
    traced: fx.GraphModule,
    indices: Mapping[fx.Node, int],
    layers: Sequence[AnyLayer],
    spec: ModelSpec,
    crops: NDArray[np.uint8],
) -> dict[int, Quantization]:
    """Quantization of the inputs of real-valued and ternary convolutions.

    Inputs of one pixel (squeeze and excitation) stay in floats, and the image is 8 bits already.

    Args:
        traced: the network.
        indices: for each of its nodes, the index of the layer.
        layers: its layers.
        spec: what the network expects.
        crops: (N, h, w, 3) uint8 RGB.

    Returns:
        By index of the layer whose output is quantized.

    Raises:
        BihrnetError: a layer gives values that are not finite.
    """
    samples: dict[int, list[NDArray[np.float32]]] = {
        index: [] for index in sorted(_quantized_values(layers))
    }
    random = np.random.default_rng(0)

    def observe(node: fx.Node, output: Tensor) -> None:
        index = indices.get(node)
        if index in samples:
            flat = output.flatten().numpy()
            chosen = random.choice(flat, min(SAMPLES, flat.size), replace=False)
            samples[index].append(np.append(chosen, [flat.min(), flat.max()]))

    model = TorchModel(_Observed(traced, observe), spec)
    for start in range(0, len(crops), BATCH):
        model(crops[start : start + BATCH])
    return {
        index: quantization_range(np.concatenate(parts), layers[index].name)
        for index, parts in samples.items()
    }


def quantization_range(samples: NDArray[np.float32], name: str) -> Quantization:
    """The quantization with the least mean squared error on samples of a value.

    Both ends of the range may be clipped, independently: rare large values cost less than coarse
    steps for all others. Zero is always represented exactly, as zero padding demands.

    Args:
        samples: values, of any shape.
        name: of the layer, for the message.

    Raises:
        BihrnetError: a sample is not finite.
    """
    if not np.isfinite(samples).all():
        raise BihrnetError(f"layer {name} gives values that are not finite on the calibration data")
    low, high = min(float(samples.min()), 0.0), max(float(samples.max()), 0.0)
    if low == high:
        return Quantization(1.0, 0)
    shares = np.geomspace(0.1, 1, 40)
    high = min(high * shares, key=lambda end: _squared_error(samples, _of_range(low, end)))
    low = min(low * shares, key=lambda end: _squared_error(samples, _of_range(end, high)))
    return _of_range(low, high)


def _of_range(low: float, high: float) -> Quantization:
    inverse_scale = float(np.float32(255 / (high - low)))
    return Quantization(inverse_scale, int(np.clip(np.rint(-low * inverse_scale), 0, 255)))


def _squared_error(samples: NDArray[np.float32], quantization: Quantization) -> float:
    inverse_scale, zero_point = quantization
    steps = np.clip(np.rint(samples * np.float32(inverse_scale)) + zero_point, 0, 255)
    error = (steps - zero_point) / inverse_scale - samples
    return float(np.mean(np.square(error, dtype=np.float64)))


def _quantized_values(layers: Sequence[AnyLayer]) -> set[int]:
    """Layers of more than one pixel that real-valued and ternary convolutions read."""
    one_pixel: set[int] = set()
    for index, layer in enumerate(layers):
        if isinstance(layer, Mean) or (layer.inputs and one_pixel.issuperset(layer.inputs)):
            one_pixel.add(index)
    inputs = {
        layer.inputs[0]
        for layer in layers
        if isinstance(layer, Convolution) and layer.kind != "binary"
    }
    return {index for index in inputs - one_pixel if not isinstance(layers[index], Image)}


class _Observed(nn.Module):
    """Runs a traced network and shows the output of every node to a function."""

    def __init__(self, traced: fx.GraphModule, observe: Callable[[fx.Node, Tensor], None]) -> None:
        super().__init__()
        self._interpreter = _Interpreter(traced, observe)

    def forward(self, x: Tensor) -> Tensor:
        return self._interpreter.run(x)


class _Interpreter(fx.Interpreter):
    """Observes each output right away: a later in-place activation would change it."""

    def __init__(self, traced: fx.GraphModule, observe: Callable[[fx.Node, Tensor], None]) -> None:
        super().__init__(traced)
        self._observe = observe

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        self._observe(n, output)
        return output
