"""Colors, smooth noise and blending, which everything drawn shares."""

from __future__ import annotations

import colorsys
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.data.synthetic.body import Array

#: (H, W, 3) uint8 RGB.
Image: TypeAlias = NDArray[np.uint8]


def draw_color(rng: np.random.Generator) -> Array:
    """(3,) RGB in 0..1 as clothes and things have it: grays from black to white, and hues."""
    if rng.random() < 0.4:
        return np.clip(rng.uniform(0.05, 0.97) + rng.uniform(-0.03, 0.03, 3), 0, 1)
    hue, saturation, value = rng.uniform((0, 0.2, 0.2), (1, 0.95, 0.95))
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def rgb(color: Array, factor: float = 1.0) -> tuple[float, float, float]:
    """A color of 0..1 as OpenCV takes it, lighter or darker by a factor."""
    red, green, blue = (float(value) for value in np.clip(255 * color * factor, 0, 255))
    return red, green, blue


def pixel(point: Array | tuple[float, float]) -> tuple[int, int]:
    """A point as OpenCV draws it: whole pixels, kept from overflowing its 16-bit coordinates."""
    return max(-9999, min(9999, int(point[0]))), max(-9999, min(9999, int(point[1])))


def noise(rng: np.random.Generator, size: tuple[int, int], finest: int = 27) -> NDArray[np.float32]:
    """(H, W) smooth noise in about -1..1, from 3 to `finest` bumps along the longer side."""
    height, width = size
    total = np.zeros(size, dtype=np.float32)
    cells, weight = 3, 0.5
    while cells <= finest:
        grid = tuple(max(2, cells * side // max(size)) for side in size)
        coarse = rng.uniform(-weight, weight, grid).astype(np.float32)
        total += cv2.resize(coarse, (width, height))
        cells, weight = cells * 3, weight * 0.7
    return total


def mixed(color: Array, other: Array, share: NDArray[np.float32]) -> Image:
    """Blend two colors (0..1) by an (H, W) map in -1..1."""
    steps = np.linspace(color, other, 256)
    table = np.clip(255 * steps, 0, 255).astype(np.uint8)
    level = np.clip(127.5 * share + 127.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([level, level, level]), table[None]), dtype=np.uint8)


def blend(image: Image, layer: Image, alpha: NDArray[np.uint8]) -> None:
    """Lay `layer` over `image` in place as far as (H, W) `alpha` says."""
    over = cv2.merge([alpha, alpha, alpha])
    shown = cv2.multiply(layer, over, scale=1 / 255)
    cv2.add(shown, cv2.multiply(image, cv2.bitwise_not(over), scale=1 / 255), dst=image)


def add_grain(rng: np.random.Generator, image: Image, strength: int) -> Image:
    """Uniform noise of `strength` levels."""
    grain = np.frombuffer(rng.bytes(image.size), dtype=np.uint8).reshape(image.shape)
    grain = grain % np.uint8(strength)
    return np.asarray(cv2.addWeighted(image, 1, grain, 1, -strength / 2), dtype=np.uint8)


def lay_over(image: Image, layer: NDArray[np.uint8]) -> None:
    """Composite an (H, W, 4) layer, RGB multiplied by coverage, over the image in place."""
    through = cv2.merge([cv2.bitwise_not(layer[..., 3])] * 3)
    np.add(cv2.multiply(image, through, scale=1 / 255), layer[..., :3], out=image)
