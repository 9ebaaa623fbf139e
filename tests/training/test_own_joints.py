"""Own joints in COCO's format: from annotation files and a YAML file to weights and their AP."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from own_joints import ARMS, write_own_joints
from typer.testing import CliRunner

from bihrnet.cli.app import app
from bihrnet.data.synthetic import load_synthetic
from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.crops import calibration_crops
from bihrnet.skeleton import LSP, Skeleton
from bihrnet.training.datasets import load_training_data, load_validation_data
from bihrnet.training.recipe import DataSection
from bihrnet.training.recipe_files import dump_recipe, load_recipe
from bihrnet.zoo import load

RECIPE = """
architecture: small-hrnet-w16
data: {train: coco, val: coco, input_size: 64x64, sigma: 1}
loss: mse
optimizer: {lr: 1e-3}
schedule: {name: cosine}
epochs: 1
batch_size: 2
precision: fp32
evaluation: {metric: AP, flip_test: false}
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_own_joints(tmp_path_factory.mktemp("own"))


def test_the_files_of_own_data_are_read_with_their_joints(own):
    skeleton = str(own / "skeleton.yaml")
    data = DataSection(train="coco", val="coco", input_size=(64, 64), sigma=1, skeleton=skeleton)
    train, val = load_training_data(data, own, seed=0), load_validation_data(data, own)
    assert (len(train), len(val)) == (4, 2)
    assert train.dataset.skeleton == val.dataset.skeleton == Skeleton.from_dict(ARMS)
    drawn = load_synthetic("val", Skeleton.from_dict(ARMS), count=2).people[1]
    np.testing.assert_allclose(val.dataset.people[1].keypoints, drawn.keypoints, atol=1e-3)


def test_calibration_crops_people_of_own_data(own):
    crops = calibration_crops(own, (64, 64), Skeleton.from_dict(ARMS))
    person = load_synthetic("train", Skeleton.from_dict(ARMS), count=1).people[0]
    assert len(crops) == 4
    expected = person.crop((64, 64)).warp(person.read_image())
    # COCO's cleaning takes a pixel off each box, so the crops differ by that much.
    assert np.abs(crops[0].astype(int) - expected).mean() < 10


def test_data_sets_with_joints_of_their_own_take_no_others(own):
    data = DataSection(train="lspet", val="lspet", input_size=(64, 64), sigma=1, skeleton=ARMS)
    with pytest.raises(BihrnetError, match="'lspet' has a skeleton of its own, not 'arms-3'"):
        load_training_data(data, own, seed=0)


def test_a_saved_recipe_holds_the_joints_themselves(own, tmp_path):
    name = "bihrnet-w16@synthetic-128x128"
    recipe = load_recipe(name, [f"data.skeleton={own / 'skeleton.yaml'}"])
    assert recipe.data.skeleton == Skeleton.from_dict(ARMS)
    (tmp_path / "saved.yaml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "saved.yaml") == recipe
    # A published one in place of those that the file holds.
    assert load_recipe(tmp_path / "saved.yaml", ["data.skeleton=lsp-14"]).data.skeleton == LSP


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("none.yaml", "no skeleton 'none.yaml': neither a YAML file nor one of"),
        ("{name: half}", "a skeleton needs exactly the fields"),
        ("7", "skeleton"),
    ],
)
def test_mistakes_are_one_sentence(value, sentence):
    with pytest.raises(BihrnetError, match=sentence) as caught:
        load_recipe("bihrnet-w16@synthetic-128x128", [f"data.skeleton={value}"])
    assert "\n" not in str(caught.value)


def test_from_annotations_to_weights_and_their_ap(own, tmp_path):
    """By the commands of docs/data.md: the weights carry the joints, and are judged on them."""
    (tmp_path / "small@own.yaml").write_text(RECIPE)
    skeleton = f"data.skeleton={own / 'skeleton.yaml'}"
    command = ["train", f"{tmp_path / 'small@own.yaml'}", skeleton, "--data", f"{own}"]
    runs = tmp_path / "runs"
    trained = CliRunner().invoke(app, [*command, "--out", f"{runs}", "--workers", "0"])
    assert trained.exit_code == 0, trained.exception
    weights = runs / "small-hrnet-w16@own" / "best.ckpt"
    assert load(str(weights)).spec.skeleton == Skeleton.from_dict(ARMS)

    found = evaluate(tmp_path, f"{weights}", "--data", f"{own}")
    assert found["instances"] == 2
    assert 0 <= found["metrics"]["AP"] <= 1


def test_poses_made_elsewhere_are_judged_by_own_sigmas(own, tmp_path):
    """Joints moved so far that OKS is 0.72 pass the thresholds 0.50 to 0.70, half of them."""
    truth = own / "annotations" / "val.json"
    results = []
    for person in json.loads(truth.read_text())["annotations"]:
        moved = np.reshape(person["keypoints"], (-1, 3))
        scale = 2 * np.sqrt(person["area"]) * np.array(ARMS["sigmas"])
        moved[:, 0] += scale * np.sqrt(-2 * np.log(0.72))
        results.append({**person, "keypoints": moved.ravel().tolist(), "score": 1.0})
    (tmp_path / "poses.json").write_text(json.dumps(results))
    files = ("--results", f"{tmp_path / 'poses.json'}", "--annotations", f"{truth}")
    found = evaluate(tmp_path, *files, "--skeleton", f"{own / 'skeleton.yaml'}")["metrics"]
    assert (found["AP50"], found["AP75"]) == (1, 0)
    assert found["AP"] == pytest.approx(0.5)


def evaluate(folder: Path, *arguments: str) -> dict:
    """The JSON of the command over COCO's format."""
    report = folder / "report.json"
    command = ["evaluate", *arguments, "--dataset", "coco", "--json", f"{report}"]
    judged = CliRunner().invoke(app, command)
    assert judged.exit_code == 0, judged.exception
    return json.loads(report.read_text())
