from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.crop import Crop
from bihrnet.errors import BihrnetError
from bihrnet.estimate.boxes import check_boxes
from bihrnet.estimate.boxes_file import BoxesFile
from bihrnet.estimate.detectors import open_detector, whole_image
from bihrnet.pose import Frame

FRAME = Frame(np.zeros((40, 60, 3), dtype=np.uint8), "a.jpg")


@given(height=st.integers(1, 500), width=st.integers(1, 500))
def test_the_crop_of_the_whole_image_is_the_image(height: int, width: int) -> None:
    boxes, scores = whole_image(Frame(np.zeros((height, width, 3), dtype=np.uint8)))
    assert scores.tolist() == [1]
    crop = Crop.from_box(boxes[0], (height, width))
    np.testing.assert_allclose(crop.size, (width, height))
    np.testing.assert_allclose(crop.center, (width / 2, height / 2))


def test_detectors_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text("{}")
    assert open_detector("whole") is whole_image
    assert open_detector(whole_image) is whole_image
    assert isinstance(open_detector(tmp_path / "b.json"), BoxesFile)
    for name in ("hog", "photo.jpg", ""):
        with pytest.raises(BihrnetError, match=f"no detector '{name}': give whole, a .json file"):
            open_detector(name)
    with pytest.raises(BihrnetError, match="there is no such file"):
        open_detector("missing.onnx")


def test_good_boxes_become_floats() -> None:
    assert check_boxes([], FRAME).shape == (0, 4)
    assert check_boxes(np.zeros((0, 4)), FRAME).shape == (0, 4)
    assert check_boxes([1, 2, 3, 4], FRAME).tolist() == [[1, 2, 3, 4]]
    beyond_the_border = [[-10, -10, 11, 11], [59, 39, 100, 100]]
    assert check_boxes(beyond_the_border, FRAME).tolist() == beyond_the_border


@pytest.mark.parametrize(
    ("boxes", "cause"),
    [
        ([[1, 2, 3, 4], [1, 2, 0, 4]], "box 1 .* is empty"),
        ([[1, 2, 3, -4]], "box 0 .* is empty"),
        ([[1, 2, float("nan"), 4]], "not finite"),
        ([[1, 2, 3, float("inf")]], "not finite"),
        ([[-1e300, 0, 2e300, 9]], "box 0 .* is too large to be in pixels"),
        ([[60, 2, 3, 4]], "outside the 60x40 pixels"),
        ([[-3, 2, 3, 4]], "outside"),
        ([[1, 40, 3, 4]], "outside"),
        ([[1, -4, 3, 4]], "outside"),
        ([[1, 2, 3]], "boxes are"),
        ([[1, 2, 3, 4, 5]], "boxes are"),
        ([[1, 2, 3, 4], [1]], "boxes are"),
        ("whole", "boxes are"),
        (7, "boxes are"),
        ([[[1, 2, 3, 4]]], "boxes are"),
    ],
)
def test_bad_boxes_are_one_sentence(boxes: object, cause: str) -> None:
    with pytest.raises(BihrnetError, match=f"^a.jpg: .*{cause}"):
        check_boxes(boxes, FRAME)
