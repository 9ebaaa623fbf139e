"""Compare training runs by their logs: a Markdown table and a picture of the learning curves.

    python benchmarks/learning_curves.py OUT.png LABEL=metrics.csv [LABEL=metrics.csv ...]

The logs are the `metrics.csv` of the runs' folders; those behind docs/results.md lie in
docs/results/. The table goes to standard output: final and best epoch of every run.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from line_chart import draw_lines

METRIC = "PCKh@0.5"
Curve = list[tuple[int, float]]


def read_curve(path: Path, metric: str) -> Curve:
    """(epoch, metric) of every evaluated epoch."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(int(row["epoch"]), float(row[metric])) for row in rows if row.get(metric)]


def table(curves: dict[str, Curve], metric: str) -> str:
    """One row per run: epochs, metric at the end, best metric and its epoch."""
    lines = [f"| run | epochs | final {metric} | best | at epoch |", "|---|---|---|---|---|"]
    for label, curve in curves.items():
        epochs, final = curve[-1]
        best_epoch, best = max(curve, key=lambda point: point[1])
        lines.append(f"| {label} | {epochs} | {final:.1f} | {best:.1f} | {best_epoch} |")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("runs", nargs="+", metavar="LABEL=CSV")
    parser.add_argument("--metric", default=METRIC)
    arguments = parser.parse_args()
    curves = {}
    for run in arguments.runs:
        label, separator, path = run.rpartition("=")
        if not separator:
            parser.error(f"{run} is no LABEL=CSV")
        curves[label] = read_curve(Path(path), arguments.metric)
    draw_lines(curves, arguments.picture, "epoch", f"val {arguments.metric}", whole_numbers=True)
    print(table(curves, arguments.metric))


if __name__ == "__main__":
    main()
