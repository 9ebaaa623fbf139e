"""PCKh of models over the threshold, as a table and a picture.

    python benchmarks/pck_curves.py OUT.png --data DIR MODEL [MODEL ...]

MODEL is a bundled name, a `.bhr` file or a checkpoint. It is evaluated on the val split of LSPET
with the flip test and the decoding that its file states; the reference length of PCKh is the
distance from head top to neck.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from line_chart import draw_lines

from bihrnet.data import load_dataset
from bihrnet.data.people import PeopleDataset
from bihrnet.evaluation.pck import SEGMENT_METRICS, labels, pck, segment_lengths
from bihrnet.evaluation.predict import predict_dataset
from bihrnet.zoo import load

THRESHOLDS = np.arange(1, 21) / 20


def curve(model_name: str, dataset: PeopleDataset) -> list[float]:
    """PCKh in percent at each of `THRESHOLDS`."""
    points = predict_dataset(load(model_name), dataset.people)[:, :, :2]
    truth, visible = labels(dataset)
    first, second, _ = SEGMENT_METRICS["PCKh@0.5"]
    skeleton = dataset.skeleton
    lengths = segment_lengths(truth, visible, skeleton.index(first), skeleton.index(second))
    return [pck(points, truth, visible, lengths, share).total() for share in THRESHOLDS]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", type=Path, required=True, help="folder of LSPET")
    arguments = parser.parse_args()
    dataset = load_dataset("lspet", arguments.data, "val")
    curves = {name: curve(name, dataset) for name in arguments.models}
    lines = {name: list(zip(THRESHOLDS, values, strict=True)) for name, values in curves.items()}
    draw_lines(lines, arguments.picture, "threshold, share of the head's length", "PCKh")
    shown = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
    print("| model | " + " | ".join(f"PCKh@{share}" for share in shown) + " |")
    print("|---|" + "---|" * len(shown))
    for name, values in curves.items():
        chosen = [values[round(share * 20) - 1] for share in shown]
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in chosen) + " |")


if __name__ == "__main__":
    main()
