"""A binary network really learns: trained on drawn people, it finds joints that it could not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bihrnet import nn
from bihrnet.data.people import PeopleDataset
from bihrnet.data.synthetic import load_synthetic
from bihrnet.evaluate import evaluate
from bihrnet.nn.checkpoint import open_checkpoint
from bihrnet.nn.session import TorchSession
from bihrnet.training import datasets
from bihrnet.training.recipe_files import load_recipe
from bihrnet.training.run import train

EPOCHS = 12


@pytest.fixture
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> PeopleDataset:
    """400 people to learn from and 150 others, returned, to be judged on."""
    splits = {}
    for split, count in (("train", 400), ("val", 150)):
        drawn = load_synthetic(split, count=count)
        splits[split] = replace(drawn, people=list(drawn.people))

    def load_dataset(name: str, split: str = "val", **_: object) -> PeopleDataset:
        return splits[split]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return splits["val"]


def test_a_binary_network_learns_on_drawn_people(tmp_path: Path, drawn_once: PeopleDataset) -> None:
    recipe = load_recipe(
        "bihrnet-w16@synthetic-128x128",
        [
            "data.input_size=64x64",
            "batch_size=16",
            f"epochs={EPOCHS}",
            f"evaluation.every={EPOCHS}",
            "evaluation.flip_test=false",
            "optimiser.lr=3e-3",
            "schedule.warmup_steps=20",
        ],
    )
    folder = train(recipe, out=tmp_path, workers=0)
    session = open_checkpoint(folder / "best.ckpt")
    torch.manual_seed(0)
    untrained = TorchSession(nn.build(recipe.architecture, 14), session.spec)
    before, after = (
        evaluate(model, drawn_once, flip_test=False).scores.metrics["PCK@0.2"]
        for model in (untrained, session)
    )
    print(before, after)
    assert before < 5
    assert after > 15
