"""`bihrnet export`: a checkpoint as a file that runs without torch."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from bihrnet.cli.output import check_writable, console, parse_decoding
from bihrnet.errors import BihrnetError


class Precision(str, Enum):
    """Of the real-valued layers."""

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
        typer.Option(help="Folder of a data set, or of images that show one person each."),
    ] = None,
    decoding: Annotated[
        str | None,
        typer.Option(help="Of a .bhr: quarter | dark. Default: as evaluated while it trained."),
    ] = None,
    licence: Annotated[
        str, typer.Option(help="SPDX identifier of the weights' licence, kept in a .bhr.")
    ] = "",
) -> None:
    """Write CHECKPOINT as a model file for the engine (.bhr) or as ONNX."""
    from bihrnet.zoo import ENGINE_SUFFIX

    suffix, refinement = out.suffix.lower(), parse_decoding(decoding)
    if checkpoint.suffix.lower() == ENGINE_SUFFIX:
        raise BihrnetError(f"{checkpoint}: is exported already; give the checkpoint it came from")
    if suffix not in (ENGINE_SUFFIX, ".onnx"):
        raise BihrnetError(f"{out}: the file to write must end in .bhr or .onnx")
    int8 = precision is Precision.int8
    if suffix == ".onnx" and (int8 or calibrate is not None or refinement is not None or licence):
        raise BihrnetError(
            "--precision, --calibrate, --decoding and --licence belong to .bhr files; ONNX is fp32 "
            "heatmaps"
        )
    if calibrate is not None and not int8:
        raise BihrnetError("--calibrate belongs to --precision int8")
    check_writable(out, [checkpoint])
    from bihrnet.nn.checkpoint import read_checkpoint
    from bihrnet.nn.torch_model import TorchModel

    content = read_checkpoint(checkpoint)
    spec = content.spec
    if refinement is not None:
        spec = replace(spec, decoding=refinement)
    session = TorchModel(content.build(), spec)
    if suffix == ".onnx":
        from bihrnet.export.onnx import write_onnx

        write_onnx(session, out)
    else:
        from bihrnet.engine.model_file import write_model
        from bihrnet.export.bhr.crops import calibration_crops
        from bihrnet.export.bhr.export import to_bhr

        crops = (
            calibration_crops(
                calibrate,
                content.input_size,
                content.skeleton,
                tell=lambda what: _say(f"calibrated on {what}"),
            )
            if calibrate
            else None
        )
        model = to_bhr(
            session,
            precision.value,
            crops,
            recipe=content.recipe,
            metrics=content.metrics,
            licence=licence,
        )
        write_model(model, out)
    _say(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def _say(sentence: str) -> None:
    """Nothing in it is markup: it may hold a file's name."""
    console.print(sentence, markup=False, emoji=False)
