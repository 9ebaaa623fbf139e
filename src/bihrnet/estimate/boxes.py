"""Validation of person boxes, given by a user or found by a detector."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.errors import BihrnetError
from bihrnet.pose import Frame

#: Default of detectors: boxes that score less are left out.
MIN_BOX_SCORE = 0.3
#: A box with a larger number is a mistake: no image has a side of a million pixels.
MAX_BOX_EXTENT = 1e6


def check_boxes(boxes: ArrayLike, frame: Frame) -> NDArray[np.float64]:
    """Boxes as (N, 4) float64, each finite, not empty and not wholly outside the frame.

    Args:
        boxes: (N, 4) or one (4,): x, y, width, height in pixels.
        frame: the image that they refer to.

    Raises:
        BihrnetError: anything else; the sentence names the first invalid box.
    """
    where = f"{frame.file}: " if frame.file else ""
    try:
        values = np.asarray(boxes, dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(())
    if values.size == 0:
        return np.empty((0, 4))
    if values.shape == (4,):
        values = values[None]
    if values.ndim != 2 or values.shape[1] != 4:
        raise BihrnetError(f"{where}boxes are (N, 4) numbers: x, y, width, height of each person")
    height, width = frame.image.shape[:2]
    for number, box in enumerate(values):
        x, y, w, h = box
        if not np.isfinite(box).all() or w <= 0 or h <= 0:
            raise BihrnetError(f"{where}box {number} {box.tolist()} is empty or not finite")
        if np.abs(box).max() > MAX_BOX_EXTENT:
            raise BihrnetError(f"{where}box {number} {box.tolist()} is too large to be in pixels")
        if x >= width or y >= height or x + w <= 0 or y + h <= 0:
            raise BihrnetError(
                f"{where}box {number} {box.tolist()} lies outside the {width}x{height} pixels"
            )
    return values


def check_detections(found: Any, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Result of a `PersonDetector` for a frame: boxes (N, 4) and scores (N,), each finite.

    Raises:
        BihrnetError: `found` is anything else.
    """
    try:
        boxes, scores = found
        scores = np.asarray(scores, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise BihrnetError("a detector returns boxes (N, 4) and scores (N,)") from None
    people = check_boxes(boxes, frame)
    if len(scores) != len(people) or not np.isfinite(scores).all():
        raise BihrnetError(
            f"the detector returned {len(people)} boxes and {len(scores)} scores, or scores that "
            "are not finite"
        )
    return people, scores
