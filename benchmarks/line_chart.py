"""The picture that curves of runs and of models share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

Line = Sequence[tuple[float, float]]


def draw_lines(
    lines: Mapping[str, Line], path: Path, xlabel: str, ylabel: str, *, whole_numbers: bool = False
) -> None:
    """Write a line chart with a legend.

    Args:
        lines: (x, y) points by label.
        path: of the picture.
        xlabel: below it.
        ylabel: beside it.
        whole_numbers: x counts something, so that there are no ticks in between.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for label, line in lines.items():
        axes.plot(*zip(*line, strict=True), marker=".", label=label)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if whole_numbers:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
