"""What the signs of trained binary networks read, part by part of the network.

    python scripts/check_signs.py --data lspet runs/RUN/best.ckpt [...]

On crops of LSPET val, for the signs of each part in the mean:

- inside: share of values within -1..1, where the surrogate gradient lets something through;
- deviation: standard deviation of the values;
- constancy: |2p - 1| of a channel whose sign is +1 in a share p of all pixels; 0 is a bit that
  says most, 1 one that says nothing.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bihrnet.data import load_dataset
from bihrnet.data.top_down import TopDownDataset
from bihrnet.nn.checkpoint import read_checkpoint
from bihrnet.nn.layers.binarize import Sign
from bihrnet.nn.normalization import NormalizePixels

PEOPLE = 16
Measures = dict[str, list[tuple[float, float, float]]]


def part_of(name: str) -> str:
    """For instance "stage3.branches", from the path of a sign in HRNet; else the first name."""
    names = name.split(".")
    return f"{names[0]}.{names[2]}" if names[0].startswith("stage") else names[0]


def keep(measures: Measures, part: str, sign: nn.Module, inputs: tuple[Tensor]) -> None:
    """A forward pre-hook of a sign."""
    (x,) = inputs
    positive = (x >= 0).float().mean((0, 2, 3))
    measures.setdefault(part, []).append(
        (
            (x.abs() < 1).float().mean().item(),
            x.std().item(),
            (2 * positive - 1).abs().mean().item(),
        )
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of LSPET")
    arguments = parser.parse_args()
    people = load_dataset("lspet", arguments.data, "val")
    for path in arguments.checkpoints:
        checkpoint = read_checkpoint(path)
        network, measures = checkpoint.build().eval(), Measures()
        for name, module in network.named_modules():
            if isinstance(module, Sign):
                module.register_forward_pre_hook(partial(keep, measures, part_of(name)))
        samples = TopDownDataset(people, checkpoint.input_size, sigma=1.0)
        chosen = range(0, len(people), len(people) // PEOPLE)
        crops = torch.from_numpy(np.stack([samples[index]["crop"] for index in chosen]))
        with torch.no_grad():
            network(NormalizePixels()(crops))
        print(f"{path.parent.name}\n| part | signs | inside | deviation | constancy |")
        print("|---|---|---|---|---|")
        for part, values in measures.items():
            inside, deviation, constancy = np.mean(values, axis=0)
            print(f"| {part} | {len(values)} | {inside:.2f} | {deviation:.2f} | {constancy:.2f} |")


if __name__ == "__main__":
    main()
