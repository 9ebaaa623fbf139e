from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from data_layouts import coco_content, write_coco, write_images

from bihrnet.data import load_dataset
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import COCO, load_skeleton


def test_people_are_cleaned_as_in_hrnet(tmp_path):
    dataset = load_dataset("coco", write_coco(tmp_path))

    assert [person.instance_id for person in dataset.people] == [1, 4]  # no crowd, no empty one
    first, second = dataset.people
    # HRNet: x2 = min(W - 1, x1 + w - 1), and the box is x2 - x1 wide.
    np.testing.assert_allclose(first.box, [10, 20, 39, 49])
    np.testing.assert_allclose(second.box, [0, 5, 49, 74])
    assert first.center == (29.5, 44.5)
    assert first.size == (39 * 1.25, 49 * 1.25)
    assert first.image_size == (80, 100)
    assert first.score == 1.0
    assert first.read_image().shape == (80, 100, 3)
    np.testing.assert_allclose(first.keypoints[2], [22, 32])
    assert first.visible.tolist() == [1, 0] + [1] * 15
    assert first.keypoints[1].tolist() == [0, 0]
    assert dataset.boxes == "ground truth"
    assert dataset.annotations == tmp_path / "annotations" / "person_keypoints_val2017.json"


def test_confidence_of_labels_becomes_their_weight(tmp_path):
    content = coco_content()
    scores = [round(0.05 * joint, 2) for joint in range(17)]
    content["annotations"][0]["keypoint_scores"] = scores
    scored, other = load_dataset("coco", write_coco(tmp_path, content)).people
    np.testing.assert_allclose(scored.weights, scores)
    assert other.weights is None


def test_crop_takes_hrnets_aspect_and_padding(tmp_path):
    crop = load_dataset("coco", write_coco(tmp_path)).people[1].crop((256, 192))
    # 49 x 74 grows to 55.5 x 74 (3:4), then 1.25 times.
    np.testing.assert_allclose(crop.size, (55.5 * 1.25, 74 * 1.25))
    assert crop.output == (256, 192)


@pytest.mark.parametrize("folder", ["val2017", "images/val2017", "images"])
def test_image_folders(tmp_path, folder):
    root = write_coco(tmp_path)
    (root / "val2017").rename(root / "waiting")
    (root / folder).parent.mkdir(exist_ok=True)
    (root / "waiting").rename(root / folder)
    assert load_dataset("coco", root).people[0].image == root / folder / "seven.jpg"


def test_annotation_file_with_images_beside_it(tmp_path):
    write_images(tmp_path, ["seven.jpg", "nine.jpg"])
    path = tmp_path / "own.json"
    path.write_text(json.dumps(coco_content()))
    dataset = load_dataset("coco", path)
    assert (dataset.split, len(dataset)) == ("own", 2)


