"""Time of each group of BiHRNet's layers in the engine, and the lower bound of its arithmetic.

    python benchmarks/layer_groups.py --limits BINARY FP32 INT8 [--model NAME] [--size HxW]

The limits are the peak rates of one core in 10^9 multiply-accumulates per second: the first lines
of `kernel_benchmark` (docs/benchmarks.md), run right before. The table on standard output is in
microseconds; the time of an op is the shortest of many runs, on one thread. Weights are random,
which does not change the time.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np

from bihrnet.engine.counting import count_convolutions
from bihrnet.engine.engine_model import EngineModel
from bihrnet.engine.model_file import ModelFile
from bihrnet.export.bhr.export import Precision, to_bhr
from bihrnet.model import ModelSpec
from bihrnet.nn import build
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import COCO

RUNS = 200
PRECISIONS: tuple[Precision, ...] = ("int8", "fp32")
#: By the beginning of an op's name; sums at full size belong to the fuse layers.
GROUPS = {
    "conv": "stem",
    "layer1": "layer1",
    "transition": "transitions",
    "stage": "fuse layers",
    "final_layer": "heatmaps",
}


def group(op: str) -> str:
    """The group of an op of an HRNet."""
    if ".branches." in op:
        return "branches"
    return next(name for start, name in GROUPS.items() if op.startswith(start))


def times(model: ModelFile) -> dict[str, list[float]]:
    """Microseconds of every op, by group."""
    height, width = model.spec.input_size
    crop = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    groups: dict[str, list[float]] = defaultdict(list)
    for op, seconds in EngineModel(model, threads=1).op_times(crop, RUNS):
        groups[group(op)].append(1e6 * seconds)
    return groups


def lower_bounds(model: ModelFile, limits: dict[str, float]) -> dict[str, float]:
    """Microseconds of the arithmetic of each group at the limits (10^9 MAC/s)."""
    groups: dict[str, float] = defaultdict(float)
    for count in count_convolutions(model.graph, model.constants, model.spec.input_size):
        groups[group(count.name)] += count.macs / (1e3 * limits[count.arithmetic])
    return groups


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limits", nargs=3, type=float, required=True, metavar="GMACS")
    parser.add_argument("--model", default="bihrnet-w32")
    parser.add_argument("--size", default="256x192", metavar="HxW")
    arguments = parser.parse_args()
    limits = dict(zip(("binary", "fp32", "int8"), arguments.limits, strict=True))
    height, width = map(int, arguments.size.split("x"))
    spec = ModelSpec(arguments.model, COCO, (height, width))
    network = TorchModel(build(arguments.model, len(COCO)), spec)
    noise = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    models = {precision: to_bhr(network, precision, noise) for precision in PRECISIONS}
    measured = {precision: times(model) for precision, model in models.items()}
    bounds = {precision: lower_bounds(model, limits) for precision, model in models.items()}
    print("| layers | ops | int8 | bound | fp32 | bound |")
    print("|---|---|---|---|---|---|")
    for name, ops in measured["int8"].items():
        cells = [f"{sum(measured[one][name]):.0f} | {bounds[one][name]:.0f}" for one in PRECISIONS]
        print(f"| {name} | {len(ops)} | " + " | ".join(cells) + " |")
    sums = [
        f"{sum(map(sum, measured[one].values())):.0f} | {sum(bounds[one].values()):.0f}"
        for one in PRECISIONS
    ]
    print(f"| sum | {sum(map(len, measured['int8'].values()))} | " + " | ".join(sums) + " |")


if __name__ == "__main__":
    main()
