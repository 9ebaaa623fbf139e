from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bihrnet.estimate.tracking import PATIENCE, Tracker, _iou
from bihrnet.pose import Pose
from bihrnet.skeleton import LSP

FPS = 25
#: A body in a box of 1 x 1.
BODY = np.random.default_rng(0).uniform(0.1, 0.9, (14, 2))


def person(x: float, y: float = 0.0, noise: float = 0.0, body: np.ndarray = BODY) -> Pose:
    """60 x 160 pixels, the upper left corner at x, y; keypoints off by pixels of noise."""
    rng = np.random.default_rng(abs(int(1000 * x)))
    points = (x, y) + body * (60, 160) + noise * rng.standard_normal((14, 2))
    keypoints = np.column_stack([points, np.ones(14)]).astype(np.float32)
    return Pose(keypoints, np.array([x, y, 60, 160], np.float32), 1.0)


def follow(frames: list[list[Pose]], seconds: list[float] | None = None) -> list[list[int | None]]:
    tracker = Tracker(LSP.sigmas)
    times = seconds or [number / FPS for number in range(len(frames))]
    found = [tracker.update(poses, time) for poses, time in zip(frames, times, strict=True)]
    return [[pose.track_id for pose in poses] for poses in found]


def test_people_are_counted_from_one_best_first():
    assert follow([[person(0), person(300)]]) == [[1, 2]]


def test_nobody_and_then_somebody():
    assert follow([[], [person(0)], [], []]) == [[], [1], [], []]


def test_people_who_cross_keep_their_numbers():
    """Four pixels a frame against each other, a jittery network, and in any order."""
    frames, swapped = [], []
    for number, x in enumerate(np.linspace(0, 300, 75)):
        both = [person(x, 10, noise=4), person(300 - x, noise=4, body=BODY[::-1])]
        swapped.append(number % 3 == 1)
        frames.append(both[::-1] if swapped[-1] else both)
    assert follow(frames) == [[2, 1] if other else [1, 2] for other in swapped]


def test_who_is_missed_for_a_moment_keeps_the_number():
    frames = [[person(0), person(200)], [person(200)], [person(200), person(2)]]
    assert follow(frames, [0, PATIENCE / 2, PATIENCE]) == [[1, 2], [2], [2, 1]]


def test_who_comes_back_later_gets_a_new_one():
    frames = [[person(0), person(200)], [person(200)], [person(0), person(200)]]
    assert follow(frames, [0, 0.9 * PATIENCE, 1.1 * PATIENCE]) == [[1, 2], [2], [3, 2]]


def test_somebody_else_elsewhere_gets_another_number():
    assert follow([[person(0)], [person(100)]]) == [[1], [2]]


def test_nothing_but_the_number_is_changed():
    pose = person(5)
    (numbered,) = Tracker(LSP.sigmas).update([pose], 0.0)
    assert numbered.keypoints is pose.keypoints
    assert numbered.bbox is pose.bbox
    assert numbered.score == pose.score


@settings(max_examples=50)
@given(st.lists(st.lists(st.floats(-200, 200), max_size=6), max_size=6))
def test_a_number_stands_for_one_person_of_a_frame(places):
    for ids in follow([[person(x) for x in frame] for frame in places]):
        assert len(set(ids)) == len(ids)


@given(st.integers(0, 10**6))
def test_iou_is_that_of_pixels_counted(seed):
    rng = np.random.default_rng(seed)
    boxes = np.column_stack([rng.integers(0, 20, (4, 2)), rng.integers(1, 12, (4, 2))])
    covered = np.zeros((4, 40, 40), bool)
    for mask, (x, y, w, h) in zip(covered, boxes, strict=True):
        mask[y : y + h, x : x + w] = True
    expected = [(covered[0] & m).sum() / (covered[0] | m).sum() for m in covered[1:]]
    np.testing.assert_allclose(_iou(boxes[0].astype(float), boxes[1:].astype(float)), expected)
