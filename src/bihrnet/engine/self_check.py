"""Whether this machine computes what a model file says."""

from __future__ import annotations

from pathlib import Path

from bihrnet.engine.engine_model import EngineModel, usable_isas
from bihrnet.engine.golden import golden_image
from bihrnet.engine.model_file import read_model


def check_golden(path: str | Path) -> dict[str, bool]:
    """Whether a `.bhr` file's golden comes out, by instruction set, the best first.

    Where it does not, the file was damaged, kernels are wrong here, or the network is at the mercy
    of rounding (docs/engine-format.md).

    Raises:
        BihrnetError: the file cannot be read.
    """
    file = read_model(path)
    image = golden_image(file.golden.seed, file.spec.input_size)
    return {isa: file.golden.matches(EngineModel(file, isa=isa)(image)) for isa in usable_isas()}
