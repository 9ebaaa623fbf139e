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
    def conv(
        self,
        input: int,
        weight: NDArray[Any],
        stride: int,
        pad_y: int,
        pad_x: int,
        mul: _Floats,
        add: _Floats,
        offset: _Floats | None,
    ) -> None: ...
    def conv_int8(
        self,
        input: int,
        weight: NDArray[Any],
        stride: int,
        pad_y: int,
        pad_x: int,
        mul: _Floats,
        add: _Floats,
        offset: _Floats | None,
    ) -> None: ...
    def conv_binary(
        self,
        input: int,
        weight: NDArray[Any],
        stride: int,
        pad_y: int,
        pad_x: int,
        mul: _Floats,
        add: _Floats,
    ) -> None: ...
    def conv_ternary(
        self,
        input: int,
        positive: NDArray[Any],
        negative: NDArray[Any],
        pad_y: int,
        pad_x: int,
        mul: _Floats,
        add: _Floats,
    ) -> None: ...
    def load(self, input: int, upsample: int) -> None: ...
    def max_pool(self, input: int, kernel: int, stride: int, padding: int) -> None: ...
    def step(
        self,
        name: str,
        tensor: int = -1,
        channel: int = 0,
        upsample: int = 1,
        values: _Floats | None = None,
    ) -> None: ...
    def finish(self, input: int, output: int) -> None: ...

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
