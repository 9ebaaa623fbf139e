from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.io
from data_layouts import write_images

from bihrnet.data import load_dataset
from bihrnet.errors import BihrnetError


@pytest.fixture(scope="module")
def lsp(tmp_path_factory):
    root = tmp_path_factory.mktemp("lsp")
    write_images(root / "images", [f"im{number:04d}.jpg" for number in range(1, 2001)], (30, 20))
    joints = np.zeros((3, 14, 2000))
    joints[0], joints[1] = np.arange(14)[:, None], np.arange(2000)
    joints[2, :7] = 1  # occluded
    scipy.io.savemat(root / "joints.mat", {"joints": joints})
    return root


@pytest.fixture
def lspet(tmp_path):
    """Images 1, 2, 3 and 9500 have labels; 3 only of one joint."""
    joints = np.zeros((14, 3, 10_000))
    for number, labeled in ((1, 14), (2, 9), (3, 1), (9500, 14)):
        joints[:labeled, 0, number - 1] = 10 + np.arange(labeled)
        joints[:labeled, 1, number - 1] = 50 - 2 * np.arange(labeled)
        joints[:labeled, 2, number - 1] = 1
    joints[13, :2, 1] = 500, 500  # unlabeled: must not widen the box
    scipy.io.savemat(tmp_path / "joints.mat", {"joints": joints})
    write_images(tmp_path / "images", [f"im{number:05d}.jpg" for number in (1, 2, 9500)], (60, 40))
    return tmp_path


def test_lsp_halves_and_whole_images(lsp):
    train, test = load_dataset("lsp", lsp, "train"), load_dataset("lsp", lsp)
    assert (test.split, len(train), len(test)) == ("test", 1000, 1000)
    assert train.people[0].image.name == "im0001.jpg"
    person = test.people[0]
    assert person.image.name == "im1001.jpg"
    assert (person.center, person.size, person.image_size) == ((10, 15), (20, 30), (30, 20))
    assert person.visible.all()  # occluded joints are labeled
    assert person.keypoints[3].tolist() == [3, 1000]


def test_lspet_without_a_split(lspet):
    train, val = load_dataset("lspet", lspet, "train"), load_dataset("lspet", lspet)
    assert [person.image_id for person in train.people] == [1, 2]
    assert [person.image.name for person in val.people] == ["im09500.jpg"]
    second = train.people[1]
    np.testing.assert_allclose(second.box, [10, 34, 8, 16])  # of the labeled joints
    assert second.size == (10, 20)
    assert second.visible.tolist() == [1] * 9 + [0] * 5
    assert second.keypoints[13].tolist() == [0, 0]


def test_lspet_with_a_split(lspet):
    names = {"train": ["im09500.jpg", "im00001.jpg"], "val": ["im00002.jpg"]}
    (lspet / "split.json").write_text(json.dumps(names))
    assert [p.image_id for p in load_dataset("lspet", lspet, "train").people] == [9500, 1]
    assert [p.image_id for p in load_dataset("lspet", lspet).people] == [2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ('{"train": []}', "has no split 'val', only"),
        ('{"val": ["im00002.jpg", "im2.jpg"]}', r"val\[1\]: 'im2.jpg' is not an image of LSPET"),
        ('{"val": ["im00004.jpg"]}', "split 'val' has no image with labeled joints"),
        ("{", "split.json: Invalid JSON"),
    ],
)
def test_broken_split(lspet, content, sentence):
    (lspet / "split.json").write_text(content)
    with pytest.raises(BihrnetError, match=sentence):
        load_dataset("lspet", lspet)


def test_each_tells_the_other_apart(lsp, lspet):
    with pytest.raises(BihrnetError, match=r"\(3, 14, 2000\), not numeric \(14, 3, 10000\)"):
        load_dataset("lspet", lsp)
    with pytest.raises(BihrnetError, match=r"\(14, 3, 10000\), not numeric \(3, 14, 2000\)"):
        load_dataset("lsp", lspet)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_impossible_joint_names_the_image(lspet, value):
    joints = scipy.io.loadmat(lspet / "joints.mat")["joints"]
    joints[3, 0, 1] = value
    scipy.io.savemat(lspet / "joints.mat", {"joints": joints})
    with pytest.raises(BihrnetError, match=r"joints\.mat: image 2 has a joint at impossible"):
        load_dataset("lspet", lspet, "train")


def test_missing_image_is_named(lspet):
    (lspet / "images" / "im00002.jpg").unlink()
    with pytest.raises(BihrnetError, match=r"1 of the 2 images .* first 'im00002\.jpg'"):
        load_dataset("lspet", lspet, "train")


def test_real_photographs(shared_data):
    train = load_dataset("lspet", shared_data / "lspet", "train")
    val = load_dataset("lspet", shared_data / "lspet")
    assert (len(train), len(val)) == (7537, 1000)
    for person in val.people[:20]:
        height, width = person.read_image().shape[:2]
        labeled = person.keypoints[person.visible > 0]
        assert (labeled >= -10).all()  # crowd workers also click beside the picture
        assert (labeled <= (width + 10, height + 10)).all()
