"""Keypoints of a video without their jitter: the One Euro filter, person by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import pi

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
#: Frames are never closer, seconds.
_MIN_STEP = 1e-3


class OneEuroFilter:
    """Low-pass filter that opens with speed (Casiez, Roussel and Vogel 2012), over K points.

    At rest it takes away jitter, in motion it follows. Speeds are in body sizes per second, so
    that the same numbers suit any resolution and distance; a point's cutoff is that of its x and y.

    Args:
        points: (K, 2) in pixels, where the filter begins.
        seconds: their time.

    Attributes:
        seconds: of the last points.
    """

    def __init__(self, points: NDArray[np.float32], seconds: float) -> None:
        self._points = points.astype(np.float64)
        self._velocity = np.zeros_like(self._points)
        self.seconds = seconds

    def __call__(
        self, points: NDArray[np.float32], seconds: float, size: float
    ) -> NDArray[np.float32]:
        """The next points (K, 2), filtered.

        Args:
            points: in pixels.
            seconds: their time. After a long time the filter takes points as they are.
            size: of the body in pixels, more than 0.
        """
        step = max(seconds - self.seconds, _MIN_STEP)
        velocity = (points - self._points) / (step * size)
        self._velocity += _weight(SPEED_CUTOFF, step) * (velocity - self._velocity)
        speed = np.linalg.norm(self._velocity, axis=1, keepdims=True)
        cutoff = MIN_CUTOFF + SPEED_COEFFICIENT * speed
        self._points += _weight(cutoff, step) * (points - self._points)
        self.seconds = seconds
        return self._points.astype(np.float32)


def _weight(cutoff: NDArray[np.float64] | float, step: float) -> NDArray[np.float64]:
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
        points = pose.keypoints[:, :2]
        known = self._filters.get(pose.track_id)
        if known is None:
            self._filters[pose.track_id] = OneEuroFilter(points, seconds)
            return pose
        size = float(np.sqrt(pose.bbox[2] * pose.bbox[3]))
        smooth = known(points, seconds, size)
        return replace(pose, keypoints=np.column_stack([smooth, pose.keypoints[:, 2]]))
