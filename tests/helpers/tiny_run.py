"""A training run that takes seconds: a tiny network on a few drawn dots. Not a test itself.

As a script it trains on several processes: `tiny_run.py OUT DEVICES LOSSES`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bihrnet import nn
from bihrnet.data.people import PeopleDataset, Person
from bihrnet.data.registry import DatasetEntry
from bihrnet.nn.layers.binary_unit import BinaryUnit, UnitStyle
from bihrnet.nn.registry import Architecture
from bihrnet.skeleton import LSP, Skeleton
from bihrnet.training import datasets, run
from bihrnet.training.history import History
from bihrnet.training.module import PoseTraining
from bihrnet.training.options import RunOptions
from bihrnet.training.recipe import Recipe
from bihrnet.training.recipe_files import parse_recipe
from bihrnet.training.run import train

SIDE = 32


class TinyNet(torch.nn.Sequential):
    """1/4 resolution, one binary unit."""

    def __init__(self, joints: int) -> None:
        super().__init__(
            torch.nn.Conv2d(3, 8, 4, stride=4, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.PReLU(),
            BinaryUnit(8, 8, 3, UnitStyle()),
            torch.nn.Conv2d(8, joints, 1),
        )


class TinyRealNet(torch.nn.Sequential):
    """The same without binary layers, whose jumps amplify rounding."""

    def __init__(self, joints: int) -> None:
        super().__init__(
            torch.nn.Conv2d(3, 8, 4, stride=4, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.PReLU(),
            torch.nn.Conv2d(8, 8, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, joints, 1),
        )


def draw_people(count: int, seed: int) -> PeopleDataset:
    """A dot of its own color for every joint, on black, at random places."""
    rng = np.random.default_rng(seed)
    people = []
    for index in range(count):
        keypoints = rng.integers(2, SIDE - 2, size=(len(LSP), 2))
        image = np.zeros((SIDE, SIDE, 3), np.uint8)
        for joint, (x, y) in enumerate(keypoints):
            image[y - 1 : y + 2, x - 1 : x + 2] = (joint * 18, 255 - joint * 18, joint % 3 * 120)
        person = Person.from_box(
            [0, 0, SIDE, SIDE],
            image=image,
            image_id=index,
            instance_id=index,
            keypoints=keypoints.astype(np.float32),
            visible=np.ones(len(LSP), np.float32),
        )
        people.append(person)
    return PeopleDataset("dots", "train", LSP, people)


def tiny_recipe(**changes: object) -> Recipe:
    fields = {
        "name": "tiny",
        "architecture": "tiny",
        "data": {
            "train": "dots",
            "val": "dots",
            "input_size": [SIDE, SIDE],
            "sigma": 1,
            "augmentation": {"scale": 0.2, "rotation": 30, "rotation_probability": 0.5},
        },
        "loss": "awing",
        "optimizer": {"lr": 0.01},
        "schedule": {"name": "cosine", "warmup_steps": 2},
        "epochs": 3,
        "batch_size": 8,
        "precision": "fp32",
        "clip_gradients": 20,
        "evaluation": {"metric": "PCKh@0.5"},
    }
    return parse_recipe({**fields, **changes}, "tiny")


def load_dots(
    name: str, root: Path | None, split: str | None = None, skeleton: Skeleton | None = None
) -> PeopleDataset:
    return draw_people(44 if split == "train" else 10, seed=split == "train")


def find_dots(name: str) -> DatasetEntry:
    return DatasetEntry(name, ("val", "train"), LSP, load_dots)


def build_tiny(architecture: str, joints: int) -> torch.nn.Module:
    return {"tiny": TinyNet, "tiny-real": TinyRealNet}[architecture](joints)


def find_tiny(architecture: str) -> Architecture:
    return Architecture(architecture, "", architecture == "tiny", build_tiny, {})


def use_tiny(replace: Callable[[object, str, object], None] = setattr) -> None:
    """Let recipes name the data set "dots" and the networks above."""
    replace(datasets, "find_dataset", find_dots)
    replace(datasets, "load_dataset", load_dots)
    replace(nn, "build", build_tiny)
    replace(run, "find", find_tiny)


def at_step(step: int, action: Callable[[], None]) -> None:
    """Do something inside the training step that follows `step` whole ones."""
    training_step = PoseTraining.training_step

    def interfering(self: PoseTraining, batch: dict, batch_idx: int) -> dict[str, Tensor]:
        if self.global_step == step:
            action()
        return training_step(self, batch, batch_idx)

    PoseTraining.training_step = interfering


def write_losses(path: Path) -> None:
    """Also write the loss of every step to a file."""
    add_step = History.add_step

    def writing(self: History, losses: dict[str, float]) -> None:
        add_step(self, losses)
        with path.open("a") as file:
            file.write(f"{losses['loss']!r}\n")

    History.add_step = writing


def main() -> None:
    out, devices, losses = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    use_tiny()
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        write_losses(losses)
    options = RunOptions(data=Path(), out=out, devices=devices, workers=0)
    train(tiny_recipe(architecture="tiny-real"), options)


if __name__ == "__main__":
    main()
