from __future__ import annotations

import json
from pathlib import Path

import pytest

from bihrnet.errors import BihrnetError
from bihrnet.evaluation.coco_files import GroundTruth, read_ground_truth, read_results

POSE = {"image_id": 3, "category_id": 1, "keypoints": [1.5, 2, 0.5] * 2, "score": 0.5}
PERSON = {
    "id": 9,
    "image_id": 3,
    "category_id": 1,
    "bbox": [1, 2, 30, 40],
    "area": 700,
    "iscrowd": 0,
    "keypoints": [1, 2, 2, 3, 4, 0],
    "num_keypoints": 1,
}
TRUTH = GroundTruth({3: None}, [], 1)


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def annotations(**change: object) -> dict:
    person = {key: value for key, value in {**PERSON, **change}.items() if value is not None}
    return {"images": [{"id": 3, "crowdIndex": 0.4}], "annotations": [person]}


def test_ground_truth_of_coco_and_of_crowdpose(tmp_path) -> None:
    path = write(tmp_path / "truth.json", annotations(num_keypoints=None))
    coco = read_ground_truth(path, 2, "coco")
    assert coco.images == {3: None}
    (person,) = coco.people
    assert (person["area"], person["num_keypoints"], person["iscrowd"]) == (700, 1, 0)
    crowdpose = read_ground_truth(path, 2, "crowdpose")
    assert crowdpose.images == {3: 0.4}
    assert crowdpose.people[0]["area"] == pytest.approx(0.53 * 30 * 40)


def test_other_categories_are_not_judged(tmp_path) -> None:
    content = annotations(category_id=7)
    content["annotations"].append({**PERSON, "id": 10, "category_id": 8})
    content["categories"] = [{"id": 7, "keypoints": ["a", "b"]}, {"id": 8, "keypoints": []}]
    truth = read_ground_truth(write(tmp_path / "truth.json", content), 2, "coco")
    assert [person["category_id"] for person in truth.people] == [truth.category_id] == [7]
    results = [{**POSE, "category_id": number} for number in (7, 8, 1)]
    del results[2]["category_id"]
    path = write(tmp_path / "results.json", results)
    assert [pose["category_id"] for pose in read_results(path, 2, truth)] == [7, 7]
    content["categories"][1]["keypoints"] = ["c"]
    with pytest.raises(BihrnetError, match="exactly one category must list keypoints, not 2 of 2"):
        read_ground_truth(write(tmp_path / "truth.json", content), 2, "coco")


def test_annotations_without_keypoints_are_no_people(tmp_path) -> None:
    path = write(tmp_path / "truth.json", annotations(keypoints=None))
    assert read_ground_truth(path, 2, "coco").people == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ({"images": []}, "annotations"),
        (annotations(keypoints=[1, 2, 2]), r"annotations\[0\] has 3 keypoint values, not 3 x 2"),
        (annotations(image_id=4), r"annotations\[0\] refers to image 4"),
        (annotations(area=None), r"annotations\[0\] has no area"),
        (annotations(bbox=[1, 2, 3]), r"annotations\[0\].bbox"),
        (annotations(bbox=[1, 2, 3, "4"]), r"annotations\[0\].bbox\[3\]"),
        (annotations(keypoints=[1, 2, 2, 3, 4, float("nan")]), r"annotations\[0\].keypoints\[5\]"),
    ],
)
def test_broken_annotations_are_one_sentence_naming_file_and_entry(
    tmp_path, content, complaint
) -> None:
    path = write(tmp_path / "truth.json", content)
    with pytest.raises(BihrnetError, match=complaint) as caught:
        read_ground_truth(path, 2, "coco")
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "Invalid JSON"),
        ("{}", "array"),
        ([POSE, {**POSE, "keypoints": [1, 2, 3]}], r"\[1\] has 3 keypoint values, not 3 x 2"),
        ([POSE, {**POSE, "image_id": 4}], r"\[1\] refers to image 4"),
        ([{**POSE, "score": float("nan")}], r"\[0\].score"),
        ([{**POSE, "score": None}], r"\[0\].score"),
        ([{**POSE, "score": "high"}], r"\[0\].score"),
        ([{**POSE, "keypoints": [1, float("nan"), 0.5] * 2}], r"\[0\].keypoints\[1\]"),
        ([{**POSE, "keypoints": [1, float("inf"), 0.5] * 2}], r"\[0\].keypoints\[1\]"),
        ([{"image_id": 3, "score": 1.0}], r"\[0\].keypoints"),
        ([7], r"\[0\]"),
    ],
)
def test_broken_results_are_one_sentence_naming_file_and_entry(
    tmp_path, content, complaint
) -> None:
    path = write(tmp_path / "results.json", content)
    with pytest.raises(BihrnetError, match=complaint) as caught:
        read_results(path, 2, TRUTH)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_bytes_and_missing_files_are_one_sentence(tmp_path) -> None:
    path = tmp_path / "results.json"
    with pytest.raises(BihrnetError, match="cannot be read"):
        read_results(path, 2, TRUTH)
    path.write_bytes(b"\xff\xd8\xff\xe0 not text")
    with pytest.raises(BihrnetError, match=r"results\.json"):
        read_results(path, 2, TRUTH)
    with pytest.raises(BihrnetError, match="cannot be read"):
        read_ground_truth(tmp_path, 2, "coco")


def test_other_keys_of_other_tools_do_no_harm(tmp_path) -> None:
    path = write(tmp_path / "results.json", [{**POSE, "bbox": [0, 0, 1, 1], "center": None}])
    (pose,) = read_results(path, 2, TRUTH)
    assert pose == POSE
