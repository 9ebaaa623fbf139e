"""`bihrnet predict`: poses in images and video, as annotated pictures and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

#: Where annotated pictures go unless something else is asked for.
OUT = Path("output")


def predict(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Images, videos, folders, globs, or a camera (0, or webcam:0).",
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(help="Bundled name, .bhr file or checkpoint. Default: the bundled default."),
    ] = None,
    detector: Annotated[
        str, typer.Option(help="Where the people are: whole, a boxes .json or a detector .onnx.")
    ] = "whole",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of the annotated pictures; ./output if --json is not given."
        ),
    ] = None,
    json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the poses as JSON; - for stdout.")
    ] = None,
    smooth: Annotated[
        bool, typer.Option("--smooth/--no-smooth", help="Of videos: keypoints without jitter.")
    ] = True,
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Threads of the engine. Default: all cores.")
    ] = None,
) -> None:
    """Find the poses of the people in images and video.

    A file that cannot be read is named and passed over. Ctrl-C keeps what is done.
    """
    from bihrnet.cli.annotation import annotate, output_paths
    from bihrnet.cli.output import check_writable
    from bihrnet.estimate.estimator import PoseEstimator
    from bihrnet.estimate.sources import find_sources

    if out is None and json is None:
        out = OUT
    sources = find_sources(inputs)
    targets = output_paths(sources, out) if out else {}
    files = [source.name for source in sources]
    check_writable(json, [*files, model, detector, *targets.values()])
    estimator = PoseEstimator(model, detector, threads=threads)
    annotate(estimator, sources, targets, json, smooth)
