"""What a training step costs and where: images a second of its parts.

    python benchmarks/training_step.py bihrnet-w32 --size 128x96 --batch 32 [--data 200]

One row for each combination of the variants that are named: memory layout, torch.compile, fused
passes of binary units, optimizer. Times are processor time of all threads, or elapsed time with
`--clock wall`; variants take turns, step by step, so that a busy machine slows all of them alike,
and each row has the median. `--data N` adds the samples of the synthetic data set, augmented.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from bihrnet import nn as networks
from bihrnet.cli.output import parse_size
from bihrnet.data import load_dataset
from bihrnet.data.augmentation import Augmentation
from bihrnet.data.top_down import TopDownDataset
from bihrnet.nn.layers import fused
from bihrnet.training.losses import joints_mse
from bihrnet.training.process import keep_freed_memory

CLOCKS: dict[str, Callable[[], float]] = {"cpu": time.process_time, "wall": time.perf_counter}
ADAMS: dict[str, dict[str, bool]] = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "plain": {"foreach": False},
}
PASSES = fused._passes


@dataclass
class Variant:
    """One way to compute the step, and the seconds that its parts took."""

    layout: str
    compiled: bool
    passes: bool
    optimizer: str
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def prepare(self, architecture: str, joints: int, size: tuple[int, int], batch: int) -> None:
        """Make network, batch and optimizer; the same weights and values for every variant."""
        torch.manual_seed(0)
        layout = torch.channels_last if self.layout == "channels_last" else torch.contiguous_format
        self.network: nn.Module = networks.build(architecture, joints).to(memory_format=layout)  # type: ignore[call-overload]
        forward = self.network.__call__
        self.forward = torch.compile(forward, dynamic=False) if self.compiled else forward
        self.images = torch.randn(batch, 3, *size).to(memory_format=layout)
        self.targets = torch.rand(batch, joints, size[0] // 4, size[1] // 4)
        chosen = {
            "fused": {"fused": True},
            "foreach": {"foreach": True},
            "plain": {"foreach": False},
        }
        self.adam = torch.optim.Adam(self.network.parameters(), 1e-3, **chosen[self.optimizer])

    def step(self, clock: Callable[[], float]) -> None:
        """Take one step and note what its parts took."""
        fused._passes = PASSES if self.passes else None  # type: ignore[assignment]
        marks = [clock()]
        outputs = self.forward(self.images)
        stacks: list[Tensor] = outputs if isinstance(outputs, list) else [outputs]
        weights = torch.ones(self.targets.shape[:2])
        loss = torch.stack([joints_mse(stack, self.targets, weights) for stack in stacks]).sum()
        marks.append(clock())
        self.adam.zero_grad()
        loss.backward()
        marks.append(clock())
        self.adam.step()
        marks.append(clock())
        parts = ("forward", "backward", "optimizer")
        for part, (start, end) in zip(parts, itertools.pairwise(marks), strict=True):
            self.seconds.setdefault(part, []).append(end - start)


def data_seconds(people: int, size: tuple[int, int], clock: Callable[[], float]) -> float:
    """Seconds for one augmented sample, without the drawing of its picture."""
    drawn = load_dataset("synthetic", split="train")
    drawn = type(drawn)(drawn.name, drawn.split, drawn.skeleton, list(drawn.people[:people]))
    augmentation = Augmentation(scale=0.35, rotation=45, rotation_probability=0.6)
    samples = TopDownDataset(drawn, size, 1.0, augmentation)
    samples[0]
    start = clock()
    for index in range(people):
        samples[index]
    return (clock() - start) / people


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("architecture")
    parser.add_argument("--size", type=parse_size, default=(128, 128), help="HEIGHTxWIDTH")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--joints", type=int, default=17)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5, help="of each variant, after a first one")
    parser.add_argument("--clock", choices=CLOCKS, default="cpu")
    layouts = ["channels_last", "contiguous"]
    parser.add_argument("--layout", nargs="+", default=layouts[:1], choices=layouts)
    parser.add_argument("--compile", nargs="+", type=int, default=[0], choices=[0, 1])
    parser.add_argument("--passes", nargs="+", type=int, default=[0, 1], choices=[0, 1])
    parser.add_argument("--optimizer", nargs="+", default=["fused"], choices=ADAMS)
    parser.add_argument("--data", type=int, default=0, metavar="N")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    clock = CLOCKS[options.clock]
    variants = [
        Variant(layout, bool(compiled), bool(passes), optimizer)
        for layout in options.layout
        for compiled in options.compile
        for passes in options.passes
        for optimizer in options.optimizer
        if not (compiled and passes)  # compiled code has passes of its own
    ]
    for variant in variants:
        variant.prepare(options.architecture, options.joints, options.size, options.batch)
        variant.step(clock)
        variant.seconds.clear()
    for _ in range(options.steps):
        for variant in variants:
            variant.step(clock)
    height, width = options.size
    print(
        f"{options.architecture}, {height}x{width}, batch {options.batch}, "
        f"{options.threads} threads, {torch.backends.cpu.get_cpu_capability()}; "
        f"images/s ({options.clock} time)"
    )
    print("| layout | compiled | fused passes | optimizer | forward | backward | step | all |")
    print("|---|---|---|---|---|---|---|---|")
    for variant in variants:
        medians = [statistics.median(part) for part in variant.seconds.values()]
        rates = " | ".join(f"{options.batch / part:.1f}" for part in [*medians, sum(medians)])
        print(
            f"| {variant.layout} | {variant.compiled} | {variant.passes} | {variant.optimizer} | "
            f"{rates} |"
        )
    if options.data:
        print(f"data: {1 / data_seconds(options.data, options.size, clock):.0f} images/s a process")


if __name__ == "__main__":
    main()
