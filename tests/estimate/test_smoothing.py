from __future__ import annotations

from math import pi

import numpy as np
import pytest

from bihrnet.estimate import smoothing
from bihrnet.estimate.smoothing import OneEuroFilter, Smoother
from bihrnet.estimate.tracking import PATIENCE
from bihrnet.pose import Pose

FPS = 25


def filtered(points: np.ndarray, size: float = 100, fps: float = FPS) -> np.ndarray:
    """(T, K, 2) -> the same, frame by frame through one filter."""
    points = points.astype(np.float32)
    one_euro, seen = OneEuroFilter(points.shape[1]), np.ones(points.shape[1], bool)
    return np.array(
        [one_euro(frame, seen, number / fps, size) for number, frame in enumerate(points)]
    )


def by_the_formulas(signal: list[float], size: float) -> list[float]:
    """Algorithm 1 of the paper, for one coordinate of a point whose other one stays 0."""

    def alpha(cutoff: float) -> float:
        return 1 / (1 + FPS / (2 * pi * cutoff))

    value, speed, found = signal[0], 0.0, [signal[0]]
    for x in signal[1:]:
        weight = alpha(smoothing.SPEED_CUTOFF)
        speed = weight * (x - value) * FPS / size + (1 - weight) * speed
        weight = alpha(smoothing.MIN_CUTOFF + smoothing.SPEED_COEFFICIENT * abs(speed))
        value = weight * x + (1 - weight) * value
        found.append(value)
    return found


@pytest.mark.parametrize("axis", [0, 1])
def test_it_is_the_filter_of_the_paper(axis):
    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.normal(0, 5, 60)).astype(np.float32)
    points = np.zeros((60, 1, 2))
    points[:, 0, axis] = signal
    expected = by_the_formulas(signal.tolist(), size=80)
    np.testing.assert_allclose(filtered(points, size=80)[:, 0, axis], expected, atol=1e-3)


def test_what_rests_is_left_where_it_is():
    points = np.full((30, 3, 2), 7.5)
    np.testing.assert_array_equal(filtered(points), points)


def test_jitter_at_rest_shrinks_and_fast_motion_is_followed():
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 2, (200, 14, 2))
    at_rest = filtered(noise)[50:]
    assert at_rest.std() < 0.4 * noise.std()
    # Two body sizes a second: behind by less than two frames' way.
    moving = np.zeros((100, 1, 2))
    moving[:, 0, 0] = np.arange(100) * 200 / FPS
    assert np.abs(filtered(moving) - moving)[50:].max() < 2 * 200 / FPS


@pytest.mark.parametrize("factor", [0.1, 8.0])
def test_resolution_makes_no_difference(factor):
    points = np.random.default_rng(2).normal(100, 20, (40, 5, 2))
    larger = filtered(points * factor, size=100 * factor)
    np.testing.assert_allclose(larger, filtered(points) * factor, rtol=1e-4)


def test_a_point_s_direction_makes_no_difference():
    points = np.random.default_rng(3).normal(0, 20, (40, 5, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    np.testing.assert_allclose(filtered(points @ turn), filtered(points) @ turn, atol=1e-4)


def test_frames_at_the_same_time_do_no_harm():
    one_euro, seen = OneEuroFilter(2), np.ones(2, bool)
    one_euro(np.zeros((2, 2), np.float32), seen, 1.0, 100)
    assert np.isfinite(one_euro(np.full((2, 2), 50, np.float32), seen, 1.0, 100)).all()


def test_a_guess_leaves_no_trace_in_what_is_seen():
    """A hidden wrist may be found anywhere; back in view it is where it is."""
    rng = np.random.default_rng(4)
    points = (100 + rng.normal(0, 1, (20, 3, 2))).astype(np.float32)
    guessed = points.copy()
    guessed[10:13, 1] = -12
    seen = np.ones((20, 3), bool)
    seen[10:13, 1] = False
    one, other = OneEuroFilter(3), OneEuroFilter(3)
    for number in range(20):
        with_guesses = one(guessed[number], seen[number], number / FPS, 100)
        without = other(points[number], seen[number], number / FPS, 100)
        np.testing.assert_array_equal(with_guesses[seen[number]], without[seen[number]])


def test_guesses_are_calmed_too():
    noise = np.random.default_rng(5).normal(0, 2, (200, 14, 2)).astype(np.float32)
    one_euro, guess = OneEuroFilter(14), np.zeros(14, bool)
    shown = [one_euro(frame, guess, number / FPS, 100) for number, frame in enumerate(noise)]
    assert np.std(shown[50:]) < 0.4 * noise.std()


def pose(number: int, x: float, score: float = 0.5) -> Pose:
    keypoints = np.tile(np.array([x, 20, score], np.float32), (14, 1))
    return Pose(keypoints, np.array([x, 0, 50, 150], np.float32), 0.75, number)


def test_people_are_smoothed_each_on_their_own():
    smoother = Smoother()
    smoother.update([pose(1, 0), pose(2, 500)], 0.0)
    second, first = smoother.update([pose(2, 500), pose(1, 10)], 0.04)
    assert (second.keypoints[:, 0] == 500).all()
    assert (first.keypoints[:, 0] > 0).all()
    assert (first.keypoints[:, 0] < 10).all()
    assert (first.keypoints[:, 2] == 0.5).all()
    assert (first.bbox[0], first.score, first.track_id) == (10, 0.75, 1)


def test_one_bad_frame_costs_one_frame():
    smoother = Smoother()
    smoother.update([pose(1, 100)], 0.0)
    smoother.update([pose(1, -12, score=0.01)], 0.04)
    (back,) = smoother.update([pose(1, 100)], 0.08)
    assert (back.keypoints[:, 0] == 100).all()


def test_who_was_gone_begins_anew():
    smoother = Smoother()
    smoother.update([pose(1, 0)], 0.0)
    smoother.update([], 1.1 * PATIENCE)
    (back,) = smoother.update([pose(1, 80)], 1.2 * PATIENCE)
    assert (back.keypoints[:, 0] == 80).all()
