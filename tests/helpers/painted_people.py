"""People painted as colored dots, and a model that finds exactly those dots.

They make the way from boxes to keypoints testable to a fraction of a pixel, without a network.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.model import ModelSpec
from bihrnet.skeleton import Skeleton

SKELETON = Skeleton(
    name="dots-4",
    keypoints=("head", "left_hand", "right_hand", "hip"),
    flip_pairs=((1, 2),),
    limbs=((0, 3), (0, 1), (0, 2)),
    sigmas=(0.08, 0.07, 0.07, 0.1),
    upper_body=(0, 1, 2),
)
#: RGB of the joints; the background is gray.
COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
BACKGROUND = 128

#: A person as offsets in units of the box: x, y of each joint.
POSTURE = np.array([[0.5, 0.1], [0.9, 0.4], [0.1, 0.3], [0.55, 0.9]])


def joints_in(box: ArrayLike) -> NDArray[np.float64]:
    """(4, 2) where the joints of the person in this x, y, width, height box are."""
    x, y, width, height = np.asarray(box, dtype=np.float64)
    return POSTURE * [width, height] + [x, y]


def paint(size: tuple[int, int], boxes: ArrayLike) -> NDArray[np.uint8]:
    """(height, width, 3) RGB with one person in every box."""
    image = np.full((*size, 3), BACKGROUND, dtype=np.uint8)
    for box in np.asarray(boxes, dtype=np.float64).reshape(-1, 4):
        radius = 0.04 * max(box[2:])
        for (x, y), color in zip(joints_in(box), COLORS, strict=True):
            center = round(float(x) * 16), round(float(y) * 16)
            cv2.circle(image, center, round(radius * 16), color, cv2.FILLED, cv2.LINE_AA, 4)
    return image


class DotModel:
    """A `HeatmapModel`: each joint's heatmap peaks in the middle of its color, if it is there."""

    def __init__(self, input_size: tuple[int, int] = (128, 96)) -> None:
        self.spec = ModelSpec("dots@test", SKELETON, input_size, decoding="dark")
        self.batches: list[int] = []

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.batches.append(len(crops))
        height, width = self.spec.input_size
        rows, columns = np.mgrid[: height // 4, : width // 4]
        heatmaps = np.zeros((len(crops), len(COLORS), height // 4, width // 4), dtype=np.float32)
        for n, crop in enumerate(crops):
            for k, color in enumerate(COLORS):
                distance = np.abs(crop.astype(np.float64) - color).sum(axis=2)
                y, x = np.nonzero(distance < 200)
                if len(x):
                    squared = (columns - x.mean() / 4) ** 2 + (rows - y.mean() / 4) ** 2
                    heatmaps[n, k] = np.exp(-squared / 8)
        return heatmaps
