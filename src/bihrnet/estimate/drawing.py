"""Annotated pictures: limbs and joints over the image, left and right in different colors."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.pose import Pose
from bihrnet.skeleton import Skeleton

LEFT = (255, 138, 30)
RIGHT = (30, 160, 255)
CENTER = (250, 230, 60)
_OUTLINE = (25, 25, 30)
_JOINT = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

#: Keypoints that score less are left out. Half of the threshold of `pose_score`: networks trained
#: briefly or on small heatmaps have low peaks in the right places.
MIN_SCORE = 0.1

#: Fractional bits of OpenCV's coordinates, so that joints move smoothly from frame to frame.
_SHIFT = 4
#: Range of pixels that OpenCV can clip; points outside are moved to its border.
_REACH = (-30000, 60000)

Color = tuple[int, int, int]


def draw_poses(
    image: NDArray[np.uint8],
    poses: Sequence[Pose],
    skeleton: Skeleton,
    min_score: float = MIN_SCORE,
) -> NDArray[np.uint8]:
    """Draw poses over a copy of an image.

    The person's left is orange, the right blue, the middle yellow. The line width follows the
    person's size. In a video the person's number (`track_id`) is drawn above the highest joint.

    Args:
        image: (H, W, 3) uint8 RGB.
        poses: in pixels of the image, best first; the best is drawn last, on top.
        skeleton: of the poses.
        min_score: keypoints that score less are left out, and limbs that end there.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    canvas = image.copy()
    colors = _joint_colors(skeleton)
    for pose in reversed(poses):
        points = pose.keypoints[:, :2]
        shown = np.flatnonzero(pose.keypoints[:, 2] >= min_score).tolist()
        limbs = [limb for limb in skeleton.limbs if set(limb) <= set(shown)]
        if shown:
            _draw_pose(canvas, points, shown, limbs, colors)
            if pose.track_id is not None:
                _draw_number(canvas, points[shown], pose.track_id)
    return canvas


def _draw_pose(
    canvas: NDArray[np.uint8],
    points: NDArray[np.float32],
    joints: Sequence[int],
    limbs: Sequence[tuple[int, int]],
    colors: Sequence[Color],
) -> None:
    """Dark outlines first, then colors, so that limbs stand out from any background."""
    full = _line_width(points[joints], canvas.shape)
    # Short limbs, for instance between the eyes, are thin, and so are joints with only such limbs.
    widths = [min(full, max(1.0, _length(points[a] - points[b]) / 3)) for a, b in limbs]
    radii = {
        joint: max([w for limb, w in zip(limbs, widths, strict=True) if joint in limb] or [full])
        for joint in joints
    }
    for (first, second), width in zip(limbs, widths, strict=True):
        _line(canvas, points[first], points[second], _OUTLINE, width * 1.6)
    for joint, radius in radii.items():
        _disc(canvas, points[joint], _OUTLINE, radius * 1.25)
    for (first, second), width in zip(limbs, widths, strict=True):
        middle = (points[first] + points[second]) / 2
        start, end = colors[first], colors[second]
        # An arm or a leg is of one color up to the middle of the body.
        _line(canvas, points[first], middle, end if start == CENTER else start, width)
        _line(canvas, middle, points[second], start if end == CENTER else end, width)
    for joint, radius in radii.items():
        _disc(canvas, points[joint], colors[joint], radius * 0.95)
        _disc(canvas, points[joint], _JOINT, radius * 0.5)


def _draw_number(canvas: NDArray[np.uint8], points: NDArray[np.float32], number: int) -> None:
    """White on dark, above the highest point but below the image's upper border."""
    height = max(8, round(5 * _line_width(points, canvas.shape)))
    thick = max(1, height // 10)
    scale = cv2.getFontScaleFromHeight(_FONT, height, thick)
    text = str(number)
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, thick)
    x, y = points[points[:, 1].argmin()]
    origin = _whole(x - width / 2), _whole(max(y - height / 2, height + thick))
    cv2.putText(canvas, text, origin, _FONT, scale, _OUTLINE, 3 * thick, cv2.LINE_AA)
    cv2.putText(canvas, text, origin, _FONT, scale, _JOINT, thick, cv2.LINE_AA)


def _joint_colors(skeleton: Skeleton) -> list[Color]:
    """Colors by side; the first joint of a flip pair is the left one unless its name says right."""
    colors = [CENTER] * len(skeleton)
    for pair in skeleton.flip_pairs:
        first, second = pair if "right" not in skeleton.keypoints[pair[0]] else pair[::-1]
        colors[first], colors[second] = LEFT, RIGHT
    return colors


def _line_width(points: NDArray[np.float32], shape: tuple[int, ...]) -> float:
    """Pixels: 1/70 of the person's extent, between 1/400 and 1/60 of the image's shorter side."""
    extent = _length(np.ptp(points, axis=0))
    short = min(shape[:2])
    return float(np.clip(extent / 70, max(1.0, short / 400), max(1.5, short / 60)))


def _length(vector: NDArray[np.float32]) -> float:
    return float(np.hypot(*vector))


def _line(
    canvas: NDArray[np.uint8],
    start: NDArray[np.float32],
    end: NDArray[np.float32],
    color: Color,
    width: float,
) -> None:
    cv2.line(canvas, _fixed(start), _fixed(end), color, max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _disc(
    canvas: NDArray[np.uint8], center: NDArray[np.float32], color: Color, radius: float
) -> None:
    scaled = max(1, round(radius * (1 << _SHIFT)))
    cv2.circle(canvas, _fixed(center), scaled, color, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _whole(value: float) -> int:
    """A coordinate as a whole pixel within `_REACH`."""
    return round(float(np.clip(value, *_REACH)))


def _fixed(point: NDArray[np.float32]) -> tuple[int, int]:
    """A point within `_REACH` in OpenCV's fixed-point coordinates."""
    x, y = np.clip(point, *_REACH) * (1 << _SHIFT)
    return round(float(x)), round(float(y))