def test_own_skeleton(tmp_path):
    example = re.search(
        r"```yaml\n(name: .*?)```",
        (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    assert example is not None
    root = write_coco(tmp_path)
    (root / "own.yaml").write_text(example[1])
    skeleton = load_skeleton(root / "own.yaml")
    content = coco_content()
    content["categories"][0]["keypoints"] = yaml.safe_load(example[1])["keypoints"]
    for annotation in content["annotations"]:
        annotation["keypoints"] = annotation["keypoints"][: 3 * len(skeleton)]
    dataset = load_dataset("coco", write_coco(tmp_path, content), skeleton=skeleton)
    assert dataset.skeleton is skeleton
    assert dataset.people[0].keypoints.shape == (len(skeleton), 2)


def test_detections_replace_ground_truth(tmp_path):
    boxes = tmp_path / "boxes.json"
    found = [
        {"image_id": 9, "category_id": 1, "bbox": [-5.5, 2, 20, 30], "score": 0.25},
        {"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.9},  # no person
        {"image_id": 8, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.9},  # unknown image
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.0},
    ]
    boxes.write_text(json.dumps(found))
    dataset = load_dataset("coco", write_coco(tmp_path), boxes=boxes)

    assert dataset.boxes == "boxes.json"
    assert [person.instance_id for person in dataset.people] == [0, 3]
    person = dataset.people[0]
    assert (person.image_id, person.score) == (9, 0.25)
    np.testing.assert_allclose(person.box, [-5.5, 2, 20, 30])
    assert not person.visible.any()
    assert person.keypoints.shape == (17, 2)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda c: c["categories"][0]["keypoints"].pop(),
            "has 16 keypoints, but skeleton 'coco-17' has 17",
        ),
        (lambda c: c["categories"][0].pop("keypoints"), "exactly one category must list keypoints"),
        (
            lambda c: c["categories"][0]["keypoints"].reverse(),
            "names a keypoint 'right_ankle' where skeleton 'coco-17' has 'nose'",
        ),
        (
            lambda c: c["annotations"][2]["keypoints"].pop(),
            r"annotations\[2\]: id 3 has 50 keypoint values, not 3 x 17",
        ),
        (
            lambda c: c["annotations"][3].update(image_id=5),
            r"annotations\[3\]: id 4 refers to image 5, which the file does not list",
        ),
        (lambda c: c["annotations"][3].update(id=1), r"annotations\[3\]: id 1 appears twice"),
        (lambda c: c["images"][1].update(id=7), r"images\[1\]: id 7 appears twice"),
        (lambda c: c["images"][1].pop("width"), r"images\[1\].width: Field required"),
        (lambda c: c["annotations"][0]["bbox"].__setitem__(2, float("nan")), r"\[0\].bbox\[2\]: "),
        (lambda c: c["annotations"][0]["bbox"].pop(), r"annotations\[0\].bbox\[3\]: "),
        (lambda c: c["annotations"][0].update(bbox="all"), r"annotations\[0\].bbox: "),
        (lambda c: c["annotations"][0].update(area=-1), r"annotations\[0\].area: "),
        (lambda c: c["annotations"][0].pop("id"), r"annotations\[0\].id: Field required"),
        (
            lambda c: c["annotations"][0].update(keypoint_scores=[1.0]),
            r"annotations\[0\]: id 1 has 1 keypoint scores, not 17",
        ),
        (
            lambda c: c["annotations"][0].update(keypoint_scores=[1.5] * 17),
            r"annotations\[0\].keypoint_scores\[0\]: ",
        ),
        (lambda c: c.pop("images"), "images: Field required"),
        (lambda c: c["annotations"].clear(), "holds no person with a box and a labeled joint"),
        (
            lambda c: c["images"][1].update(file_name="gone.jpg"),
            "1 of the 2 images that .* names are missing, first 'gone.jpg'",
        ),
    ],
)
def test_broken_annotations_name_file_and_entry(tmp_path, change, sentence):
    content = coco_content()
    change(content)
    with pytest.raises(BihrnetError, match=sentence) as caught:
        load_dataset("coco", write_coco(tmp_path, content))
    assert "person_keypoints_val2017.json" in str(caught.value)


def test_missing_annotations_tell_where_they_are_expected(tmp_path):
    with pytest.raises(
        BihrnetError, match=r"COCO annotations .*annotations/person_keypoints_train2017\.json"
    ):
        load_dataset("coco", tmp_path, "train")


def test_missing_image_folder_tells_where_it_is_expected(tmp_path):
    root = write_coco(tmp_path)
    (root / "val2017").rename(root / "elsewhere")
    with pytest.raises(BihrnetError, match=r"none of its 2 images was found: expected 'nine\.jpg'"):
        load_dataset("coco", root)


def test_sample_photographs(shared_data):
    folder = shared_data / "samples" / "coco"
    dataset = load_dataset("coco", folder / "test_coco.json")
    assert len(dataset) == 12  # of 14 annotations two have no labeled joint
    assert len({person.image for person in dataset.people}) == 4
    assert dataset.skeleton is COCO
    detected = load_dataset(
        "coco", folder / "test_coco.json", boxes=folder / "test_coco_det_AP_H_56.json"
    )
    assert len(detected) == 118
    mini = load_dataset("coco", shared_data / "samples" / "coco-mini", "train")
    assert len(mini) == 86
    for person in mini.people:
        assert person.read_image().shape[:2] == person.image_size


def test_people_of_two_roots(shared_data):
    """A teacher's labels: people with a box only are left out, the others carry confidences."""
    roots = [shared_data / folder for folder in ("people", "lspet")]
    if not all((root / "annotations").is_dir() for root in roots):
        pytest.skip("needs shared/data/people and lspet with COCO annotations")
    people, lspet = (load_dataset("coco", root, "train") for root in roots)
    assert (len(people), len(lspet)) == (16393, 7535)
    assert people.skeleton == lspet.skeleton == COCO
    weights = np.stack([person.weights for person in people.people])
    visible = np.stack([person.visible for person in people.people])
    assert visible.any(axis=1).all()
    assert 0.3 <= weights[visible > 0].min() < weights[visible > 0].max() <= 1
