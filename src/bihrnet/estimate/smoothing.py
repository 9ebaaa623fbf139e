"""Removing jitter from the keypoints of a video: the One Euro filter, one per person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bihrnet.estimate.tracking import PATIENCE
from bihrnet.pose import Pose

#: Cutoff frequency for a keypoint at rest, Hz; a lower one removes more jitter.
MIN_CUTOFF = 1.0
#: Increase of the cutoff per speed, Hz per body size a second; a higher one lags less.
SPEED_COEFFICIENT = 1.0
#: Cutoff frequency of the speed itself, Hz.
SPEED_CUTOFF = 1.0
#: A keypoint that scores less is a guess, which must not influence keypoints that are seen.
MIN_SCORE = 0.1
#: Smallest time between two frames, seconds.
_MIN_STEP = 1e-3


class _State(NamedTuple):
    """The last filtered points (K, 2), their velocities (K, 2) and times (K, 1)."""

    points: NDArray[np.float64]
    velocity: NDArray[np.float64]
    seconds: NDArray[np.float64]


class OneEuroFilter:
    """Low-pass filter of K points whose cutoff rises with their speed.

    "1 € Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive Systems",
    Casiez, Roussel and Vogel, CHI 2012. It removes jitter at rest and follows in motion. Speeds are
    in body sizes per second, so that the same parameters suit any resolution and distance; x and y
    of a point share a cutoff. A point that is seen continues from where it was last seen: guesses
    in between have no influence on it.

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
        """Filter the next points; those without a predecessor stay as they are.

        Args:
            points: (K, 2) in pixels.
            seen: (K,) false for a point that is only a guess.
            seconds: their time. After a long gap points stay almost as they are.
            size: of the body in pixels, more than 0.

        Returns:
            (K, 2) in pixels.
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
    """The states of `one` where `which` (K,) is true, else of `other`."""
    pairs = zip(one, other, strict=True)
    return _State(*(np.where(which[:, None], first, second) for first, second in pairs))


def _weight(cutoff: NDArray[np.float64] | float, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of the newest value in a first-order low-pass filter, the paper's alpha."""
    return np.asarray(1 / (1 + 1 / (2 * pi * cutoff * step)))


class Smoother:
    """Smooths the keypoints of numbered people over the frames of one video."""

    def __init__(self) -> None:
        self._filters: dict[int, OneEuroFilter] = {}

    def update(self, poses: Sequence[Pose], seconds: float) -> list[Pose]:
        """The same poses with smoothed keypoints; boxes and scores stay the same.

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
