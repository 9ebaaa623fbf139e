"""What is behind the people: walls, floors, skies, streets, crowds.

Everything scales with the image, so that a background looks alike at every size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from bihrnet.data.synthetic.body import Array
from bihrnet.data.synthetic.clutter import draw_thing
from bihrnet.data.synthetic.outfit import draw_color, draw_skin
from bihrnet.data.synthetic.paint import (
    Image,
    add_grain,
    blend,
    colored,
    octaves,
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
    paint = _KINDS[int(rng.choice(len(_KINDS), p=_KIND_SHARES))]
    image = paint(rng, size, horizon)
    for _ in range(int(rng.poisson(2.0)) if clutter else 0):
        draw_thing(rng, image)
    image = add_grain(rng, image, strength=int(rng.integers(2, 24)), gray=True)
    if rng.random() < 0.35:
        spread = float(rng.uniform(0.002, 0.012)) * max(size)
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), spread), dtype=np.uint8)
    return image


def _ground(rng: np.random.Generator, image: Image, horizon: Horizon, ground: Image) -> None:
    """Fill everything below the horizon with `ground`."""
    x, y, angle = horizon
    mask = np.zeros(image.shape[:2], dtype=np.uint8)
    along = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    down = np.array([-along[1], along[0]])
    reach = 6.0 * max(image.shape)
    near = np.array([x, np.clip(y, -reach, reach)])
    corners = [near - reach * along, near + reach * along]
    corners += [corners[1] + reach * down, corners[0] + reach * down]
    cv2.fillConvexPoly(mask, np.array(corners).astype(np.int32), 255, cv2.LINE_AA)
    if rng.random() < 0.5:
        _floor_lines(rng, ground, near, along, down)
    image[:] = np.where(mask[..., None] > 127, ground, image)


def _floor_lines(
    rng: np.random.Generator, ground: Image, vanishing: Array, along: Array, down: Array
) -> None:
    """Boards, lanes or tiles that run to the horizon."""
    reach = 3.0 * max(ground.shape)
    shade = rgb(ground.mean(axis=(0, 1)) / 255, float(rng.choice([0.6, 0.8, 1.35])))
    thick = max(1, int(rng.uniform(0.003, 0.012) * max(ground.shape)))
    for offset in np.arange(-3, 3, rng.uniform(0.3, 1.2)):
        end = vanishing + reach * (down + offset * along)
        cv2.line(ground, pixel(vanishing), pixel(end), shade, thick, cv2.LINE_AA)
    if rng.random() < 0.6:
        spacing = rng.uniform(0.4, 2.0) * max(ground.shape)
        for number in range(1, 12):
            middle = vanishing + down * spacing / number
            cv2.line(ground, pixel(middle - reach * along), pixel(middle + reach * along), shade,
                     thick, cv2.LINE_AA)  # fmt: skip


def _earth(rng: np.random.Generator, size: tuple[int, int]) -> Image:
    """Ground texture: grass, sand, asphalt or floor."""
    natural = np.array([[0.30, 0.42, 0.16], [0.72, 0.62, 0.45], [0.42, 0.42, 0.42],
                        [0.55, 0.40, 0.28], [0.78, 0.76, 0.72], [0.36, 0.52, 0.62]])  # fmt: skip
    base = natural[int(rng.integers(len(natural)))] * rng.uniform(0.6, 1.2)
    if rng.random() < 0.25:
        base = draw_color(rng)
    contrast = rng.uniform(0.05, 0.4)
    return colored(base * (1 - contrast), base * (1 + contrast), octaves(rng, size, 90))


def _outdoors(rng: np.random.Generator, size: tuple[int, int], horizon: Horizon) -> Image:
    """Sky, something at the horizon, ground."""
    height, width = size
    top = np.array([rng.uniform(0.15, 0.75), rng.uniform(0.4, 0.82), rng.uniform(0.7, 1.0)])
    low = np.clip(top + rng.uniform(0.0, 0.4) + rng.normal(0, 0.05, 3), 0, 1)
    if rng.random() < 0.25:
        top, low = np.full(3, rng.uniform(0.55, 1.0)), np.full(3, rng.uniform(0.7, 1.0))
    elif rng.random() < 0.1:
        top, low = top * 0.4, np.array([0.95, 0.6, 0.35])
    ramp = np.linspace(-1, 1, height, dtype=np.float32)[:, None] + np.zeros(size, np.float32)
    clouds = octaves(rng, size, 27) * rng.uniform(0, 1.2)
    image = colored(top, low, np.clip(ramp + clouds, -1, 1))
    x, y, angle = horizon
    line = float(np.clip(y, -height, 2 * height))
    for _ in range(int(rng.integers(0, 9))):
        if rng.random() < 0.55:
            _building(rng, image, float(rng.uniform(-0.1, 1.1)) * width, line)
        else:
            _tree(rng, image, float(rng.uniform(-0.1, 1.1)) * width, line)
    if line < height:
        _ground(rng, image, (x, line, angle), _earth(rng, size))
    return image


def _building(rng: np.random.Generator, image: Image, x: float, ground: float) -> None:
    unit = max(image.shape)
    width, height = rng.uniform(0.1, 0.5) * unit, rng.uniform(0.1, 0.9) * unit
    color = np.clip(rng.uniform(0.25, 0.85) + rng.normal(0, 0.07, 3), 0, 1)
    low, high = (
        pixel((x - width / 2, ground - height)),
        pixel((x + width / 2, ground + 0.2 * unit)),
    )
    cv2.rectangle(image, low, high, rgb(color), -1)
    if rng.random() < 0.8:
        pane = rgb(color, float(rng.uniform(0.35, 1.5)))
        step = rng.uniform(0.03, 0.1, 2) * unit
        fill = rng.uniform(0.35, 0.75, 2) * step
        for left in np.arange(low[0] + 0.2 * step[0], high[0] - fill[0], step[0]):
            for upper in np.arange(low[1] + 0.2 * step[1], ground - fill[1], step[1]):
                cv2.rectangle(image, pixel((left, upper)),
                              pixel((left + fill[0], upper + fill[1])), pane, -1)  # fmt: skip


def _tree(rng: np.random.Generator, image: Image, x: float, ground: float) -> None:
    unit = max(image.shape)
    height = rng.uniform(0.1, 0.7) * unit
    bark = rgb(np.array([0.28, 0.2, 0.13]), float(rng.uniform(0.5, 1.4)))
    top = (x + rng.normal(0, 0.04) * unit, ground - height)
    cv2.line(image, pixel((x, ground + 0.02 * unit)), pixel(top), bark,
             max(1, int(rng.uniform(0.01, 0.035) * unit)), cv2.LINE_AA)  # fmt: skip
    green = np.array([rng.uniform(0.08, 0.45), rng.uniform(0.25, 0.5), rng.uniform(0.05, 0.2)])
    for _ in range(int(rng.integers(8, 30))):
        at = np.array(top) + rng.normal(0, 0.28, 2) * height
        radius = max(1, int(rng.uniform(0.03, 0.16) * height))
        cv2.circle(image, pixel(at), radius, rgb(green, float(rng.uniform(0.6, 1.4))), -1)


def _indoors(rng: np.random.Generator, size: tuple[int, int], horizon: Horizon) -> Image:
    """A wall with panels, bricks or windows, and a floor."""
    height, width = size
    unit = max(size)
    color = np.clip(rng.uniform(0.2, 0.9) + rng.normal(0, 0.10, 3), 0, 1)
    spread = rng.uniform(0.02, 0.25)
    image = colored(color * (1 - spread), color * (1 + spread), octaves(rng, size, 27))
    joint = rgb(color, float(rng.choice([0.65, 0.8, 1.25])))
    kind, step = int(rng.integers(4)), rng.uniform(0.05, 0.3) * unit
    if kind == 0:  # panels
        for x in np.arange(rng.uniform(0, step), width, step):
            cv2.line(image, pixel((x, 0)), pixel((x, height)), joint, max(1, int(0.006 * unit)))
    elif kind == 1:  # bricks or tiles
        tall = 0.45 * step
        for row, y in enumerate(np.arange(0, height, tall)):
            cv2.line(image, pixel((0, y)), pixel((width, y)), joint, 1)
            for x in np.arange((row % 2) * step / 2, width, step):
                cv2.line(image, pixel((x, y)), pixel((x, y + tall)), joint, 1)
    for _ in range(int(rng.integers(0, 5))):  # windows, posters, doors
        x, y = rng.uniform(0, width), rng.uniform(-0.1, 0.6) * height
        corner = (x + rng.uniform(0.08, 0.4) * unit, y + rng.uniform(0.08, 0.5) * unit)
        light = draw_color(rng) if rng.random() < 0.5 else np.full(3, 0.95)
        cv2.rectangle(image, pixel((x, y)), pixel(corner), rgb(light), -1)
        cv2.rectangle(image, pixel((x, y)), pixel(corner), joint, max(1, int(0.01 * unit)))
    x, y, angle = horizon
    # The wall hides the horizon: the floor starts below it.
    line = float(np.clip(y, -height, height)) + rng.uniform(0.05, 0.45) * unit
    if line < height:
        _ground(rng, image, (x, line, angle), _earth(rng, size))
    return image


def _studio(rng: np.random.Generator, size: tuple[int, int], horizon: Horizon) -> Image:
    """A smooth gradient or a wildly blurred scene."""
    del horizon
    direction = rng.uniform(-1, 1, 2)
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j].astype(np.float32)
    ramp = np.clip(direction[0] * x + direction[1] * y, -1, 1).astype(np.float32)
    if rng.random() < 0.4:
        return colored(draw_color(rng), draw_color(rng), ramp)
    blurred = colored(draw_color(rng), draw_color(rng), octaves(rng, size, 27) + 0.3 * ramp)
    spots = colored(np.zeros(3), np.full(3, 255.0), 2 + 4 * octaves(rng, size, 9))
    blend(blurred, colored(draw_color(rng), draw_color(rng), ramp), spots[..., 0].copy())
    return blurred


def _crowd(rng: np.random.Generator, size: tuple[int, int], horizon: Horizon) -> Image:
    """Rows of spectators, small."""
    height, width = size
    image = _indoors(rng, size, horizon)
    unit = max(size) * rng.uniform(0.04, 0.11)
    lowest = float(np.clip(horizon[1], 0.2 * height, 0.8 * height))
    for y in np.arange(unit, lowest, 1.5 * unit):
        for x in np.arange(rng.uniform(0, unit), width, 1.35 * unit):
            if rng.random() < 0.25:
                continue
            head_x, head_y = np.array([x, y]) + rng.normal(0, 0.15, 2) * unit
            head = pixel((head_x, head_y))
            shirt, skin = rgb(draw_color(rng)), rgb(draw_skin(rng))
            axes = (int(0.5 * unit), int(0.75 * unit))
            cv2.ellipse(image, pixel((head_x, head_y + 0.85 * unit)), axes, 0, 0, 360, shirt, -1)
            cv2.circle(image, head, max(1, int(0.27 * unit)), skin, -1, cv2.LINE_AA)
            hair = rgb(np.full(3, rng.uniform(0.05, 0.5)))
            cap = (max(1, int(0.28 * unit)),) * 2
            cv2.ellipse(image, (head[0], head[1] - int(0.08 * unit)), cap, 0, 180, 360, hair, -1)
    return image


_KINDS: tuple[Callable[[np.random.Generator, tuple[int, int], Horizon], Image], ...] = (
    _outdoors, _indoors, _studio, _crowd)  # fmt: skip
_KIND_SHARES = (0.42, 0.32, 0.18, 0.08)
