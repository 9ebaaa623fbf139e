"""`bihrnet demo`: find a pose in the sample image that comes with the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SAMPLE = Path(__file__).parents[1] / "samples" / "person.jpg"


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the annotated picture.")
    ] = Path("output"),
) -> None:
    """Find the pose in a sample image with the default model, and draw it."""
    from bihrnet.cli.output import busy

    with busy("loading the default model"):
        from bihrnet.cli.annotation import annotate, output_paths
        from bihrnet.estimate.estimator import PoseEstimator
        from bihrnet.estimate.sources import find_sources

        sources = find_sources([str(SAMPLE)])
        estimator = PoseEstimator()
    annotate(estimator, sources, output_paths(sources, out), None)
