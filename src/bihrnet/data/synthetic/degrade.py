"""What cloth and cameras do to a clean drawing: folds, blur, tone, noise, compression."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bihrnet.data.synthetic.paint import Image, add_grain, noise


def crease(rng: np.random.Generator, layer: NDArray[np.uint8]) -> None:
    """Folds and blotches: uneven brightness over the body, in place."""
    folds = noise(rng, (layer.shape[0], layer.shape[1]), int(rng.integers(12, 60)))
    level = np.asarray(255 * (1 - rng.uniform(0.02, 0.2) * np.abs(folds)), dtype=np.uint8)
    solid = np.full_like(level, 255)
    cv2.multiply(layer, cv2.merge([level, level, level, solid]), dst=layer, scale=1 / 255)


def degrade(rng: np.random.Generator, image: Image) -> Image:
    """Motion blur, low resolution, tone, noise, compression: each in some pictures only."""
    height, width = image.shape[:2]
    if rng.random() < 0.10:
        image = _motion_blur(rng, image)
    if rng.random() < 0.15:
        factor = float(rng.uniform(0.35, 0.8))
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        image = np.asarray(cv2.resize(small, (width, height)), dtype=np.uint8)
    image = cv2.LUT(image, _tone_curves(rng)).astype(np.uint8)
    if rng.random() < 0.07:
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        image = np.asarray(cv2.merge([gray, gray, gray]), dtype=np.uint8)
    if rng.random() < 0.4:
        image = add_grain(rng, image, strength=int(rng.integers(3, 40)), gray=False)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        _, packed = cv2.imencode(".jpg", image, quality)
        image = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)
    return image


def _motion_blur(rng: np.random.Generator, image: Image) -> Image:
    reach = max(1, int(rng.uniform(0.006, 0.018) * max(image.shape)))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), dtype=np.float32)
    angle = rng.uniform(0, np.pi)
    end = np.array([np.cos(angle), np.sin(angle)]) * reach
    start, stop = (tuple(np.rint(reach + sign * end).astype(int).tolist()) for sign in (-1, 1))
    cv2.line(kernel, start, stop, 1.0, 1)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), dtype=np.uint8)


def _tone_curves(rng: np.random.Generator) -> NDArray[np.uint8]:
    """(1, 256, 3) lookup table: gamma, contrast, brightness and a color cast."""
    level = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.18))
    level = 0.5 + (level - 0.5) * rng.uniform(0.75, 1.2) + rng.normal(0, 0.04)
    level = level * (1 + rng.normal(0, 0.04, 3))
    return np.clip(255 * level, 0, 255).astype(np.uint8)[None]
