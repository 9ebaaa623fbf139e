"""Boxes and scores of people from the outputs of an ONNX detector, in one of the known layouts.

A layout is recognized by the number of outputs and their shapes (docs/predict.md has the table):

==============  ==================================================  =============
layout          outputs                                             person class
==============  ==================================================  =============
torchvision     boxes (N, 4), labels (N,), scores (N,), any order   1
mmdeploy        dets (1, N, 5), labels (1, N)                       0
decoded rows    (1, N, 6) or (N, 6): box, score, integer class      0
YOLO columns    (1, 4 + C, N): box, C class scores                  0
YOLO rows       (1, N, 5 + C): box, objectness, C class scores      0
==============  ==================================================  =============

Boxes are x1, y1, x2, y2 in input pixels; those of both YOLO layouts are center, width and height,
and non-maximum suppression is still to be done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError

#: Boxes that overlap a better one by a larger IoU are suppressed.
NMS_IOU = 0.5

#: Boxes (N, 4), scores (N,), and whether overlapping boxes are suppressed already.
_Found = tuple[NDArray[Any], NDArray[Any], bool]


def read_people(
    outputs: Sequence[NDArray[Any]], min_score: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Select the people among a detector's objects.

    Args:
        outputs: of one run over one image, in the graph's order.
        min_score: boxes that score less are left out.

    Returns:
        boxes (N, 4) as x1, y1, x2, y2 in input pixels, and scores (N,).

    Raises:
        BihrnetError: the outputs match no layout, or a score is outside of 0..1.
    """
    layout = {3: _torchvision, 2: _mmdeploy, 1: _yolo}.get(len(outputs))
    found = layout(outputs) if layout else None
    if found is None:
        shapes = ", ".join(f"{output.dtype} {output.shape}" for output in outputs)
        raise BihrnetError(
            f"the outputs ({shapes}) match no known detector; known are boxes (N, 4) + labels (N,) "
            "+ scores (N,); dets (1, N, 5) + labels (1, N); (1, N, 6); (1, 4 + C, N); (1, N, 5 + C)"
        )
    boxes, scores = found[0].astype(np.float64), found[1].astype(np.float64)
    if not ((scores >= 0) & (scores <= 1)).all():  # false for NaN, too
        raise BihrnetError("its scores are not in 0..1: export the graph with its decoding")
    keep = scores >= min_score
    boxes, scores = boxes[keep], scores[keep]
    if not found[2] and len(scores):
        corners_and_sizes = np.column_stack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).tolist()
        kept = list(cv2.dnn.NMSBoxes(corners_and_sizes, scores.tolist(), min_score, NMS_IOU))
        boxes, scores = boxes[kept], scores[kept]
    return boxes, scores


def _torchvision(outputs: Sequence[NDArray[Any]]) -> _Found | None:
    boxes = [output for output in outputs if output.ndim == 2 and output.shape[1] == 4]
    labels = [output for output in outputs if output.ndim == 1 and output.dtype.kind in "iu"]
    scores = [output for output in outputs if output.ndim == 1 and output.dtype.kind == "f"]
    if not (len(boxes) == len(labels) == len(scores) == 1):
        return None
    if not (len(boxes[0]) == len(labels[0]) == len(scores[0])):
        return None
    person = labels[0] == 1  # 0 is the background
    return boxes[0][person], scores[0][person], True


def _mmdeploy(outputs: Sequence[NDArray[Any]]) -> _Found | None:
    dets, labels = sorted(outputs, key=lambda output: -output.ndim)
    if dets.ndim != 3 or dets.shape[::2] != (1, 5) or labels.shape != dets.shape[:2]:
        return None
    rows = dets[labels == 0]
    return rows[:, :4], rows[:, 4], True


def _yolo(outputs: Sequence[NDArray[Any]]) -> _Found | None:
    rows = outputs[0]
    if rows.ndim == 3 and len(rows) == 1:
        rows = rows[0]
    if rows.ndim != 2:
        return None
    if rows.shape[1] == 6 and (rows[:, 5] % 1 == 0).all():  # a class, not a score
        rows = rows[rows[:, 5] == 0]
        return rows[:, :4], rows[:, 4], True
    if 5 <= rows.shape[0] < rows.shape[1]:
        rows = rows.T
        scores = rows[:, 4]
    elif 6 <= rows.shape[1] < rows.shape[0]:
        scores = rows[:, 4] * rows[:, 5]
    else:
        return None
    center, half = rows[:, :2], rows[:, 2:4] / 2
    return np.column_stack([center - half, center + half]), scores, False
