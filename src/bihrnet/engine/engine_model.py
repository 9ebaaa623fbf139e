"""A `.bhr` model on the C++ engine: crops in, heatmaps out, no torch."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bihrnet.cpu import available_cores
from bihrnet.engine.model_file import ModelFile, read_model
from bihrnet.errors import BihrnetError
from bihrnet.model import ModelSpec

try:
    from bihrnet.engine import _native
    from bihrnet.engine.native import native_network
except ImportError as error:
    raise BihrnetError(
        "the compiled part of bihrnet is missing (bihrnet.engine._native); install bihrnet again "
        f"with a C++20 compiler at hand, or from a wheel ({error})"
    ) from error

#: Environment variable that forces an instruction set.
ISA_VARIABLE = "BIHRNET_ISA"


def usable_isas() -> list[str]:
    """Instruction sets that this build holds and this processor has, the best first."""
    return list(_native.usable_isas())


def default_threads() -> int:
    """Threads of an `EngineModel` by default: every core that this process may use."""
    return min(available_cores(), _native.MAX_THREADS)


def default_isa() -> str:
    """The instruction set of an `EngineModel` by default.

    Raises:
        BihrnetError: `BIHRNET_ISA` names one that this machine or build lacks.
    """
    return _choose_isa(None)


class EngineModel:
    """A model that is ready to run; a `HeatmapModel`.

    Memory is planned and weights are packed once, here. Calls of one model from several Python
    threads take turns; several models run in parallel, as no call holds the interpreter's lock.

    Args:
        model: a `.bhr` file or its content.
        threads: threads of a run, the caller included; all cores of this process by default.
        isa: "avx512", "avx_vnni", "avx2", "neon" or "portable"; by default `BIHRNET_ISA`, or the
            best one.
        input_size: (height, width) of the crops where it is not the model's own.

    Raises:
        BihrnetError: the file is not valid, or this machine cannot run it as asked.
    """

    def __init__(
        self,
        model: str | Path | ModelFile,
        *,
        threads: int | None = None,
        isa: str | None = None,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        file = model if isinstance(model, ModelFile) else read_model(model)
        size = input_size or file.spec.input_size
        self._spec = replace(file.spec, input_size=size)
        threads = default_threads() if threads is None else threads
        try:
            network, self._op_names = native_network(file.graph, file.constants, size)
            self._engine = _native.Engine(network, _choose_isa(isa), threads)
        except MemoryError as error:
            raise BihrnetError(f"{file.spec.name}: there is not enough memory for it") from error
        except (ValueError, RuntimeError) as error:  # RuntimeError: a thread cannot be started
            raise BihrnetError(f"{file.spec.name}: {error}") from error
        height, width = size
        stride = self._spec.stride
        self._input_shape = (height, width, 3)
        self._output_shape = (len(file.spec.skeleton), height // stride, width // stride)
        if tuple(self._engine.output_shape) != self._output_shape:
            raise BihrnetError(f"{file.spec.name}: {height}x{width} is no multiple of its strides")

    @property
    def spec(self) -> ModelSpec:
        """Input size, skeleton and defaults."""
        return self._spec

    @property
    def isa(self) -> str:
        """The instruction set that runs."""
        return self._engine.isa

    @property
    def threads(self) -> int:
        """Threads of a run, the caller included."""
        return self._engine.threads

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(N, height, width, 3) uint8 RGB -> heatmaps (N, K, height / stride, width / stride).

        Raises:
            ValueError: the crops have another shape or type.
        """
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != self._input_shape:
            raise ValueError(
                f"crops must be uint8 (N, {', '.join(map(str, self._input_shape))}), "
                f"not {crops.dtype} {crops.shape}"
            )
        heatmaps = np.empty((len(crops), *self._output_shape), np.float32)
        self._engine.run(np.ascontiguousarray(crops), heatmaps)
        return heatmaps

    def op_times(self, crop: NDArray[np.uint8], runs: int = 20) -> list[tuple[str, float]]:
        """Name of every op and its shortest time over some runs on one crop, in seconds."""
        times: dict[str, float] = {}
        measured = self._engine.measure(np.ascontiguousarray(crop), runs)
        for name, seconds in zip(self._op_names, measured, strict=True):
            times[name] = times.get(name, 0.0) + seconds
        return list(times.items())


def _choose_isa(isa: str | None) -> str:
    wanted = isa or os.environ.get(ISA_VARIABLE) or usable_isas()[0]
    try:
        return _native.check_isa(wanted)
    except ValueError as error:
        source = "" if isa else f"{ISA_VARIABLE}: "
        raise BihrnetError(f"{source}{error}") from error
