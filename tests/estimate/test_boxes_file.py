from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bihrnet.errors import BihrnetError
from bihrnet.estimate.boxes_file import BoxesFile
from bihrnet.pose import Frame

IMAGE = np.zeros((40, 60, 3), dtype=np.uint8)


def boxes_of(tmp_path: Path, content: Any, file: str, number: int | None = None) -> list[float]:
    """x of the boxes that the frame gets: enough to tell them apart."""
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(content))
    boxes, scores = BoxesFile(path)(Frame(IMAGE, file, number))
    assert boxes.shape == (len(scores), 4)
    return boxes[:, 0].tolist()


def box(x: float) -> list[float]:
    return [x, 2, 30, 40]


def test_by_file_name(tmp_path: Path) -> None:
    content = {"a.jpg": [box(1), [*box(2), 0.9], [*box(3), 0.1]], "b/a.jpg": [box(4)]}
    assert boxes_of(tmp_path, content, "a.jpg") == [1, 2]
    assert boxes_of(tmp_path, content, "elsewhere/a.jpg") == [1, 2]
    assert boxes_of(tmp_path, content, "b/a.jpg") == [4]
    assert boxes_of(tmp_path, content, "c.jpg") == []


def test_a_path_may_be_written_in_several_ways(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text('{"./a/photo.jpg": [[1, 2, 3, 4]]}')
    image = np.zeros((9, 9, 3), np.uint8)
    assert len(BoxesFile(path)(Frame(image, "a/photo.jpg"))[0]) == 1


def test_scores_are_kept_and_default_to_1(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"a.jpg": [box(1), [*box(2), 0.7]]}))
    assert BoxesFile(path)(Frame(IMAGE, "a.jpg"))[1].tolist() == [1, 0.7]
    assert BoxesFile(path, min_score=0.8)(Frame(IMAGE, "a.jpg"))[1].tolist() == [1]


def test_coco_detections(tmp_path: Path) -> None:
    content = [
        {"image_id": 785, "bbox": box(1), "score": 0.99, "category_id": 1},
        {"image_id": 785, "bbox": box(2), "score": 0.99, "category_id": 18},
        {"image_id": 785, "bbox": box(3), "score": 0.01, "category_id": 1},
        {"image_id": "b.jpg", "bbox": box(4), "score": 0.5},
    ]
    assert boxes_of(tmp_path, content, "x/000000000785.jpg") == [1]
    assert boxes_of(tmp_path, content, "COCO_val2014_000000000785.jpg") == [1]
    assert boxes_of(tmp_path, content, "b.jpg") == [4]
    assert boxes_of(tmp_path, content, "785.png") == [1]
    assert boxes_of(tmp_path, content, "786.png") == []


def test_coco_annotations(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "photo.jpg", "width": 60}],
        "annotations": [
            {"id": 1, "image_id": 7, "bbox": box(1), "category_id": 1, "keypoints": [0] * 51},
            {"id": 2, "image_id": 7, "bbox": box(2), "category_id": 1, "iscrowd": 1},
        ],
    }
    assert boxes_of(tmp_path, content, "photo.jpg") == [1]
    assert boxes_of(tmp_path, content, "000007.jpg") == [1]


def test_coco_annotations_of_files_in_folders(tmp_path: Path) -> None:
    names = {1: "val/a.jpg", 2: "train/a.jpg", 3: "train/b.jpg"}
    content = {
        "images": [{"id": key, "file_name": name} for key, name in names.items()],
        "annotations": [{"image_id": key, "bbox": box(key)} for key in names],
    }
    assert boxes_of(tmp_path, content, "val/a.jpg") == [1]
    assert boxes_of(tmp_path, content, "train/a.jpg") == [2]
    assert boxes_of(tmp_path, content, "elsewhere/a.jpg") == [1]
    assert boxes_of(tmp_path, content, "elsewhere/b.jpg") == [3]


def test_what_is_missing_or_outside_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({"v.mp4": [box(1), [900, 2, 3, 4], [-5, 2, 5, 4]]}))
    detector = BoxesFile(path)
    for number in range(3):
        assert detector(Frame(IMAGE, "v.mp4", number))[0][:, 0].tolist() == [1]
        assert len(detector(Frame(IMAGE, "w.mp4", number))[0]) == 0
    assert caplog.messages == [
        f"{path}: v.mp4: box [900.0, 2.0, 3.0, 4.0] lies outside the 60x40 pixels",
        f"{path}: has no entry for w.mp4",
    ]


def test_video_frames(tmp_path: Path) -> None:
    content = {"v.mp4": [box(1)], "v.mp4#2": [box(2)], "v.mp4#3": []}
    assert [boxes_of(tmp_path, content, "x/v.mp4", n) for n in range(4)] == [[1], [1], [2], []]


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        ("[", "Invalid JSON"),
        ("[" * 100_000, "Invalid JSON"),
        ("3", ": Input should be an object"),
        ("[3]", r"\[0\]: Input should be an object"),
        ('{"a.jpg": [[1, 2, 3]]}', r"a\.jpg\[0\]"),
        ('{"a.jpg": [[1, 2, 3, 4, 5, 6]]}', r"a\.jpg\[0\]"),
        ('{"a.jpg": [[1, 2, "3", 4]]}', r"a\.jpg\[0\]\[2\]"),
        ('{"a.jpg": [[1, 2, NaN, 4]]}', r"a\.jpg\[0\]\[2\]: .*finite"),
        ('{"a.jpg": [[1, 2, 1e999, 4]]}', r"a\.jpg\[0\]\[2\]: .*finite"),
        ('{"a.jpg": [[1, 2, 3, 4], [1, 2, 3, 0]]}', r"a\.jpg, box 1: .* is empty"),
        ('{"a.jpg": [[1, 2, -3, 4, 0.1]]}', r"a\.jpg, box 0: .* is empty"),
        ('{"a.jpg": [[2e6, 0, 10, 10]]}', r"a\.jpg, box 0: .* is too large to be in pixels"),
        ('{"a.jpg": [1, 2, 3, 4]}', r"a\.jpg\[0\]"),
        ('[{"bbox": [1, 2, 3, 4]}]', r"\[0\].image_id: Field required"),
        ('[{"image_id": 1, "bbox": [1, 2, 3, null]}]', r"\[0\].bbox\[3\]"),
        ('{"annotations": [], "images": 3}', "images"),
    ],
)
def test_broken_files_name_the_entry(tmp_path: Path, content: str, cause: str) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(content)
    with pytest.raises(BihrnetError, match=cause) as caught:
        BoxesFile(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(BihrnetError, match="No such file"):
        BoxesFile(tmp_path / "missing.json")
    (tmp_path / "photo.json").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(BihrnetError, match="Invalid JSON"):
        BoxesFile(tmp_path / "photo.json")


@pytest.mark.parametrize(
    ("file", "image", "count"),
    [
        ("coco/test_coco_det_AP_H_56.json", "000000000785.jpg", 2),
        ("coco/test_coco.json", "000000000785.jpg", 1),
        ("crowdpose/test_crowdpose_det_AP_40.json", "106848.jpg", 3),
        ("crowdpose/test_crowdpose.json", "103319.jpg", 2),
    ],
)
def test_real_files(shared_data: Path, file: str, image: str, count: int) -> None:
    large = np.zeros((2000, 2000, 3), dtype=np.uint8)
    boxes, _ = BoxesFile(shared_data / "samples" / file)(Frame(large, image))
    assert len(boxes) == count
