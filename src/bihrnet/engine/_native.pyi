"""Types of the compiled module; see native/src/bindings.cpp."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float32]

#: Channels in a block.
LANES: int
MAX_THREADS: int

def usable_isas() -> list[str]: ...
def check_isa(name: str) -> str: ...

class Network:
    def __init__(self) -> None: ...
    def tensor(
        self,
        type: str,
        height: int,
        width: int,
        channels: int,
        inverse_scale: float = 1.0,
        zero_point: int = 0,
    ) -> int: ...
    def conv_real(
        self,
        input: int,
        weight: NDArray[Any],
        stride: int,
        pad_y: int,
        pad_x: int,
        scale: _Floats,
        shift: _Floats,
        zero_points: _Floats,
    ) -> None: ...
    def conv_bytes(
        self,
        input: int,
        weight: NDArray[Any],
        stride: int,
        pad_y: int,
        pad_x: int,
        scale: _Floats,
        shift: _Floats,
        zero_points: _Floats,
    ) -> None: ...
    def conv_binary(
        self,
        input: int,
        weight: NDArray[Any],
        stride: int,
        pad_y: int,
        pad_x: int,
        scale: _Floats,
        shift: _Floats,
    ) -> None: ...
    def conv_ternary(
        self,
        input: int,
        positive: NDArray[Any],
        negative: NDArray[Any],
        pad_y: int,
        pad_x: int,
        scale: _Floats,
        shift: _Floats,
    ) -> None: ...
    def load(self, input: int, upsample: int) -> None: ...
    def max_pool(self, input: int, kernel: int, stride: int, padding: int) -> None: ...
    def step_add(self, tensor: int, channel: int, upsample: int) -> None: ...
    def step_multiply(self, tensor: int) -> None: ...
    def step_scale(self, scale: _Floats) -> None: ...
    def step_shift(self, shift: _Floats) -> None: ...
    def step_relu(self) -> None: ...
    def step_prelu(self, slope: _Floats) -> None: ...
    def step_sigmoid(self) -> None: ...
    def step_store(self, tensor: int, channel: int) -> None: ...
    def step_store_bits(self, tensor: int, channel: int, threshold: _Floats) -> None: ...
    def step_store_mean(self, tensor: int, channel: int) -> None: ...
    def ends(self, input: int, output: int) -> None: ...

class Engine:
    def __init__(self, network: Network, isa: str, threads: int) -> None: ...
    def run(self, images: NDArray[np.uint8], heatmaps: _Floats) -> None: ...
    def measure(self, image: NDArray[np.uint8], runs: int) -> list[float]: ...
    @property
    def output_shape(self) -> list[int]: ...
    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def arena_bytes(self) -> int: ...
