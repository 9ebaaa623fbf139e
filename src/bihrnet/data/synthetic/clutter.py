"""Things behind and in front of people. Their size follows that of the image or the person."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from bihrnet.data.synthetic.body import Array
from bihrnet.data.synthetic.outfit import draw_color, draw_skin
from bihrnet.data.synthetic.paint import Image, blend, noise, pixel, rgb


def draw_thing(rng: np.random.Generator, image: Image) -> None:
    """Clutter: boxes, discs, poles, ropes, scribbles, and limbs of nobody."""
    height, width = image.shape[:2]
    unit = max(height, width)
    at = rng.uniform(-0.1, 1.1, 2) * (width, height)
    color, kind = draw_color(rng), int(rng.integers(6))
    if kind == 0:
        corner = at + rng.uniform(0.05, 0.4, 2) * unit
        cv2.rectangle(image, pixel(at), pixel(corner), rgb(color), -1)
    elif kind == 1:
        axes = tuple(int(value) for value in rng.uniform(0.02, 0.2, 2) * unit)
        cv2.ellipse(image, pixel(at), axes, float(rng.uniform(0, 180)), 0, 360, rgb(color), -1)
    elif kind == 2:
        end = at + rng.normal(0, 1, 2) * unit
        cv2.line(image, pixel(at), pixel(end), rgb(color),
                 max(1, int(rng.uniform(0.005, 0.05) * unit)), cv2.LINE_AA)  # fmt: skip
    elif kind == 3:
        points = at + np.cumsum(rng.normal(0, 0.05, (8, 2)), axis=0) * unit
        thick = max(1, int(rng.uniform(0.004, 0.02) * unit))
        cv2.polylines(image, [points.astype(np.int32)], False, rgb(color), thick, cv2.LINE_AA)
    else:
        _stray_limb(rng, image, at, draw_skin(rng) if rng.random() < 0.5 else color)


def _stray_limb(rng: np.random.Generator, image: Image, at: Array, color: Array) -> None:
    """Two jointed rounded bars with a lighter side, as an arm or a leg without a body."""
    unit = max(image.shape)
    thick = rng.uniform(0.02, 0.06) * unit
    angle, points = rng.uniform(0, 2 * np.pi), [at]
    for _ in range(2):
        angle += rng.normal(0, 0.8)
        step = np.array([np.cos(angle), np.sin(angle)])
        points.append(points[-1] + rng.uniform(0.08, 0.25) * unit * step)
    for factor, share in ((0.8, 1.0), (1.0, 0.6), (1.15, 0.25)):
        for start, end in pairwise(points):
            cv2.line(image, pixel(start), pixel(end), rgb(color, factor),
                     max(1, int(share * thick)), cv2.LINE_AA)  # fmt: skip


def draw_occluder(rng: np.random.Generator, image: Image, box: Array) -> Image:
    """Something in front of a person whose box is x, y, w, h: a pole, a rail, a box, leaves.

    Returns:
        (H, W) uint8 mask of what was covered; the drawing itself goes into `image`.
    """
    mask = np.zeros(image.shape[:2], dtype=np.uint8)
    x, y, width, height = (float(value) for value in box)
    unit = max(width, height)
    kind = int(rng.integers(4))
    across, down = x + rng.uniform(0.1, 0.9) * width, y + rng.uniform(0.1, 0.9) * height
    if kind == 0:  # poles and rails
        angle = float(rng.choice([0.0, 90.0])) + rng.normal(0, 8)
        reach = 3 * unit * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
        step = rng.uniform(0.12, 0.4) * unit * np.array([-reach[1], reach[0]]) / (3 * unit)
        for number in range(int(rng.integers(1, 4))):
            middle = np.array([across, down]) + number * step
            cv2.line(mask, pixel(middle - reach), pixel(middle + reach), 255,
                     max(1, int(rng.uniform(0.015, 0.05) * unit)), cv2.LINE_AA)  # fmt: skip
    elif kind == 1:  # a box or table that hides one end
        w, h = rng.uniform(0.2, 0.6) * width, rng.uniform(0.12, 0.35) * height
        edge = y + height - h if rng.random() < 0.7 else y
        corner = (across - w / 2, edge)
        cv2.rectangle(mask, pixel(corner), pixel((corner[0] + w, corner[1] + 1.5 * h)), 255, -1)
    elif kind == 2:  # leaves
        for _ in range(14):
            at = np.array([across, down]) + rng.normal(0, 0.10, 2) * unit
            axes = (max(1, int(rng.uniform(0.02, 0.06) * unit)), max(1, int(0.015 * unit)))
            cv2.ellipse(mask, pixel(at), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1)
    else:  # a ball or round thing
        radius = int(rng.uniform(0.06, 0.15) * unit)
        cv2.circle(mask, pixel((across, down)), max(radius, 1), 255, -1, cv2.LINE_AA)
    texture = noise(rng, image.shape[:2], int(rng.integers(3, 20)))
    color = 255 * draw_color(rng) * (1 + rng.uniform(0.05, 0.3) * texture[..., None])
    blend(image, np.clip(color, 0, 255).astype(np.uint8), mask)
    return mask
