"""`bihrnet demo`: a pose at once, on the picture that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SAMPLE = Path(__file__).parents[1] / "samples" / "person.jpg"


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the annotated picture.")
    ] = Path("output"),
) -> None:
    """Find the pose in the picture that comes with the package, with the default model."""
    from bihrnet.cli.annotation import annotate, output_paths
    from bihrnet.estimate.estimator import PoseEstimator
    from bihrnet.estimate.sources import find_sources

    sources = find_sources([str(SAMPLE)])
    annotate(PoseEstimator(), sources, output_paths(sources, out), None)
