"""The arithmetic of export: sign thresholds, packed weights, quantized weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.packing import pack_bits
from bihrnet.export.ir import Floats
from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD

#: Pixel value 0..255 that normalizes to zero, per color channel.
IMAGE_OFFSET = 255 * np.array(IMAGENET_MEAN)
#: Normalized units per unit of a pixel value.
IMAGE_STEP = 1 / (255 * np.array(IMAGENET_STD))


class Quantization(NamedTuple):
    """Of a value v to 8 bits: q = clamp(round(v * inverse_scale) + zero_point, 0, 255)."""

    inverse_scale: float
    zero_point: int


def sign_threshold(mul: Floats, add: Floats) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Fold an affine layer into the sign that follows it.

    Returns:
        Thresholds t and flips f such that sign(v * mul + add) is negative exactly where
        (v < t) != f, for every float32 v. A negative factor reverses the comparison: v > -add / mul
        is not (v < the next larger float). A factor of zero makes the sign constant: t is infinite.
    """
    flip = mul < 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        exact = -add / mul
        threshold = exact.astype(np.float32)
        # The smallest float32 that is >= exact, or > exact where the comparison is reversed.
        below = np.where(flip, threshold.astype(np.float64) <= exact, threshold < exact)
        threshold = np.where(below, np.nextafter(threshold, np.float32(np.inf)), threshold)
    constant = np.where(add < 0, np.float32(np.inf), np.float32(-np.inf))
    return np.where(mul == 0, constant, threshold).astype(np.float32), flip


def pack_weight(weight: NDArray[np.float32], flip: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Signs of latent weights (out, kh, kw, in) as bits, those of flipped inputs negated."""
    return pack_bits((weight < 0) ^ flip)


def compact(weight: NDArray[Any], *, lossless: bool) -> NDArray[Any]:
    """Weights as float16; as float32 where they are out of its range or must not lose precision."""
    single = np.ascontiguousarray(weight, dtype=np.float32)
    with np.errstate(over="ignore"):
        half = single.astype(np.float16)
    exact = np.array_equal(half.astype(np.float32), single)
    return half if exact or (not lossless and np.isfinite(half).all()) else single


def quantize_weight(weight: NDArray[Any]) -> tuple[NDArray[np.int8], Floats]:
    """Quantize weights (out, ...) symmetrically to -127..127.

    Returns:
        The integers and one scale per output channel, such that the largest magnitude is exact.
    """
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim))).astype(np.float64)
    scale = np.where(largest > 0, largest, 1) / 127
    steps = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
    return np.clip(steps, -127, 127).astype(np.int8), scale
