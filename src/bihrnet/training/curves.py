"""Learning curves as a picture."""

from __future__ import annotations

from pathlib import Path

from bihrnet.files import replacing
from bihrnet.training.history import Row


def draw_curves(rows: list[Row], metric: str, title: str, path: Path) -> None:
    """Losses on the left (logarithmic), the metric on the right, both over epochs.

    Args:
        rows: of `History`; epochs without evaluation lack the metric.
        metric: its name in the rows.
        title: of the picture.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(1, 2)
    names = [name for name in _columns(rows) if name.startswith("train_") or name == "val_loss"]
    for name in names:
        losses.plot(*_points(rows, name), marker=".", label=name.replace("_", " "))
    losses.set(xlabel="epoch", ylabel="loss", yscale="log")
    losses.legend()
    scores.plot(*_points(rows, metric), marker=".")
    scores.set(xlabel="epoch", ylabel=f"val {metric}")
    for axes in (losses, scores):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(title)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)


def _columns(rows: list[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _points(rows: list[Row], name: str) -> tuple[list[float], list[float]]:
    present = [row for row in rows if name in row]
    return [row["epoch"] for row in present], [row[name] for row in present]
