from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io

from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.crops import calibration_crops
from bihrnet.images import write_image
from bihrnet.skeleton import COCO, LSP


def test_images_are_taken_whole_and_spread(tmp_path):
    for number in range(10):
        (tmp_path / "deep").mkdir(exist_ok=True)
        image = np.full((40, 20, 3), 20 * number, dtype=np.uint8)
        write_image(tmp_path / "deep" / f"{number}.png", image)
    crops = calibration_crops(tmp_path, (64, 32), LSP, count=4)
    assert crops.shape == (4, 64, 32, 3)
    assert crops.dtype == np.uint8
    assert crops[:, 32, 16, 0].tolist() == [0, 60, 120, 180]
    # The whole picture: no black frame but the outermost interpolated pixels.
    assert (crops[3, 2:-2, 2:-2] == 180).all()


def test_people_of_a_data_set_are_cropped(shared_data):
    crops = calibration_crops(shared_data / "lspet", (128, 96), LSP, count=5)
    assert crops.shape == (5, 128, 96, 3)
    crops = calibration_crops(shared_data / "samples" / "mpii", (64, 64), LSP, count=5)
    assert len(crops) == 5


def own_data(folder, keypoints=("left", "right"), images=("seven.png",)):
    """Two people in COCO's format; the folder holds these of the images that it names."""
    values = [value for joint in range(len(keypoints)) for value in (20 + joint, 30 + joint, 2)]
    person = {"image_id": 7, "category_id": 1, "bbox": [10, 20, 40, 50], "keypoints": values}
    content = {
        "images": [{"id": 7, "file_name": "seven.png", "height": 80, "width": 100}],
        "annotations": [{**person, "id": 1}, {**person, "id": 2}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(keypoints)}],
    }
    (folder / "annotations").mkdir()
    (folder / "annotations" / "train.json").write_text(json.dumps(content))
    for name in images:
        write_image(folder / "images" / name, np.full((80, 100, 3), 128, np.uint8))


@pytest.mark.parametrize("skeleton", [COCO, LSP])
def test_what_the_crops_show_is_logged(tmp_path, skeleton):
    logged = []
    own_data(tmp_path, COCO.keypoints)
    calibration_crops(tmp_path, (64, 32), skeleton, log=logged.append)
    calibration_crops(tmp_path / "images", (64, 32), skeleton, log=logged.append)
    assert logged == ["2 people of coco train", "1 whole images"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"images": ["other.png"]}, r"none of its 1 images was found"),
        ({}, "has 2 keypoints, but .* has 14; .* has 2 keypoints, but .* has 17"),
    ],
)
def test_a_broken_data_set_is_not_taken_for_whole_images(tmp_path, data, sentence):
    keypoints = LSP.keypoints if data else ("left", "right")
    own_data(tmp_path, keypoints, **data)
    with pytest.raises(BihrnetError, match=sentence):
        calibration_crops(tmp_path, (64, 32), LSP)


def test_lsp_and_lspet_are_told_apart_by_their_joints(tmp_path):
    """Their files have the same names; the images that are missing are those of LSP."""
    scipy.io.savemat(tmp_path / "joints.mat", {"joints": np.ones((3, 14, 2000))})
    with pytest.raises(BihrnetError, match=r"none of its 1000 images was found: .*im0001\.jpg"):
        calibration_crops(tmp_path, (64, 32), LSP)


def test_broken_json_is_told_once(tmp_path):
    own_data(tmp_path)
    (tmp_path / "annotations" / "train.json").write_text("{")
    with pytest.raises(BihrnetError, match="Invalid JSON") as caught:
        calibration_crops(tmp_path, (64, 32), LSP)
    assert str(caught.value).count("train.json") == 1


@pytest.mark.parametrize(
    ("name", "sentence"), [("none", "there is no such folder"), ("empty", "neither a data set nor")]
)
def test_nothing_to_calibrate_on_is_told(tmp_path, name, sentence):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BihrnetError, match=f"{name}: .*{sentence}"):
        calibration_crops(tmp_path / name, (64, 32), LSP)
