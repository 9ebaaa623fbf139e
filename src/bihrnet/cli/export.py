"""`bihrnet export`: writes a checkpoint as a file that runs without torch."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bihrnet.cli.output import check_writable, console, parse_decoding
from bihrnet.errors import BihrnetError

if TYPE_CHECKING:
    from bihrnet.engine.model_file import ModelFile
    from bihrnet.nn.checkpoint import Checkpoint
    from bihrnet.nn.torch_model import TorchModel


class Precision(str, Enum):
    """Arithmetic of the real-valued layers."""

    fp32 = "fp32"
    int8 = "int8"


def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint file.")],
    out: Annotated[Path, typer.Argument(help="OUT.bhr for the engine, OUT.onnx for others.")],
    precision: Annotated[
        Precision, typer.Option(help="Of the real-valued layers of a .bhr; int8 needs --calibrate.")
    ] = Precision.fp32,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Folder of a data set, or of images of one person each."),
    ] = None,
    decoding: Annotated[
        str | None,
        typer.Option(
            help="Default decoding of a .bhr: quarter | dark. Without it, that of the training."
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option(help="SPDX identifier of the weights' licence, kept in a .bhr.")
    ] = "",
) -> None:
    """Write CHECKPOINT as a model file for the engine (.bhr) or as ONNX."""
    from bihrnet.zoo import ENGINE_SUFFIX

    suffix, refinement = out.suffix.lower(), parse_decoding(decoding)
    if checkpoint.suffix.lower() == ENGINE_SUFFIX:
        raise BihrnetError(
            f"{checkpoint}: is already exported; give the checkpoint that it was made from"
        )
    if suffix not in (ENGINE_SUFFIX, ".onnx"):
        raise BihrnetError(f"{out}: the file to write must end in .bhr or .onnx")
    int8 = precision is Precision.int8
    if suffix == ".onnx" and (int8 or calibrate is not None or refinement is not None or licence):
        raise BihrnetError(
            "--precision, --calibrate, --decoding and --licence apply to .bhr files only; an ONNX "
            "file is fp32 and outputs heatmaps"
        )
    if calibrate is not None and not int8:
        raise BihrnetError("--calibrate applies to --precision int8 only")
    check_writable(out, [checkpoint])
    from bihrnet.nn.checkpoint import read_checkpoint
    from bihrnet.nn.torch_model import TorchModel

    content = read_checkpoint(checkpoint)
    spec = content.spec
    if refinement is not None:
        spec = replace(spec, decoding=refinement)
    model = TorchModel(content.build(), spec)
    if suffix == ".onnx":
        from bihrnet.export.onnx import write_onnx

        write_onnx(model, out)
    else:
        from bihrnet.engine.model_file import write_model

        write_model(_to_bhr(model, content, precision, calibrate, licence), out)
    _log(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def _to_bhr(
    model: TorchModel,
    content: Checkpoint,
    precision: Precision,
    calibrate: Path | None,
    licence: str,
) -> ModelFile:
    from bihrnet.export.bhr.crops import calibration_crops
    from bihrnet.export.bhr.export import to_bhr

    crops = None
    if calibrate is not None:
        crops = calibration_crops(
            calibrate,
            content.input_size,
            content.skeleton,
            log=lambda crops: _log(f"calibrated on {crops}"),
        )
    return to_bhr(
        model,
        precision.value,
        crops,
        recipe=content.recipe,
        metrics=content.metrics,
        licence=licence,
    )


def _log(message: str) -> None:
    """Without markup, because the message may contain a file name."""
    console.print(message, markup=False, emoji=False)
