"""A torch module as a `.bhr` model: runs the steps of this package in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.model_file import ModelFile
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.calibration import calibrate
from bihrnet.export.bhr.fusion.fuse import fuse
from bihrnet.export.bhr.golden import NO_GOLDEN, with_golden
from bihrnet.export.trace import trace, trace_layers
from bihrnet.nn.counting import count
from bihrnet.nn.torch_model import TorchModel

Precision = Literal["fp32", "int8"]


def to_bhr(
    model: TorchModel,
    precision: Precision = "fp32",
    calibration: NDArray[np.uint8] | None = None,
    *,
    recipe: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
    licence: str = "",
) -> ModelFile:
    """Export a network for the engine; the module itself stays as it is.

    Args:
        model: the network, on the CPU.
        precision: of the real-valued convolutions.
        calibration: (N, h, w, 3) uint8 RGB crops that determine the ranges of int8; ignored for
            fp32.
        recipe: of the training, stored in the file.
        metrics: measured by the training, stored in the file.
        licence: SPDX identifier of the weights' licence, stored in the file.

    Raises:
        BihrnetError: the engine cannot run one of the layers; int8 without crops.
    """
    spec, module = model.spec, model.module
    traced = trace(module, spec.input_size)
    layers, indices = trace_layers(traced)
    quantization = None
    if precision == "int8":
        if calibration is None or len(calibration) == 0:
            raise BihrnetError(
                "int8 needs real crops to determine its ranges; name a folder of them with "
                "--calibrate"
            )
        quantization = calibrate(traced, indices, layers, spec, calibration)
    graph, constants = fuse(layers, quantization)
    counts = asdict(count(module, spec.input_size))
    return with_golden(
        ModelFile(
            spec=spec,
            graph=graph,
            constants=constants,
            precision=precision,
            golden=NO_GOLDEN,
            licence=licence,
            recipe=_without_folders(recipe or {}),
            metrics=metrics or {},
            counts={key: counts[key] for key in ("params", "binary_weights", "real_weights")},
        )
    )


def _without_folders(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe whose absolute paths are reduced to file names: folders are private and useless."""
    return {key: _portable(value) for key, value in recipe.items()}


def _portable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _without_folders(value)
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value
