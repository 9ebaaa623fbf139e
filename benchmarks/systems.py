"""The table of docs/systems.md: every published count beside ours, with accuracy and time.

    python benchmarks/systems.py [--bench bench.json] [--miniatures results.csv] > table.md

Parameters and operations are counted by this script; published figures come from systems.yaml.
Times are those of a `bihrnet bench --json` report: the fastest row of each network, printed once.
Without the options, their columns are empty.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import yaml

from bihrnet import nn
from bihrnet.nn.counting import count

PUBLISHED = Path(__file__).with_name("systems.yaml")
_HEAD = (
    "system",
    "input",
    "params / M, published",
    "ours",
    "OPs / 10⁹, published",
    "ours",
    "accuracy, published",
    "LSPET miniature",
    "fastest at 256x192 / ms",
    "mismatch",
)


def operations(model: str, joints: int, size: tuple[int, int], unit: str) -> tuple[float, float]:
    """Parameters in millions, and operations in 1e9 or the row's own unit."""
    counts = count(nn.build(model, joints), size)
    scale = 2**30 if unit == "gi" else 1e9
    return counts.params / 1e6, counts.ops / scale


def table_row(row: dict[str, Any], fastest: dict[str, str], miniatures: dict[str, str]) -> str:
    """One line of the table; cells used from `fastest` and `miniatures` (by model) are removed."""
    height, width = (int(side) for side in row["size"].split("x"))
    params, ops = operations(row["model"], row["joints"], (height, width), row.get("unit", "g"))
    accuracy = ""
    if "ap" in row:
        accuracy = f"AP {row['ap']:.3f}"
    elif "pckh" in row:
        accuracy = f"PCKh {row['pckh']}"
    decimals = 2 if ops >= 0.1 else 3
    cells = [
        row["model"],
        row["size"],
        str(row.get("params", "")),
        f"{params:.3g}" if params < 1 else f"{params:.2f}",
        f"{row['ops']}{' Gi' if row.get('unit') == 'gi' else ''}" if "ops" in row else "",
        f"{ops:.{decimals}f}{' Gi' if row.get('unit') == 'gi' else ''}",
        accuracy,
        miniatures.pop(row["model"], ""),
        fastest.pop(row["model"], ""),
        row.get("note", ""),
    ]
    return "| " + " | ".join(cells) + " |"


def fastest_rows(report: dict[str, Any]) -> dict[str, str]:
    """Time, runtime and precision of each network's fastest row in a report, by model."""
    best: dict[str, dict[str, Any]] = {}
    for row in report["rows"]:
        model = row["model"]
        if model not in best or row["median_ms"] < best[model]["median_ms"]:
            best[model] = row
    return {
        model: f"{row['median_ms']:.1f} ({row['runtime']} {row['precision']})"
        for model, row in best.items()
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", type=Path, help="report of bihrnet bench --json")
    parser.add_argument("--miniatures", type=Path, help="CSV with columns model and result")
    arguments = parser.parse_args()
    fastest: dict[str, str] = {}
    miniatures: dict[str, str] = {}
    if arguments.bench:
        fastest = fastest_rows(json.loads(arguments.bench.read_text(encoding="utf-8")))
    if arguments.miniatures:
        with arguments.miniatures.open(encoding="utf-8", newline="") as file:
            miniatures = {row["model"]: row["result"] for row in csv.DictReader(file)}
    for section in yaml.safe_load(PUBLISHED.read_text(encoding="utf-8")):
        print(f"\n### {section['section']}\n")
        print("| " + " | ".join(_HEAD) + " |")
        print("|" + "---|" * len(_HEAD))
        for row in section["rows"]:
            print(table_row(row, fastest, miniatures))


if __name__ == "__main__":
    main()
