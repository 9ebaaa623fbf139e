"""The result types: a person's pose, and the poses of one image or video frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError


@dataclass(frozen=True, eq=False)
class Pose:
    """One person.

    Attributes:
        keypoints: (K, 3) float32: x, y in pixels of the original image, score (peak of the
            heatmap, usually 0..1).
        bbox: (4,) float32: the person's box x, y, width, height in image pixels.
        score: how sure the estimate is: box score times the mean score of the keypoints above 0.2.
        track_id: the same number for the same person across frames of a video, or None.
    """

    keypoints: NDArray[np.float32]
    bbox: NDArray[np.float32]
    score: float
    track_id: int | None = None

    def __post_init__(self) -> None:
        if self.keypoints.ndim != 2 or self.keypoints.shape[1] != 3:
            raise BihrnetError(f"a pose's keypoints are (K, 3), not {self.keypoints.shape}")
        if self.bbox.shape != (4,):
            raise BihrnetError(f"a pose's box is (4,), not {self.bbox.shape}")

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON of `bihrnet predict`; coordinates rounded to 1/100 pixel."""
        return {
            "bbox": [round(float(value), 2) for value in self.bbox],
            "score": round(float(self.score), 4),
            "keypoints": [
                [round(float(x), 2), round(float(y), 2), round(float(score), 4)]
                for x, y, score in self.keypoints
            ],
            "track_id": self.track_id,
        }


@dataclass(frozen=True, eq=False)
class ImagePoses:
    """All poses of one image or of one frame of a video.

    Attributes:
        file: where the image came from, as the user named it; "" for an array.
        width: of the image, pixels.
        height: of the image, pixels.
        poses: best score first.
        frame: 0-based number in a video, None for an image.
    """

    file: str
    width: int
    height: int
    poses: list[Pose] = field(default_factory=list)
    frame: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """As in the JSON of `bihrnet predict`."""
        return {
            "file": self.file,
            "frame": self.frame,
            "width": self.width,
            "height": self.height,
            "poses": [pose.to_dict() for pose in self.poses],
        }


def pose_score(
    box_score: float, keypoint_scores: NDArray[np.float32], threshold: float = 0.2
) -> float:
    """HRNet's rule: box score times the mean of the keypoint scores above `threshold`.

    The mean is summed in joint order in float32: COCO evaluation breaks ties by the last bit.
    Without any score above the threshold the pose scores 0.
    """
    total, count = np.float32(0), 0
    for score in np.asarray(keypoint_scores, dtype=np.float32):
        if score > threshold:
            total = np.float32(total + score)
            count += 1
    return float(box_score * (total / np.float32(count))) if count else 0.0
