"""A binary network really learns: trained on drawn people, it finds joints that it could not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bihrnet import nn
from bihrnet.data.people import PeopleDataset
from bihrnet.data.synthetic import load_synthetic
from bihrnet.evaluation.evaluate import evaluate
from bihrnet.evaluation.protocols import score_predictions
from bihrnet.nn.checkpoint import open_checkpoint
from bihrnet.nn.torch_model import TorchModel
from bihrnet.training import datasets
from bihrnet.training.recipe_files import load_recipe
from bihrnet.training.run import train

METRIC = "PCK@0.2"
SIZE = (64, 64)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, PeopleDataset]:
    """400 people to learn from and 150 others to be judged on, drawn once."""
    splits = {}
    for split, count in (("train", 400), ("val", 150)):
        people = load_synthetic(split, count=count)
        splits[split] = replace(people, people=list(people.people))

    def load_dataset(name: str, split: str = "val", **_: object) -> PeopleDataset:
        return splits[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return splits


def score_of_the_mean_pose(drawn: dict[str, PeopleDataset]) -> float:
    """The best that can be done without looking at the picture."""
    crops = [(person.crop(SIZE), person) for person in drawn["train"].people]
    mean = np.mean([crop.to_input(person.keypoints) for crop, person in crops], axis=0)
    placed = [person.crop(SIZE).to_image(mean) for person in drawn["val"].people]
    predictions = np.insert(np.array(placed, np.float32), 2, 1, axis=2)
    return score_predictions(drawn["val"], predictions).metrics[METRIC]


def test_a_binary_network_learns_on_drawn_people(
    tmp_path: Path, drawn: dict[str, PeopleDataset]
) -> None:
    recipe = load_recipe(
        "bihrnet-w16@synthetic-128x128",
        [
            "data.input_size=64x64",
            "data.augmentation={scale: 0, rotation: 0}",
            "batch_size=16",
            "epochs=8",
            "evaluation.every=8",
            "optimizer.lr=6e-3",
            "schedule.warmup_steps=20",
            "precision=fp32",  # bfloat16 would be slow on older machines
        ],
    )
    folder = train(recipe, out=tmp_path, workers=0)
    trained = open_checkpoint(folder / "best.ckpt")
    torch.manual_seed(0)
    untrained = TorchModel(nn.build(recipe.architecture, 14), trained.spec)
    before, after = (
        evaluate(model, drawn["val"]).scores.metrics[METRIC] for model in (untrained, trained)
    )
    assert before < 5
    assert after > 1.25 * score_of_the_mean_pose(drawn)
