from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from bihrnet.cli.evaluate import evaluate
from bihrnet.data import PeopleDataset, Person
from bihrnet.errors import BihrnetError
from bihrnet.model import ModelSpec
from bihrnet.skeleton import CROWDPOSE, LSP

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(evaluate)


class Model:
    """Sees every joint in the middle of the crop."""

    spec = ModelSpec("stub@test", LSP, (64, 64))

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        heatmaps = np.zeros((len(crops), 14, 16, 16), dtype=np.float32)
        heatmaps[:, :, 8, 8] = 0.75
        return heatmaps


@pytest.fixture
def loaded(monkeypatch) -> dict[str, object]:
    """A stub model and a stub data set in place of the real ones; what was asked for is kept."""
    rng = np.random.default_rng(0)
    people = [
        Person.from_box(
            (10, 10, 60, 80),
            image=rng.integers(0, 256, (100, 100, 3), dtype=np.uint8),
            image_id=index,
            instance_id=index,
            keypoints=rng.uniform(30, 60, (14, 2)).astype(np.float32),
            visible=np.ones(14, dtype=np.float32),
        )
        for index in range(5)
    ]
    asked: dict[str, object] = {}

    def load_dataset(*arguments: object) -> PeopleDataset:
        asked["dataset"] = arguments
        return PeopleDataset("lspet", "val", LSP, people)

    def load(source: str) -> Model:
        asked["model"] = source
        return Model()

    monkeypatch.setattr("bihrnet.data.load_dataset", load_dataset)
    monkeypatch.setattr("bihrnet.zoo.load", load)
    return asked


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sentence(*arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, BihrnetError), result.output
    return str(result.exception)


def test_model_over_a_data_set(loaded, tmp_path) -> None:
    target = tmp_path / "metrics.json"
    arguments = ["net.ckpt", "--dataset", "lspet", "--data", tmp_path, "--json", target]
    result = run(*arguments, "--no-flip", "--decoding", "dark", "--batch-size", 2)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("stub@test on lspet val: 5 poses\n")
    assert loaded == {"model": "net.ckpt", "dataset": ("lspet", tmp_path, None, None, None)}

    report = json.loads(target.read_text())
    assert (report["model"], report["dataset"], report["split"]) == ("stub@test", "lspet", "val")
    assert (report["instances"], report["boxes"]) == (5, "ground truth")
    assert (report["flip_test"], report["decoding"]) == (False, "dark")
    assert set(report["metrics"]) == {"PCKh@0.5", "PCK@0.2"}
    assert set(report["by_joint"]["PCK@0.2"]) == set(LSP.keypoints)


@pytest.mark.parametrize("dataset", ["coco", "synthetic"])
def test_data_that_takes_any_joints_takes_the_models(loaded, tmp_path, dataset) -> None:
    assert run("net.ckpt", "--dataset", dataset, "--data", tmp_path).exit_code == 0
    assert loaded["dataset"] == (dataset, tmp_path, None, None, LSP)


def test_json_on_standard_output_stands_alone_and_the_table_is_on_standard_error(loaded) -> None:
    result = run("net.ckpt", "--dataset", "synthetic", "--json", "-")
    assert json.loads(result.stdout)["flip_test"] is True
    for words in ("stub@test on lspet val: 5 poses", "PCK@0.2", "left_knee"):
        assert words in result.stderr


def test_a_reader_of_the_table_that_goes_away_costs_no_metrics(loaded, tmp_path, monkeypatch):
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("bihrnet.cli.evaluate._print_report", closed)
    target = tmp_path / "metrics.json"
    assert run("net.ckpt", "--dataset", "synthetic", "--json", target).exit_code != 0
    assert json.loads(target.read_text())["instances"] == 5


def test_poses_are_saved_as_coco_results(loaded, tmp_path) -> None:
    target = tmp_path / "poses.json"
    run("net.ckpt", "--dataset", "synthetic", "--save-results", target)
    poses = json.loads(target.read_text())
    assert [pose["image_id"] for pose in poses] == [0, 1, 2, 3, 4]
    assert all(len(pose["keypoints"]) == 42 for pose in poses)
    assert poses[0]["score"] == pytest.approx(0.75)


@pytest.fixture
def crowd_files(tmp_path):
    """One person, annotated and found."""
    points = np.random.default_rng(0).uniform(10, 90, (14, 2)).round(1)
    flags = np.full((14, 1), 2)
    person = {
        "id": 1,
        "image_id": 5,
        "category_id": 1,
        "bbox": [10, 10, 80, 80],
        "keypoints": np.hstack([points, flags]).ravel().tolist(),
        "num_keypoints": 14,
        "iscrowd": 0,
    }
    truth = {"images": [{"id": 5, "crowdIndex": 0.9}], "annotations": [person], "categories": []}
    pose = {"image_id": 5, "keypoints": person["keypoints"], "score": 0.8}
    annotations, results = tmp_path / "crowdpose_test.json", tmp_path / "poses.json"
    annotations.write_text(json.dumps(truth))
    results.write_text(json.dumps([pose]))
    return results, annotations


