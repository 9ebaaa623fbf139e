"""Brushes: blending, smooth noise and conversions that everything painted shares."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.data.synthetic.body import Array

#: (H, W, 3) uint8 RGB.
Image: TypeAlias = NDArray[np.uint8]


def blend(image: Image, layer: Image, alpha: Image) -> None:
    """Lay `layer` over `image` in place where (H, W) `alpha` says so."""
    over = cv2.merge([alpha, alpha, alpha])
    shown = cv2.multiply(layer, over, scale=1 / 255)
    cv2.add(shown, cv2.multiply(image, cv2.bitwise_not(over), scale=1 / 255), dst=image)


def noise(rng: np.random.Generator, size: tuple[int, int], cells: int) -> NDArray[np.float32]:
    """Smooth noise in -1..1 with `cells` bumps along the longer side: (H, W)."""
    height, width = size
    longer = max(size)
    grid = (max(2, cells * height // longer), max(2, cells * width // longer))
    coarse = rng.uniform(-1, 1, grid).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth, dtype=np.float32)


def octaves(rng: np.random.Generator, size: tuple[int, int], finest: int) -> NDArray[np.float32]:
    """Noise at several scales in about -1..1."""
    total = np.zeros(size, dtype=np.float32)
    cells, weight = 3, 0.5
    while cells <= finest:
        total += weight * noise(rng, size, cells)
        cells, weight = cells * 3, weight * 0.7
    return total


def colored(base: Array, other: Array, mix: NDArray[np.float32]) -> Image:
    """Blend two colors (0..1) by a (H, W) map in -1..1."""
    share = np.linspace(0, 1, 256)[:, None]
    table = np.clip(255 * (base + (other - base) * share), 0, 255).astype(np.uint8)
    level = np.clip(127.5 * mix + 127.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(cv2.merge([level, level, level]), table[None]), dtype=np.uint8)


def pixel(point: Array | tuple[float, float]) -> tuple[int, int]:
    """A point as OpenCV draws it: whole pixels, kept from overflowing its 16-bit coordinates."""
    return max(-9999, min(9999, int(point[0]))), max(-9999, min(9999, int(point[1])))


def rgb(color: Array, factor: float = 1.0) -> tuple[float, float, float]:
    """A color of 0..1 as OpenCV takes it, lighter or darker by a factor."""
    red, green, blue = (float(value) for value in np.clip(255 * color * factor, 0, 255))
    return red, green, blue


def add_grain(rng: np.random.Generator, image: Image, strength: int, gray: bool) -> Image:
    """Uniform noise of `strength` levels; `gray` noise is alike in all channels."""
    height, width = image.shape[:2]
    shape = (height, width) if gray else (height, width, 3)
    grain = np.frombuffer(rng.bytes(int(np.prod(shape))), dtype=np.uint8).reshape(shape)
    grain = grain % np.uint8(strength)
    if gray:
        grain = np.asarray(cv2.merge([grain, grain, grain]), dtype=np.uint8)
    return np.asarray(cv2.addWeighted(image, 1, grain, 1, -strength / 2), dtype=np.uint8)


def lay_over(image: Image, layer: NDArray[np.uint8]) -> None:
    """Composite an (H, W, 4) layer, RGB multiplied by coverage, over the image in place."""
    through = cv2.merge([cv2.bitwise_not(layer[..., 3])] * 3)
    np.add(cv2.multiply(image, through, scale=1 / 255), layer[..., :3], out=image)
