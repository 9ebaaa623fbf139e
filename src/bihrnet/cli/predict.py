"""`bihrnet predict`: find poses in images and video, draw them, write them as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: Folder of annotated pictures where neither --out nor --json is given.
OUT = Path("output")


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Images, videos, folders, globs, or a camera (0 or webcam:0).",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A bundled name (see `bihrnet models`), a .bhr file or a checkpoint. "
            "Default: the first bundled model.",
        ),
    ] = None,
    detector: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="What finds the people: whole (each image shows one person), a .json file of "
            "boxes, or a detection network in an .onnx file.",
        ),
    ] = "whole",
    min_score: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SCORE", help="Leave out poses that score less than this (0..1)."
        ),
    ] = 0.0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for annotated pictures. Default: ./output, or none with --json.",
        ),
    ] = None,
    json: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the poses as JSON; - for standard output."),
    ] = None,
    smooth: Annotated[
        bool,
        typer.Option("--smooth/--no-smooth", help="Remove jitter from the keypoints of videos."),
    ] = True,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Threads of the engine. Default: one per core."),
    ] = None,
) -> None:
    """Find the poses of the people in images and video.

    A file that cannot be read is reported and skipped. Ctrl-C keeps what is done so far.
    """
    from bihrnet.cli.output import busy, check_writable

    if out is None and json is None:
        out = OUT
    with busy(f"loading {model or 'the default model'}"):
        from bihrnet.cli.annotation import annotate, output_paths
        from bihrnet.estimate.estimator import PoseEstimator
        from bihrnet.estimate.sources import find_sources

        sources = find_sources(inputs)
        targets = output_paths(sources, out) if out else {}
        files = [source.name for source in sources]
        check_writable(json, [*files, model, detector, *targets.values()])
        estimator = PoseEstimator(model, detector, min_score=min_score, threads=threads)
    annotate(estimator, sources, targets, json, smooth)
