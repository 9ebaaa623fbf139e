from __future__ import annotations

import numpy as np
import pytest
import scipy.io
from data_layouts import (
    mpii_entry,
    mpii_rect,
    structs,
    write_mpii_json,
    write_mpii_mat,
)

from bihrnet.data import load_dataset
from bihrnet.errors import BihrnetError


def test_json_counts_from_one_and_lowers_the_center(tmp_path):
    dataset = load_dataset(
        "mpii", write_mpii_json(tmp_path, [mpii_entry(), mpii_entry("b.jpg"), mpii_entry()])
    )
    assert [person.image_id for person in dataset.people] == [0, 1, 0]
    assert [person.instance_id for person in dataset.people] == [0, 1, 2]
    person = dataset.people[0]
    assert person.center == (149, 249 + 15 * 2)
    assert person.size == (2 * 200 * 1.25, 2 * 200 * 1.25)
    assert person.keypoints[0].tolist() == [99, 199]
    assert person.keypoints[9].tolist() == [0, 0]
    assert person.visible.tolist() == [1] * 9 + [0] + [1] * 6
    assert person.head_size is None


def test_head_sizes_from_gt_valid(tmp_path):
    root = write_mpii_json(tmp_path, [mpii_entry(), mpii_entry("b.jpg")])
    boxes = np.zeros((2, 2, 2))
    boxes[0] = [[10, 20], [30, 40]]  # upper left corners: x of both people, y of both
    boxes[1] = boxes[0] + [[30, 60], [40, 80]]
    scipy.io.savemat(root / "annot" / "gt_valid.mat", {"headboxes_src": boxes})
    sizes = [person.head_size for person in load_dataset("mpii", root).people]
    np.testing.assert_allclose(sizes, [0.6 * 50, 0.6 * 100])


def test_one_person_has_a_head_size(tmp_path):
    root = write_mpii_json(tmp_path, [mpii_entry()])
    boxes = np.array([[[10.0], [20.0]], [[40.0], [60.0]]])
    scipy.io.savemat(root / "annot" / "gt_valid.mat", {"headboxes_src": boxes})
    assert load_dataset("mpii", root).people[0].head_size == pytest.approx(30)


def test_head_sizes_of_other_people(tmp_path):
    root = write_mpii_json(tmp_path, [mpii_entry()])
    scipy.io.savemat(root / "annot" / "gt_valid.mat", {"headboxes_src": np.ones((2, 2, 3))})
    with pytest.raises(BihrnetError, match=r"gt_valid\.mat: headboxes_src is not \(2, 2, 1\)"):
        load_dataset("mpii", root)


def test_mat_takes_labeled_people_of_training_images(tmp_path):
    root = write_mpii_mat(
        tmp_path,
        ("a.jpg", mpii_rect(), mpii_rect(annopoints=[]), mpii_rect(objpos=[])),
        ("test.jpg", mpii_rect()),
        ("empty.jpg",),
        ("b.jpg", mpii_rect(x1=[])),
        train=[1, 0, 1, 1],
    )
    dataset = load_dataset("mpii", root, "train")
    assert [person.image.name for person in dataset.people] == ["a.jpg", "b.jpg"]
    person = dataset.people[0]
    assert person.center == (49, 59 + 15 * 1.5)
    assert person.size == (375, 375)
    assert person.head_size == pytest.approx(30)
    assert dataset.people[1].head_size is None
    assert np.flatnonzero(person.visible).tolist() == [0, 9, 15]  # is_visible does not matter
    assert person.keypoints[9].tolist() == [14.5, 1]


def test_mat_leaves_hrnets_validation_images_out_of_train(tmp_path):
    root = write_mpii_mat(tmp_path, ("a.jpg", mpii_rect()), ("b.jpg", mpii_rect()))
    write_mpii_json(tmp_path, [mpii_entry("b.jpg")])
    names = {
        split: [person.image.name for person in load_dataset("mpii", root, split).people]
        for split in ("train", "val", "trainval")
    }
    assert names == {"train": ["a.jpg"], "val": ["b.jpg"], "trainval": ["a.jpg", "b.jpg"]}


def test_mat_has_no_validation_people(tmp_path):
    with pytest.raises(BihrnetError, match=r"has no split 'val'.*valid\.json"):
        load_dataset("mpii", write_mpii_mat(tmp_path, ("a.jpg", mpii_rect())), "val")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"scale": "tall"}, r"RELEASE.annolist\(2\): could not convert"),
        ({"scale": -1.0}, r"RELEASE.annolist\(2\): .*greater than 0"),
        ({"objpos": structs({"x": np.nan, "y": 1.0})}, r"RELEASE.annolist\(2\): "),
        (
            {"annopoints": structs({"point": structs({"id": 16, "x": 1.0, "y": 1.0})})},
            r"RELEASE.annolist\(2\): there is no joint 16",
        ),
        (
            {"annopoints": structs({"point": structs({"id": 3, "y": 1.0})})},
            r"RELEASE.annolist\(2\): ",
        ),
    ],
)
def test_broken_mat_names_the_entry(tmp_path, change, sentence):
    root = write_mpii_mat(tmp_path, ("a.jpg", mpii_rect()), ("b.jpg", mpii_rect(**change)))
    with pytest.raises(BihrnetError, match=sentence):
        load_dataset("mpii", root, "train")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"joints": [[1.0, 1.0]] * 15}, r"\[1\].joints: List should have at least 16"),
        ({"joints_vis": [2] * 16}, r"\[1\].joints_vis\[0\]: "),
        ({"center": [1.0]}, r"\[1\].center"),
        ({"scale": 0.0}, r"\[1\].scale: "),
        ({"image": "gone.jpg"}, "1 of the 2 images .* missing, first 'gone.jpg'"),
    ],
)
def test_broken_json_names_file_and_entry(tmp_path, change, sentence):
    with pytest.raises(BihrnetError, match=sentence) as caught:
        load_dataset("mpii", write_mpii_json(tmp_path, [mpii_entry(), mpii_entry(**change)]))
    assert "valid.json" in str(caught.value)


def test_missing_annotations(tmp_path):
    with pytest.raises(BihrnetError, match=r"expected .*annot/valid\.json or .*u12_1\.mat"):
        load_dataset("mpii", tmp_path)


def test_sample_photographs(shared_data):
    dataset = load_dataset("mpii", shared_data / "samples" / "mpii" / "test_mpii.json")
    assert len(dataset) == 5
    person = dataset.people[0]
    assert person.center == pytest.approx((965, 339 + 15 * 4.718488))
    assert person.size == pytest.approx([4.718488 * 250] * 2)
    assert person.keypoints[0].tolist() == [803, 710]
