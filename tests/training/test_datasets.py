"""The people that a recipe names."""

from __future__ import annotations

from pathlib import Path

import pytest

from bihrnet.data.people import PeopleDataset
from bihrnet.data.synthetic import people as synthetic_people
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import COCO, LSP, MPII, Skeleton
from bihrnet.training import datasets
from bihrnet.training.datasets import load_training_data, load_validation_data
from bihrnet.training.recipe import DataSection


def section(
    train: list[str], val: str = "synthetic", skeleton: Skeleton | None = None
) -> DataSection:
    return DataSection(train=train, val=val, input_size=(64, 64), sigma=1, skeleton=skeleton)


@pytest.fixture(autouse=True)
def _few_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic_people, "SPLITS", {"train": 5, "val": 3})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """Datasets on disk are replaced by drawn people; what was asked for is noted."""
    calls = []
    load = datasets.load_dataset

    def fake(
        name: str,
        root: Path | None = None,
        split: str | None = None,
        skeleton: Skeleton | None = None,
    ) -> PeopleDataset:
        calls.append((name, root))
        own = COCO if name == "coco" else LSP
        return load("synthetic", split=split, skeleton=skeleton or own)

    monkeypatch.setattr(datasets, "load_dataset", fake)
    return calls


def test_synthetic_needs_no_folder():
    assert len(load_training_data(section(["synthetic"]), None, seed=0)) == 5
    assert len(load_validation_data(section(["synthetic"]), None)) == 3


def test_validation_people_are_drawn_once():
    people = load_validation_data(section(["synthetic"]), None).dataset.people
    assert people[0] is people[0]


def test_other_data_needs_one():
    with pytest.raises(BihrnetError, match="needs lspet: give its folder with --data"):
        load_training_data(section(["lspet"], "lspet"), None, seed=0)


def test_a_single_dataset_lies_in_the_folder_itself(asked):
    load_training_data(section(["lspet", "synthetic"], "lspet"), Path("data"), seed=0)
    load_validation_data(section(["lspet", "synthetic"], "lspet"), Path("data"))
    assert [call for call in asked if call[0] != "synthetic"] == [("lspet", Path("data"))] * 2


def test_several_datasets_lie_side_by_side(asked):
    load_training_data(section(["lsp", "lspet"], "lsp"), Path("data"), seed=0)
    assert asked == [("lsp", Path("data/lsp")), ("lspet", Path("data/lspet"))]


def test_data_of_one_format_lies_in_the_folders_that_are_named(asked):
    both = section(["coco/people", "coco/lspet"], "coco/people")
    data = load_training_data(both, Path("data"), seed=0).dataset
    val = load_validation_data(both, Path("data")).dataset
    assert asked == [
        ("coco", Path("data/people")), ("coco", Path("data/lspet")), ("coco", Path("data/people"))
    ]  # fmt: skip
    assert (data.name, val.name) == ("coco/people+coco/lspet", "coco/people")
    assert (data.skeleton, len(data)) == (COCO, 10)


def test_a_named_folder_holds_for_a_single_data_set_too(asked):
    load_training_data(section(["coco/people"], "coco/people"), Path("data"), seed=0)
    load_training_data(section(["coco/people", "lspet"], "coco/people", LSP), Path("d"), seed=0)
    assert asked == [
        ("coco", Path("data/people")), ("coco", Path("d/people")), ("lspet", Path("d/lspet"))
    ]  # fmt: skip


def test_datasets_follow_one_another(asked):
    together = load_training_data(section(["lsp", "lspet"]), Path("data"), seed=0).dataset
    assert len(together) == 10
    assert together.name == "synthetic+synthetic"
    assert together.people[7].instance_id == together.people[2].instance_id == 2
    assert together.people[-1].instance_id == 4
    assert [person.instance_id for person in together.people[3:7]] == [3, 4, 0, 1]
    with pytest.raises(IndexError):
        together.people[10]


def test_synthetic_takes_the_joints_of_the_others(asked):
    data = load_training_data(section(["synthetic", "coco"], "coco"), Path("data"), seed=0)
    assert data.dataset.skeleton == COCO
    assert {person.keypoints.shape for person in data.dataset.people} == {(17, 2)}


def test_synthetic_alone_takes_the_joints_of_the_recipe():
    drawn = section(["synthetic"], skeleton=MPII)
    for data in (load_training_data(drawn, None, seed=0), load_validation_data(drawn, None)):
        assert data.dataset.skeleton == MPII
        assert {person.keypoints.shape for person in data.dataset.people} == {(16, 2)}


def test_different_joints_are_refused(asked):
    with pytest.raises(BihrnetError, match="have different skeletons"):
        load_training_data(section(["coco", "lsp"], "coco"), Path("data"), seed=0)