def test_poses_made_elsewhere(crowd_files) -> None:
    results, annotations = crowd_files
    result = run(
        "--results", results, "--dataset", "crowdpose", "--annotations", annotations, "--json", "-"
    )
    report = json.loads(result.stdout)
    expected = {"AP": 1, "AP50": 1, "AP75": 1, "APM": 1, "AR": 1, "AR50": 1, "AR75": 1, "ARM": 1}
    assert report == {
        "model": "poses.json",
        "dataset": "crowdpose",
        "split": "crowdpose_test",
        "instances": 1,
        "boxes": None,
        "flip_test": None,
        "metrics": {**expected, "AP_hard": 1},
    }
    assert "AP_hard" in result.stderr


def test_other_number_of_keypoints_is_one_sentence(crowd_files) -> None:
    results, annotations = crowd_files
    told = sentence("--results", results, "--dataset", "coco", "--annotations", annotations)
    assert told == f"{annotations}: annotations[0] has 42 keypoint values, not 3 x 17"
    pose = json.loads(results.read_text())[0]
    results.write_text(json.dumps([pose, {**pose, "image_id": 6}]))
    told = sentence("--results", results, "--dataset", "crowdpose", "--annotations", annotations)
    assert told.startswith(f"{results}: [1] refers to image 6")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["net.ckpt"], "--dataset is missing; give one of coco, "),
        (
            ["net.ckpt", "--dataset", "imagenet"],
            "--dataset: unknown 'imagenet'; give one of",
        ),
        (["net.ckpt", "--dataset", "coco"], "--data is missing: the folder of data set 'coco'"),
        (["--dataset", "synthetic"], "needs a MODEL"),
        (["net.ckpt", "--dataset", "lsp", "--decoding", "max"], "--decoding takes one of quarter"),
        (["net.ckpt", "--dataset", "coco", "--annotations", "a"], "--annotations has no meaning"),
        (["net.ckpt", "--dataset", "coco", "--skeleton", "s"], "--skeleton has no meaning"),
        (["--results", "r", "--dataset", "coco"], "--results needs --annotations"),
        (
            ["--results", "r", "--dataset", "lsp"],
            "is for --dataset coco or crowdpose, not lsp",
        ),
        (["m", "--results", "r", "--dataset", "coco"], "MODEL has no meaning with --results"),
        (["--results", "r", "--dataset", "coco", "--no-flip"], "--flip has no meaning"),
        (["--results", "r", "--dataset", "coco", "--data", "d"], "--data has no meaning"),
        (["--results", "r", "--dataset", "coco", "--annotations", "a"], "a: cannot be read"),
        (
            ["--results", "r", "--dataset", "coco", "--annotations", "a", "--skeleton", "s"],
            "no skeleton 's'",
        ),
        (
            ["--results", "r", "--dataset", "crowdpose", "--annotations", "a", "--skeleton", "s"],
            "--skeleton is for --dataset coco: crowdpose has its own keypoints",
        ),
    ],
)
def test_contradicting_options_are_one_sentence(arguments, complaint) -> None:
    with pytest.raises(BihrnetError, match=complaint):
        raise BihrnetError(sentence(*arguments))


def test_a_model_of_another_skeleton_is_one_sentence(loaded, monkeypatch) -> None:
    monkeypatch.setattr(Model, "spec", ModelSpec("stub@test", CROWDPOSE, (64, 64)))
    told = sentence("net.ckpt", "--dataset", "synthetic")
    assert "stub@test estimates skeleton 'crowdpose-14'" in told


@pytest.mark.parametrize("option", ["--json", "--save-results"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(loaded, tmp_path, option) -> None:
    (tmp_path / "file").touch()
    arguments = ["x.bhr", "--dataset", "synthetic", option, str(tmp_path / "file" / "x.json")]
    with pytest.raises(BihrnetError, match="cannot be written"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert loaded == {}


def test_no_file_of_the_command_is_overwritten(tmp_path):
    for name in ("results.json", "truth.json"):
        (tmp_path / name).write_text("[]")
    results, truth = tmp_path / "results.json", tmp_path / "truth.json"
    poses = ["--dataset", "coco", "--results", results, "--annotations", truth]
    for target in (results, truth):
        assert "would overwrite another file" in sentence(*poses, "--json", target)
    model = ["net.ckpt", "--dataset", "lspet", "--data", tmp_path]
    both = ["--json", tmp_path / "x.json", "--save-results", tmp_path / "x.json"]
    assert "would overwrite another file" in sentence(*model, *both)
    assert results.read_text() == truth.read_text() == "[]"
