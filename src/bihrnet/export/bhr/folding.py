"""The arithmetic of export: thresholds, packed and quantized weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.packing import pack_bits
from bihrnet.export.ir import Floats
from bihrnet.model import IMAGENET_MEAN, IMAGENET_STD

#: Pixel value that normalizes to zero, per channel.
IMAGE_OFFSET = 255 * np.array(IMAGENET_MEAN)
#: Normalized units per step of a pixel value.
IMAGE_STEP = 1 / (255 * np.array(IMAGENET_STD))


def sign_threshold(mul: Floats, add: Floats) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Thresholds t and flips f such that sign(v * mul + add) is negative iff (v < t) != f.

    Exact for every float32 v. A negative factor turns the comparison round: v > -add / mul is
    not (v < the next float above). A factor of zero makes the sign constant: t is infinite.
    """
    flip = mul < 0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        exact = -add / mul
        threshold = exact.astype(np.float32)
        # The smallest float32 that is >= exact, or > exact where the comparison turns round.
        below = np.where(flip, threshold.astype(np.float64) <= exact, threshold < exact)
        threshold = np.where(below, np.nextafter(threshold, np.float32(np.inf)), threshold)
    constant = np.where(add < 0, np.float32(np.inf), np.float32(-np.inf))
    return np.where(mul == 0, constant, threshold).astype(np.float32), flip


def pack_weight(weight: NDArray[np.float32], flip: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Signs of latent weights (out, kh, kw, in) as bits, those of flipped inputs negated."""
    return pack_bits((weight < 0) ^ flip)


def compact(weight: NDArray[Any], *, lossless: bool) -> NDArray[Any]:
    """float16, but float32 where that loses something and nothing may be lost."""
    single = np.ascontiguousarray(weight, dtype=np.float32)
    with np.errstate(over="ignore"):
        half = single.astype(np.float16)
    exact = np.array_equal(half.astype(np.float32), single)
    return half if exact or (not lossless and np.isfinite(half).all()) else single


def quantize_weight(weight: NDArray[Any]) -> tuple[NDArray[np.int8], Floats]:
    """Weights (out, ...) as -127..127 times one scale per output channel, the largest exact."""
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim))).astype(np.float64)
    scale = np.where(largest > 0, largest, 1) / 127
    steps = np.rint(weight / scale.reshape(-1, *[1] * (weight.ndim - 1)))
    return np.clip(steps, -127, 127).astype(np.int8), scale
