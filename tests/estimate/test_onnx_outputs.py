from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.errors import BihrnetError
from bihrnet.estimate.onnx_outputs import read_people

#: x1, y1, x2, y2 of two people and a dog, far apart.
CORNERS = np.array([[10, 20, 60, 120], [200, 50, 260, 200], [400, 40, 440, 80]], np.float32)
SCORES = np.array([0.9, 0.6, 0.8], np.float32)
IS_PERSON = np.array([True, True, False])

CENTERS = np.column_stack([(CORNERS[:, :2] + CORNERS[:, 2:]) / 2, CORNERS[:, 2:] - CORNERS[:, :2]])


def check(*outputs: np.ndarray, min_score: float = 0.3) -> None:
    boxes, scores = read_people(outputs, min_score)
    order = np.argsort(-scores)
    np.testing.assert_allclose(boxes[order], CORNERS[IS_PERSON], atol=1e-3)
    np.testing.assert_allclose(scores[order], SCORES[IS_PERSON], atol=1e-6)


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_torchvision(order: tuple[int, ...]) -> None:
    labels = np.where(IS_PERSON, 1, 18)
    outputs = (CORNERS, labels, SCORES)
    check(*(outputs[index] for index in order))


def test_mmdeploy() -> None:
    dets = np.column_stack([CORNERS, SCORES])[None]
    labels = np.where(IS_PERSON, 0, 16)[None]
    check(dets, labels)
    check(labels, dets)


def test_finished_rows() -> None:
    rows = np.column_stack([CORNERS, SCORES, np.where(IS_PERSON, 0, 16)])
    check(rows)
    check(rows[None])


def yolo_columns(classes: int, copies: int = 1, count: int = 300) -> np.ndarray:
    """(1, 4 + C, count) with each box `copies` times, a little moved and with less score."""
    rows = np.zeros((count, 4 + classes), np.float32)
    for copy in range(copies):
        part = slice(3 * copy, 3 * copy + 3)
        rows[part, :4] = CENTERS + copy
        rows[part, 4] = np.where(IS_PERSON, SCORES - 0.05 * copy, 0.1)
        if classes > 1:
            rows[part, -1] = np.where(IS_PERSON, 0.05, 0.8)
    return rows.T[None]


@pytest.mark.parametrize("classes", [1, 2, 80])
@pytest.mark.parametrize("copies", [1, 4])
def test_yolo_columns_with_duplicates(classes: int, copies: int) -> None:
    check(yolo_columns(classes, copies))


@pytest.mark.parametrize("classes", [1, 2, 80])
def test_yolo_rows_multiply_objectness(classes: int) -> None:
    columns = yolo_columns(classes, 3)[0].T
    objectness = np.full((len(columns), 1), 0.5, np.float32)
    rows = np.column_stack([columns[:, :4], objectness, columns[:, 4:]])
    boxes, scores = read_people([rows[None]], 0.2)
    np.testing.assert_allclose(boxes, CORNERS[IS_PERSON], atol=1e-3)
    np.testing.assert_allclose(scores, SCORES[IS_PERSON] / 2, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_suppression_leaves_distinct_people_only(seed: int, min_score: float) -> None:
    rng = np.random.default_rng(seed)
    rows = np.column_stack([rng.uniform(20, 100, (80, 4)), rng.uniform(0, 1, 80)]).T[None]
    boxes, scores = read_people([rows.astype(np.float32)], min_score)
    assert (scores >= min_score - 1e-6).all()
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    for n, box in enumerate(boxes):
        overlap = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
        shared = overlap.clip(0).prod(axis=1)
        others = np.arange(len(boxes)) != n
        assert (shared / (areas[n] + areas - shared))[others].max(initial=0) <= 0.5 + 1e-5


@pytest.mark.parametrize(
    "outputs",
    [
        [np.empty((0, 4)), np.empty(0, int), np.empty(0)],
        [np.empty((1, 0, 5)), np.empty((1, 0), int)],
        [np.empty((0, 6))],
        [np.empty((1, 0, 6))],
        [np.zeros((1, 84, 8400), np.float32)],
        [np.zeros((1, 25200, 85), np.float16)],
    ],
)
def test_nobody_found(outputs: list[np.ndarray]) -> None:
    boxes, scores = read_people(outputs, 0.3)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)


@pytest.mark.parametrize(
    "outputs",
    [
        [],
        [np.zeros((1, 4, 100))],
        [np.zeros(7)],
        [np.zeros((2, 84, 100))],
        [np.zeros((1, 3, 80, 80, 85))],
        [np.zeros((1, 10, 5)), np.zeros((1, 9), int)],
        [np.zeros((1, 10, 4)), np.zeros((1, 10), int)],
        [np.zeros((10, 4)), np.zeros(10), np.zeros(10)],
        [np.zeros((10, 4)), np.zeros(10, int), np.zeros(9)],
        [np.zeros((1, 10, 4)), np.zeros((1, 10, 80)), np.zeros(1), np.zeros(1)],
    ],
)
def test_unknown_layouts_are_named(outputs: list[np.ndarray]) -> None:
    with pytest.raises(BihrnetError, match="match no known detector") as caught:
        read_people(outputs, 0.3)
    for output in outputs:
        assert str(output.shape) in str(caught.value)


@pytest.mark.parametrize("score", [1.5, -3, float("nan")])
def test_undecoded_scores_are_named(score: float) -> None:
    columns = yolo_columns(80)
    columns[0, 4, 7] = score
    with pytest.raises(BihrnetError, match=r"not in 0\.\.1"):
        read_people([columns], 0.3)
