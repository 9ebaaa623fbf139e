"""Tracking: a person keeps one number from frame to frame for as long as they are seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bihrnet.pose import Pose, oks

#: Seconds that a person may be hidden, or missed by the detector, and keep the number.
PATIENCE = 1.0
#: Poses that are less similar are of different people.
MIN_SIMILARITY = 0.25


@dataclass(frozen=True)
class _Track:
    """A person as last seen."""

    pose: Pose
    seconds: float


class Tracker:
    """Numbers the people of one video, from 1; frames come one after the other.

    The similarity of two poses is the mean of their boxes' intersection over union and of their
    object keypoint similarity: boxes are stable while limbs move, keypoints distinguish people
    whose boxes overlap. Pairs are matched greedily, the most similar first. Appearance plays no
    part, so somebody who comes back after `PATIENCE` gets a new number.

    Args:
        sigmas: (K,) `Skeleton.sigmas`.
    """

    def __init__(self, sigmas: Sequence[float]) -> None:
        self._sigmas = sigmas
        self._tracks: dict[int, _Track] = {}
        self._latest = 0

    def update(self, poses: Sequence[Pose], seconds: float) -> list[Pose]:
        """The same poses in the same order, each with its `track_id`.

        Args:
            poses: of one frame.
            seconds: when the frame was taken, not before the one of the last call.
        """
        self._tracks = {
            number: track
            for number, track in self._tracks.items()
            if seconds - track.seconds <= PATIENCE
        }
        numbers = self._match(poses)
        numbered = []
        for index, pose in enumerate(poses):
            if index not in numbers:
                self._latest += 1
            number = numbers.get(index, self._latest)
            self._tracks[number] = _Track(pose, seconds)
            numbered.append(replace(pose, track_id=number))
        return numbered

    def _match(self, poses: Sequence[Pose]) -> dict[int, int]:
        """Index of a pose -> number of its track, for those that have one."""
        numbers = list(self._tracks)
        if not numbers or not poses:
            return {}
        known = [self._tracks[number].pose for number in numbers]
        similar = np.stack([self._similarities(pose, known) for pose in poses])
        matched: dict[int, int] = {}
        while similar.max() >= MIN_SIMILARITY:
            index, track = np.unravel_index(int(similar.argmax()), similar.shape)
            matched[int(index)] = numbers[track]
            similar[index, :] = similar[:, track] = -1
        return matched

    def _similarities(self, pose: Pose, others: Sequence[Pose]) -> NDArray[np.float64]:
        boxes = np.stack([other.bbox for other in others]).astype(np.float64)
        keypoints = np.stack([other.keypoints[:, :2] for other in others])
        area, areas = float(pose.bbox[2] * pose.bbox[3]), boxes[:, 2] * boxes[:, 3]
        similarities = oks(pose.keypoints[:, :2], keypoints, area, areas, self._sigmas)
        return (similarities + _iou(pose.bbox.astype(np.float64), boxes)) / 2


def _iou(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box (4,) x, y, width, height with others (N, 4)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    union = box[2] * box[3] + boxes[:, 2] * boxes[:, 3] - shared
    return np.asarray(shared / np.maximum(union, np.finfo(np.float64).tiny))
