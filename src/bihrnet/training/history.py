"""What a run measured, epoch by epoch: the table in metrics.csv and the curves drawn from it."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from bihrnet.files import replacing

Row = dict[str, float]


class History:
    """Rows of finished epochs and the running means of the current one.

    It travels in every checkpoint and is written to metrics.csv whole: a resumed run goes on from
    the checkpoint's rows, so nothing is doubled or torn.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self._sums: dict[str, float] = {}
        self._steps = 0

    def add_step(self, losses: dict[str, float]) -> None:
        """Take one step's losses into the means of the current epoch."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1

    def finish_epoch(self, values: Row) -> Row:
        """Close the epoch: its means as "train_..." between `epoch` and the other values."""
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
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with replacing(path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
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
