"""Measurements of a run by epoch: the table in metrics.csv and the curves drawn from it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from bihrnet.files import replacing

Row = dict[str, float]


class History:
    """Rows of finished epochs and the running means of the current one.

    Every checkpoint holds it, and metrics.csv is always written whole: a resumed run continues
    with the rows of its checkpoint, so that no row is duplicated or incomplete.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._sums: dict[str, float] = {}
        self._steps = 0

    def add_step(self, losses: dict[str, float]) -> None:
        """Add the losses of one step to the means of the current epoch."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1

    def finish_epoch(self, values: Row) -> Row:
        """Close the epoch; its row has the mean losses as "train_..." before the other values."""
        means = {f"train_{name}": total / self._steps for name, total in self._sums.items()}
        row = {"epoch": float(len(self.rows) + 1), **means, **values}
        self.rows.append(row)
        self._sums, self._steps = {}, 0
        return row

    def best(self, metric: str) -> float | None:
        """Highest value of a metric so far."""
        return max((row[metric] for row in self.rows if metric in row), default=None)

    def write_csv(self, path: Path) -> None:
        """One row per epoch; a cell is empty where an epoch was not evaluated."""
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, _columns(self.rows), restval="", lineterminator="\n")
            writer.writeheader()
            for row in self.rows:
                writer.writerow({name: f"{value:.7g}" for name, value in row.items()})

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return {"rows": self.rows, "sums": self._sums, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`."""
        self.rows = [dict(row) for row in state["rows"]]
        self._sums, self._steps = dict(state["sums"]), state["steps"]


def draw_curves(rows: list[Row], metric: str, title: str, path: Path) -> None:
    """Draw learning curves over epochs: losses on the left (logarithmic), the metric on the right.

    Args:
        rows: of `History`; epochs without evaluation lack the metric.
        metric: its name in the rows.
        title: of the picture.
        path: PNG to write.

    Raises:
        BihrnetError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(1, 2)
    for name in _columns(rows):
        if name.startswith("train_") or name == "val_loss":
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
