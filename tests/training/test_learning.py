"""A binary network learns: it finds joints that a fresh one does not, by its binary weights."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import tiny_run
import torch
from tiny_run import SIDE, draw_people, tiny_recipe

from bihrnet import nn
from bihrnet.data.people import PeopleDataset
from bihrnet.evaluation.evaluate import evaluate
from bihrnet.model import ModelSpec
from bihrnet.nn import latent_parameters
from bihrnet.nn.layers.binary_unit import BinaryUnit, UnitStyle
from bihrnet.nn.torch_model import TorchModel
from bihrnet.skeleton import LSP, Skeleton
from bihrnet.training import datasets
from bihrnet.training.options import RunOptions
from bihrnet.training.run import train

METRIC = "PCK@0.2"
WIDTH = 32
PEOPLE = {"train": draw_people(400, seed=1), "val": draw_people(100, seed=2)}


def small_network() -> torch.nn.Sequential:
    """A real-valued convolution to 1/4 of the resolution, Binary Units, a 1x1 convolution."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, WIDTH, 4, stride=4, bias=False),
        torch.nn.BatchNorm2d(WIDTH),
        BinaryUnit(WIDTH, WIDTH, 3, UnitStyle()),
        BinaryUnit(WIDTH, WIDTH, 3, UnitStyle()),
        torch.nn.Conv2d(WIDTH, len(LSP), 1),
    )


def score(network: torch.nn.Module) -> float:
    """On other people than those of the training."""
    model = TorchModel(network.eval(), ModelSpec("small", LSP, (SIDE, SIDE)))
    return evaluate(model, PEOPLE["val"], flip_test=False).scores.metrics[METRIC]


def load_people(
    name: str, root: Path | None, split: str | None = None, skeleton: Skeleton | None = None
) -> PeopleDataset:
    return PEOPLE[split or "val"]


def test_a_binary_network_learns_by_its_binary_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = small_network()
    fresh = copy.deepcopy(network)
    tiny_run.use_tiny(monkeypatch.setattr)
    monkeypatch.setattr(datasets, "load_dataset", load_people)
    monkeypatch.setattr(nn, "build", lambda *_: network)
    recipe = tiny_recipe(
        data={"train": "dots", "val": "dots", "input_size": [SIDE, SIDE], "sigma": 1},
        batch_size=20,
        epochs=20,
        evaluation={"metric": METRIC, "every": 20, "flip_test": False},
    )
    train(recipe, RunOptions(data=Path(), out=tmp_path, workers=0))
    learnt = score(network)
    for weight, initial in zip(latent_parameters(network), latent_parameters(fresh), strict=True):
        flipped = (weight < 0) != (initial < 0)
        assert flipped.float().mean() > 0.02
        weight.data = initial.data
    reverted = score(network)
    assert score(fresh) < 5
    assert learnt > 10
    assert reverted < learnt / 2
