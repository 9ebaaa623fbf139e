"""Ranges of activations for 8-bit convolutions, measured on real crops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from bihrnet.errors import BihrnetError
from bihrnet.export.ir import AnyLayer, Convolution, Image, Mean
from bihrnet.model import ModelSpec
from bihrnet.nn.torch_model import TorchModel

#: Values kept of each activation and batch; enough for a range, small enough for memory.
SAMPLES = 1 << 14
BATCH = 8


def calibrate(
    traced: fx.GraphModule,
    values: dict[fx.Node, int],
    layers: Sequence[AnyLayer],
    spec: ModelSpec,
    crops: NDArray[np.uint8],
) -> dict[int, tuple[float, int]]:
    """Quantization of the input of every real-valued or ternary convolution over an image.

    Args:
        traced: the network.
        values: the layer of each of its nodes.
        layers: its layers.
        spec: what it expects.
        crops: (N, h, w, 3) uint8 RGB.

    Returns:
        By layer index, the steps per unit (a float32 number) and the step of zero.
    """
    observer = _Observer(traced, values, _quantized_inputs(layers))
    session = TorchModel(observer, spec)
    for start in range(0, len(crops), BATCH):
        session(crops[start : start + BATCH])
    return {
        index: quantization_range(np.concatenate(samples), layers[index].name)
        for index, samples in observer.samples.items()
    }


def quantization_range(samples: NDArray[np.float32], name: str) -> tuple[float, int]:
    """Steps per unit and zero point with the least mean squared error on the samples.

    The range may cut off its ends, each by itself: rare large values cost less than coarse steps
    for all others. It always holds zero exactly, as padding demands.
    """
    if not np.isfinite(samples).all():
        raise BihrnetError(f"layer {name} gives values that are not finite on the calibration data")
    low, high = min(float(samples.min()), 0.0), max(float(samples.max()), 0.0)
    if low == high:
        return 1.0, 0
    shares = np.geomspace(0.1, 1, 40)
    high = min(high * shares, key=lambda end: _squared_error(samples, *_rounded(low, end)))
    low = min(low * shares, key=lambda end: _squared_error(samples, *_rounded(end, high)))
    return _rounded(low, high)


def _rounded(low: float, high: float) -> tuple[float, int]:
    inverse_scale = float(np.float32(255 / (high - low)))
    return inverse_scale, int(np.clip(np.rint(-low * inverse_scale), 0, 255))


def _squared_error(samples: NDArray[np.float32], inverse_scale: float, zero_point: int) -> float:
    steps = np.clip(np.rint(samples * np.float32(inverse_scale)) + zero_point, 0, 255)
    error = (steps - zero_point) / inverse_scale - samples
    return float(np.mean(np.square(error, dtype=np.float64)))


def _quantized_inputs(layers: Sequence[AnyLayer]) -> set[int]:
    """Layers that real-valued and ternary convolutions read, but for those of one pixel, which are
    too small.
    """
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


class _Observer(nn.Module):
    """Runs the network and keeps random samples of some layers' outputs."""

    def __init__(
        self, traced: fx.GraphModule, values: dict[fx.Node, int], wanted: set[int]
    ) -> None:
        super().__init__()
        self.samples: dict[int, list[NDArray[np.float32]]] = {index: [] for index in sorted(wanted)}
        self._interpreter = _Interpreter(traced, values, self._observe)
        self._random = np.random.default_rng(0)

    def forward(self, x: Tensor) -> Tensor:
        return self._interpreter.run(x)

    def _observe(self, index: int, output: Tensor) -> None:
        if index in self.samples:
            flat = output.flatten().numpy()
            chosen = self._random.choice(flat, min(SAMPLES, flat.size), replace=False)
            self.samples[index].append(np.append(chosen, [flat.min(), flat.max()]))


class _Interpreter(fx.Interpreter):
    """Tells of every layer's output at once: a later in-place activation would change it."""

    def __init__(
        self,
        traced: fx.GraphModule,
        values: dict[fx.Node, int],
        observe: Callable[[int, Tensor], None],
    ) -> None:
        super().__init__(traced)
        self._values = values
        self._observe = observe

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        if n in self._values:
            self._observe(self._values[n], output)
        return output
