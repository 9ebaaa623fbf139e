"""Frames, the poses found in them, and how similar two poses are (OKS)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.errors import BihrnetError
from bihrnet.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Frame:
    """One image, or one frame of a video.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        file: where it came from, as the user named it; "" for an array.
        number: 0-based number in a video, None for a single image.
        seconds: since the video's first frame.
    """

    image: NDArray[np.uint8]
    file: str = ""
    number: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Pose:
    """One person.

    Attributes:
        keypoints: (K, 3) float32: x, y in pixels of the original image, score (peak of the
            heatmap, usually 0..1).
        bbox: (4,) float32: the person's box x, y, width, height in image pixels.
        score: confidence of the estimate, usually 0..1: see `pose_score`.
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
        """An entry of `poses` in the JSON of `bihrnet predict`; coordinates to 1/100 pixel."""
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
        file: as `Frame.file`.
        width: of the image in pixels.
        height: of the image in pixels.
        poses: best score first.
        frame: as `Frame.number`.
    """

    file: str
    width: int
    height: int
    poses: list[Pose] = field(default_factory=list)
    frame: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """An entry of `images` in the JSON of `bihrnet predict`."""
        return {
            "file": self.file,
            "frame": self.frame,
            "width": self.width,
            "height": self.height,
            "poses": [pose.to_dict() for pose in self.poses],
        }


def poses_document(model: str, skeleton: Skeleton, images: Sequence[ImagePoses]) -> dict[str, Any]:
    """The JSON document of `bihrnet predict`.

    Args:
        model: its name.
        skeleton: of the poses.
        images: poses of every image and frame.
    """
    return {
        "model": model,
        "skeleton": skeleton.to_dict(),
        "images": [image.to_dict() for image in images],
    }


def pose_score(
    box_score: float, keypoint_scores: NDArray[np.float32], threshold: float = 0.2
) -> float:
    """Box score times the mean of the keypoint scores above `threshold`, as in HRNet's code.

    The mean is summed in joint order in float32, because COCO's evaluation breaks ties by the last
    bit. 0 where no keypoint scores above the threshold.
    """
    total, count = np.float32(0), 0
    for score in np.asarray(keypoint_scores, dtype=np.float32):
        if score > threshold:
            total = np.float32(total + score)
            count += 1
    return float(box_score * (total / np.float32(count))) if count else 0.0


def oks(
    keypoints: ArrayLike, others: ArrayLike, area: float, areas: ArrayLike, sigmas: ArrayLike
) -> NDArray[np.float64]:
    """Object keypoint similarity of one pose to several (COCO's keypoint evaluation).

    The mean over joints of exp(-d^2 / (2 s^2 k^2)), where d is their distance and k = 2 sigma. Both
    poses are predictions, so every joint counts and s^2 is the mean of both areas, as in the
    OKS-NMS of HRNet's code.

    Args:
        keypoints: (K, 2) in image pixels.
        others: (N, K, 2).
        area: area of the pose in square pixels.
        areas: (N,) areas of the others.
        sigmas: (K,) `Skeleton.sigmas`.

    Returns:
        (N,) similarities, 0..1.
    """
    reference = np.asarray(keypoints, dtype=np.float64)
    candidates = np.asarray(others, dtype=np.float64).reshape(-1, *reference.shape)
    squared = ((candidates - reference) ** 2).sum(axis=2)
    scale = (area + np.asarray(areas, dtype=np.float64)) / 2 + np.spacing(1)
    variance = (2 * np.asarray(sigmas, dtype=np.float64)) ** 2
    similarity = np.exp(-squared / (2 * scale[:, None] * variance)).mean(axis=1)
    return np.asarray(similarity, dtype=np.float64)


def oks_nms(
    keypoints: ArrayLike,
    scores: ArrayLike,
    areas: ArrayLike,
    sigmas: ArrayLike,
    threshold: float = 0.9,
) -> NDArray[np.intp]:
    """Suppress duplicates: keep the best pose, drop those with an OKS above `threshold`, repeat.

    Args:
        keypoints: (N, K, 2) in image pixels.
        scores: (N,) pose scores; of equal scores the later pose wins, as in HRNet's code.
        areas: (N,) areas in square pixels.
        sigmas: (K,) `Skeleton.sigmas`.
        threshold: 0.9 in HRNet's evaluation.

    Returns:
        indices of the kept poses, best first.
    """
    poses = np.asarray(keypoints, dtype=np.float64)
    sizes = np.asarray(areas, dtype=np.float64)
    order = np.argsort(np.asarray(scores, dtype=np.float64), kind="stable")[::-1]
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        similar = oks(poses[best], poses[rest], float(sizes[best]), sizes[rest], sigmas)
        order = rest[similar <= threshold]
    return np.asarray(kept, dtype=np.intp)
