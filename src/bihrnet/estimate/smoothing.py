"""Keypoints of a video without their jitter: the One Euro filter, person by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bihrnet.estimate.tracking import PATIENCE
from bihrnet.pose import Pose

#: Cutoff for a keypoint at rest, Hz; the lower, the calmer.
MIN_CUTOFF = 1.0
#: Hz more for every body size that a keypoint moves in a second; the higher, the less it lags.
SPEED_COEFFICIENT = 1.0
#: Cutoff of the speed itself, Hz.
SPEED_CUTOFF = 1.0
#: A keypoint that scores less is a guess, which must not drag along those that are seen.
MIN_SCORE = 0.1
#: Frames are never closer, seconds.
_MIN_STEP = 1e-3


class _State(NamedTuple):
    """Points as filtered last (K, 2), their velocities (K, 2) and when that was (K, 1)."""

    points: NDArray[np.float64]
    velocity: NDArray[np.float64]
    seconds: NDArray[np.float64]


class OneEuroFilter:
    """Low-pass filter that opens with speed (Casiez, Roussel and Vogel 2012), over K points.

    At rest it takes away jitter, in motion it follows. Speeds are in body sizes per second, so
    that the same numbers suit any resolution and distance; a point's cutoff is that of its x and y.
    A point that is seen goes on from where it was seen last: guesses in between leave no trace.

    Args:
        count: K.

    Attributes:
        seconds: of the last call.
    """

    def __init__(self, count: int) -> None:
        nothing = np.zeros((count, 2))
        self._shown = self._seen = _State(nothing, nothing, np.full((count, 1), -np.inf))
        self.seconds = -np.inf

    def __call__(
        self, points: NDArray[np.float32], seen: NDArray[np.bool_], seconds: float, size: float
    ) -> NDArray[np.float32]:
        """The next points (K, 2), filtered; where there is no earlier one, as they are.

        Args:
            points: in pixels.
            seen: (K,) false for a point that is only a guess.
            seconds: their time. After a long time the filter takes points as they are.
            size: of the body in pixels, more than 0.
        """
        before = _choose(seen, self._seen, self._shown)
        step = np.maximum(seconds - before.seconds, _MIN_STEP)
        velocity = (points - before.points) / (step * size)
        velocity = before.velocity + _weight(SPEED_CUTOFF, step) * (velocity - before.velocity)
        cutoff = MIN_CUTOFF + SPEED_COEFFICIENT * np.linalg.norm(velocity, axis=1, keepdims=True)
        smooth = before.points + _weight(cutoff, step) * (points - before.points)
        self._shown = _State(smooth, velocity, np.full_like(step, seconds))
        self._seen = _choose(seen, self._shown, self._seen)
        self.seconds = seconds
        return smooth.astype(np.float32)


def _choose(which: NDArray[np.bool_], one: _State, other: _State) -> _State:
    """The states of `one` where true, else of `other`."""
    pairs = zip(one, other, strict=True)
    return _State(*(np.where(which[:, None], first, second) for first, second in pairs))


def _weight(cutoff: NDArray[np.float64] | float, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of the newest value in a low-pass filter of first order (the paper's alpha)."""
    return np.asarray(1 / (1 + 1 / (2 * pi * cutoff * step)))


class Smoother:
    """Smooths the keypoints of numbered people over the frames of one video."""

    def __init__(self) -> None:
        self._filters: dict[int, OneEuroFilter] = {}

    def update(self, poses: Sequence[Pose], seconds: float) -> list[Pose]:
        """The same poses with smoothed keypoints; boxes and scores stay.

        Args:
            poses: of one frame, each with a `track_id`.
            seconds: when the frame was taken.
        """
        self._filters = {
            number: known
            for number, known in self._filters.items()
            if seconds - known.seconds <= PATIENCE
        }
        return [self._smooth(pose, seconds) for pose in poses]

    def _smooth(self, pose: Pose, seconds: float) -> Pose:
        assert pose.track_id is not None
        known = self._filters.setdefault(pose.track_id, OneEuroFilter(len(pose.keypoints)))
        points, scores = pose.keypoints[:, :2], pose.keypoints[:, 2]
        size = float(np.sqrt(pose.bbox[2] * pose.bbox[3]))
        smooth = known(points, scores >= MIN_SCORE, seconds, size)
        return replace(pose, keypoints=np.column_stack([smooth, scores]))
