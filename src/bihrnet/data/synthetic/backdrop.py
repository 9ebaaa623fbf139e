"""What is behind and in front of people: ground, walls, skies, clutter, occluders.

Everything scales with the image, so that a background looks alike at every size.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.data.synthetic.body import Array
from bihrnet.data.synthetic.outfit import draw_skin
from bihrnet.data.synthetic.paint import (
    Image,
    add_grain,
    blend,
    draw_color,
    mixed,
    noise,
    pixel,
    rgb,
)  # fmt: skip

#: A point (x, y) of the horizon in pixels and its slope in degrees.
Horizon: TypeAlias = tuple[float, float, float]


def draw_backdrop(
    rng: np.random.Generator, size: tuple[int, int], horizon: Horizon, clutter: bool = True
) -> Image:
    """A random background, often out of focus.

    Args:
        rng: source of randomness.
        size: (height, width).
        horizon: where the floor or ground meets the distance.
        clutter: whether things lie about, some of which resemble limbs.
    """
    kind = rng.random()
    if kind < 0.45:
        image = _outdoors(rng, size, horizon)
    elif kind < 0.8:
        image = _indoors(rng, size, horizon)
    else:
        image = mixed(draw_color(rng), draw_color(rng), 1.5 * noise(rng, size, 9))
    for _ in range(int(rng.poisson(2.0)) if clutter else 0):
        _draw_thing(rng, image)
    image = add_grain(rng, image, strength=int(rng.integers(2, 24)))
    if rng.random() < 0.35:
        spread = float(rng.uniform(0.002, 0.012)) * max(size)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), spread), dtype=np.uint8)
    return image


def _outdoors(rng: np.random.Generator, size: tuple[int, int], horizon: Horizon) -> Image:
    """Sky, houses and trees at the horizon, ground."""
    height, width = size
    unit = max(size)
    top = rng.uniform((0.15, 0.4, 0.7), (0.75, 0.8, 1.0))
    low = np.clip(top + rng.uniform(0.0, 0.4), 0, 1)
    ramp = np.linspace(-1, 1, height, dtype=np.float32)[:, None] + np.float32(
        rng.uniform(0, 1.2)
    ) * noise(rng, size)
    image = mixed(top, low, ramp)
    line = float(np.clip(horizon[1], -height, 2 * height))
    for _ in range(int(rng.integers(0, 9))):
        x, w, h = rng.uniform((-0.1 * width, 0.1 * unit, 0.1 * unit), (width, 0.5 * unit, unit))
        if rng.random() < 0.5:
            color = draw_color(rng)
            pane, step = rgb(color, 0.6), rng.uniform(0.03, 0.1) * unit
            cv2.rectangle(image, pixel((x, line - h)), pixel((x + w, line)), rgb(color), -1)
            for left in np.arange(x + step / 4, x + w - step / 2, step):
                for upper in np.arange(line - h + step / 4, line, step):
                    corner = pixel((left + step / 2, upper + step / 2))
                    cv2.rectangle(image, pixel((left, upper)), corner, pane, -1)
        else:
            green = rng.uniform((0.08, 0.25, 0.05), (0.45, 0.5, 0.2))
            for _ in range(20):
                at = np.array([x, line - h / 2]) + rng.normal(0, 0.2, 2) * h
                radius = max(1, int(rng.uniform(0.03, 0.16) * h))
                cv2.circle(image, pixel(at), radius, rgb(green, rng.uniform(0.6, 1.4)), -1)
    return _with_ground(rng, image, horizon, line)


def _indoors(rng: np.random.Generator, size: tuple[int, int], horizon: Horizon) -> Image:
    """A wall with panels and windows, and a floor."""
    height, width = size
    unit = max(size)
    color, spread = draw_color(rng), rng.uniform(0.02, 0.25)
    image = mixed(color * (1 - spread), color * (1 + spread), noise(rng, size))
    joint, step = rgb(color, float(rng.choice([0.65, 0.8, 1.25]))), rng.uniform(0.05, 0.3) * unit
    if rng.random() < 0.6:
        for x in np.arange(rng.uniform(0, step), width, step):
            cv2.line(image, pixel((x, 0)), pixel((x, height)), joint, max(1, int(0.006 * unit)))
    for _ in range(int(rng.integers(0, 5))):
        x, y, w, h = rng.uniform(
            (0, -0.1 * height, 0, 0), (width, 0.6 * height, 0.4 * unit, unit / 2)
        )
        corners = pixel((x, y)), pixel((x + w, y + h))
        cv2.rectangle(image, *corners, rgb(draw_color(rng)), -1)
        cv2.rectangle(image, *corners, joint, max(1, int(0.01 * unit)))
    # The wall hides the horizon: the floor starts below it.
    line = float(np.clip(horizon[1], -height, height)) + rng.uniform(0.05, 0.45) * unit
    return _with_ground(rng, image, horizon, line)


def _with_ground(rng: np.random.Generator, image: Image, horizon: Horizon, line: float) -> Image:
    """Ground below a line through (horizon x, `line`) as steep as the horizon, with lanes."""
    size, unit = (image.shape[0], image.shape[1]), max(image.shape)
    base, contrast = draw_color(rng), rng.uniform(0.05, 0.4)
    ground = mixed(base * (1 - contrast), base * (1 + contrast), noise(rng, size, 90))
    angle = np.radians(horizon[2])
    along, down = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    near, reach = np.array([np.clip(horizon[0], -9 * unit, 9 * unit), line]), 6.0 * unit
    if rng.random() < 0.5:
        shade = rgb(base, float(rng.choice([0.6, 0.8, 1.35])))
        for offset in np.arange(-3, 3, rng.uniform(0.3, 1.2)):
            end = near + reach * (down + offset * along)
            cv2.line(ground, pixel(near), pixel(end), shade, max(1, unit // 120), cv2.LINE_AA)
    corners = [near - reach * along, near + reach * along]
    corners += [corners[1] + reach * down, corners[0] + reach * down]
    mask = np.zeros(size, dtype=np.uint8)
    cv2.fillConvexPoly(mask, np.array(corners).astype(np.int32), 255, cv2.LINE_AA)
    return np.where(mask[..., None] > 127, ground, image)


def _draw_thing(rng: np.random.Generator, image: Image) -> None:
    """Clutter: a box, a disc, a pole, or a limb of nobody: two bars with a lighter side."""
    height, width = image.shape[:2]
    unit = max(height, width)
    at, color = rng.uniform(-0.1, 1.1, 2) * (width, height), draw_color(rng)
    kind = int(rng.integers(5))
    if kind == 0:
        corner = at + rng.uniform(0.05, 0.4, 2) * unit
        cv2.rectangle(image, pixel(at), pixel(corner), rgb(color), -1)
    elif kind == 1:
        axes = pixel(rng.uniform(0.02, 0.2, 2) * unit)
        cv2.ellipse(image, pixel(at), axes, float(rng.uniform(0, 180)), 0, 360, rgb(color), -1)
    elif kind == 2:
        end, thick = at + rng.normal(0, 1, 2) * unit, int(rng.uniform(0.005, 0.05) * unit)
        cv2.line(image, pixel(at), pixel(end), rgb(color), max(1, thick), cv2.LINE_AA)
    else:
        color = draw_skin(rng) if rng.random() < 0.5 else color
        thick, angle, points = rng.uniform(0.02, 0.06) * unit, rng.uniform(0, 2 * np.pi), [at]
        for _ in range(2):
            angle += rng.normal(0, 0.8)
            step = rng.uniform(0.08, 0.25) * unit * np.array([np.cos(angle), np.sin(angle)])
            points.append(points[-1] + step)
        for factor, share in ((0.8, 1.0), (1.0, 0.6), (1.15, 0.25)):
            for start, end in pairwise(points):
                cv2.line(image, pixel(start), pixel(end), rgb(color, factor),
                         max(1, int(share * thick)), cv2.LINE_AA)  # fmt: skip


def draw_occluder(rng: np.random.Generator, image: Image, box: Array) -> NDArray[np.uint8]:
    """Something in front of a person whose box is x, y, w, h: a pole, a box or a ball.

    Returns:
        (H, W) uint8 mask of what was covered; the drawing itself goes into `image`.
    """
    mask = np.zeros(image.shape[:2], dtype=np.uint8)
    unit, middle = max(box[2:]), box[:2] + rng.uniform(0.1, 0.9, 2) * box[2:]
    kind = int(rng.integers(3))
    if kind == 0:
        angle = np.radians(float(rng.choice([0.0, 90.0])) + rng.normal(0, 8))
        reach = 3 * unit * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(mask, pixel(middle - reach), pixel(middle + reach), 255,
                 max(1, int(rng.uniform(0.015, 0.06) * unit)), cv2.LINE_AA)  # fmt: skip
    elif kind == 1:
        half = rng.uniform(0.08, 0.3, 2) * box[2:]
        cv2.rectangle(mask, pixel(middle - half), pixel(middle + half), 255, -1)
    else:
        radius = max(1, int(rng.uniform(0.06, 0.15) * unit))
        cv2.circle(mask, pixel(middle), radius, 255, -1, cv2.LINE_AA)
    color = draw_color(rng)
    blend(image, mixed(0.8 * color, 1.2 * color, noise(rng, image.shape[:2])), mask)
    return mask
