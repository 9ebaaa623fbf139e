from __future__ import annotations

import json

import pytest

from bihrnet.data.detections import read_detections
from bihrnet.errors import BihrnetError

GOOD = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.5}


def write(path, *entries):
    path.write_text(json.dumps(list(entries)))
    return path


def test_boxes_may_reach_over_the_border(tmp_path):
    entry = {**GOOD, "bbox": [-5, -5, 200, 200]}
    [(index, image_id, detection)] = read_detections(
        write(tmp_path / "b.json", entry), {1: (40, 60)}, 1
    )
    assert (index, image_id, detection.bbox) == (0, 1, (-5, -5, 200, 200))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bbox": [0, 0, 0, 10]}, r"b\.json: \[1\]: box \[0, 0, 0, 10\] is empty"),
        ({"bbox": [0, 0, 10, -1]}, r"\[1\]: box .* is empty"),
        ({"bbox": [60, 0, 10, 10]}, r"\[1\]: box .* lies outside image 1 \(60x40\)"),
        ({"bbox": [0, -10, 10, 10]}, r"\[1\]: box .* lies outside image 1"),
        ({"bbox": [float("nan"), 0, 10, 10]}, r"\[1\].bbox\[0\]: "),
        ({"bbox": [0, 0, 10]}, r"\[1\].bbox\[3\]: "),
        ({"score": float("inf")}, r"\[1\].score: "),
        ({"score": None}, r"\[1\].score: "),
        ({"image_id": "one"}, r"\[1\].image_id: 'one' is not an integer"),
        ({"image_id": -1}, r"\[1\].image_id"),
    ],
)
def test_broken_boxes_name_file_and_entry(tmp_path, change, sentence):
    path = write(tmp_path / "b.json", GOOD, {**GOOD, **change})
    with pytest.raises(BihrnetError, match=sentence):
        read_detections(path, {1: (40, 60)}, 1)


def test_no_box_for_these_images(tmp_path):
    path = write(tmp_path / "b.json", GOOD)
    with pytest.raises(BihrnetError, match="has no box of category 1 in the annotated images"):
        read_detections(path, {2: (40, 60)}, 1)


def test_missing_file(tmp_path):
    with pytest.raises(BihrnetError, match=r"gone\.json: cannot be read: No such file"):
        read_detections(tmp_path / "gone.json", {}, 1)
