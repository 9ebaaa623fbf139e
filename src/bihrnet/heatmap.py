"""Heatmap codec: encoding keypoints as Gaussians, decoding peaks below one pixel, flip test.

Conventions are those of HRNet's code (docs/conventions.md). Coordinates are heatmap pixels;
multiply by the stride for pixels of the network input, and go on with `Crop.to_image`.

A new decoder is a `Refinement`, its name in `Decoding` and a line in `_REFINEMENTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float32]

#: How a peak is refined below one pixel; `decode` describes the methods.
Decoding = Literal["quarter", "dark"]

#: heatmaps (N, K, height, width), their peaks (N, K, 2) in whole pixels, sigma -> offsets of the
#: peaks (N, K, 2).
Refinement: TypeAlias = Callable[[FloatArray, FloatArray, float], FloatArray]


def encode(
    keypoints: ArrayLike,
    visible: ArrayLike,
    size: tuple[int, int],
    sigma: float,
    stride: int = 4,
) -> tuple[FloatArray, FloatArray]:
    """Draw one Gaussian per joint: peak 1, center rounded to a pixel, cut off at 3 sigma.

    Args:
        keypoints: (K, 2) x, y in input pixels.
        visible: (K,) above 0 where the joint is labeled.
        size: (height, width) of the heatmaps.
        sigma: standard deviation in heatmap pixels (2 at 256x192 and 256x256, 3 at 384x288).
        stride: input pixels per heatmap pixel.

    Returns:
        heatmaps (K, height, width) in 0..1 and weights (K,): 0 where the joint is unlabeled or
        its whole Gaussian lies outside, else 1. Heatmaps of weight 0 are all zero.
    """
    points = np.asarray(keypoints, dtype=np.float64).reshape(-1, 2)
    labeled = np.asarray(visible, dtype=np.float64).reshape(-1) > 0
    height, width = size
    # NaN or far-away coordinates of unlabeled joints must not reach the integer cast.
    centers = np.where(labeled[:, None], np.clip(points / stride, -1e6, 1e6), -1e6)
    centers = np.trunc(centers + 0.5)  # HRNet's int(): towards zero
    radius = np.trunc(3 * sigma)
    inside = (
        (centers[:, 0] - radius < width)
        & (centers[:, 1] - radius < height)
        & (centers + radius >= 0).all(axis=1)
    )
    weights = (labeled & inside).astype(np.float32)

    def profile(center: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        distance = np.arange(length)[None] - center[:, None]
        return np.exp(-(distance**2) / (2 * sigma**2)) * (np.abs(distance) <= radius)

    maps = profile(centers[:, 1], height)[:, :, None] * profile(centers[:, 0], width)[:, None, :]
    return (maps * weights[:, None, None]).astype(np.float32), weights


def decode(
    heatmaps: FloatArray, method: Decoding = "quarter", sigma: float = 2.0
) -> tuple[FloatArray, FloatArray]:
    """Find the peak of every heatmap and refine it below one pixel.

    Args:
        heatmaps: (N, K, height, width).
        method: "quarter" moves a quarter pixel towards the higher neighbor on each axis (HRNet's
            code, only where both axes are inside the border); "dark" takes one Newton step on the
            logarithm of the blurred heatmap ("Distribution-Aware Coordinate Representation for
            Human Pose Estimation", Zhang et al., CVPR 2020, equations 4 to 9).
        sigma: of the Gaussians that the network was trained on, in heatmap pixels; "dark" blurs
            by as much.

    Returns:
        coordinates (N, K, 2) as x, y, and scores (N, K), the height of the peak. Where the peak is
        not above zero the coordinates are (0, 0).
    """
    heatmaps = np.asarray(heatmaps, dtype=np.float32)
    count, joints, _, width = heatmaps.shape
    flat = heatmaps.reshape(count, joints, -1)
    peak = flat.argmax(axis=2)
    scores = np.take_along_axis(flat, peak[..., None], axis=2)[..., 0]
    coordinates = np.stack([peak % width, peak // width], axis=-1).astype(np.float32)
    coordinates[scores <= 0] = 0
    return coordinates + _REFINEMENTS[method](heatmaps, coordinates, sigma), scores


def flip_merge(
    heatmaps: FloatArray, mirrored: FloatArray, flip_permutation: NDArray[np.intp]
) -> FloatArray:
    """Average heatmaps with those of the mirrored crop (flip test).

    The mirrored heatmaps are flipped back, left and right joints swapped, and shifted one pixel to
    the right (SHIFT_HEATMAP in HRNet's code): with stride 4, mirroring the input moves a point 3/4
    of a heatmap pixel to the left, and one whole pixel is the closest correction
    (docs/conventions.md).

    Args:
        heatmaps: (N, K, height, width) of the crops.
        mirrored: the same shape, of the crops with their columns reversed.
        flip_permutation: `Skeleton.flip_permutation`.
    """
    restored = mirrored[:, flip_permutation, :, ::-1]
    shifted = restored.copy()
    shifted[..., 1:] = restored[..., :-1]
    return np.asarray((heatmaps + shifted) / 2, dtype=np.float32)


def _quarter_offset(heatmaps: FloatArray, coordinates: FloatArray, _sigma: float) -> FloatArray:
    """A quarter pixel towards the higher neighbor; zero at the border."""
    height, width = heatmaps.shape[2:]
    offset = np.zeros_like(coordinates)
    x, y = coordinates[..., 0].astype(int), coordinates[..., 1].astype(int)
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    n, k = np.nonzero(inside)
    x, y = x[inside], y[inside]
    maps = heatmaps[n, k]
    index = np.arange(len(n))
    offset[n, k, 0] = np.sign(maps[index, y, x + 1] - maps[index, y, x - 1]) / 4
    offset[n, k, 1] = np.sign(maps[index, y + 1, x] - maps[index, y - 1, x]) / 4
    return offset


def _newton_step(heatmaps: FloatArray, coordinates: FloatArray, sigma: float) -> FloatArray:
    """-H^-1 g at each peak by central differences; zero at the border and where H is singular."""
    height, width = heatmaps.shape[2:]
    offset = np.zeros_like(coordinates)
    x, y = coordinates[..., 0].astype(int), coordinates[..., 1].astype(int)
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    n, k = np.nonzero(inside)
    maps = _log_blurred(heatmaps, n, k, x[inside], y[inside], sigma)

    def at(dx: int, dy: int) -> NDArray[np.float64]:
        return maps[:, 2 + dy, 2 + dx]

    gx, gy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    xx = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    yy = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    xy = (at(1, 1) - at(-1, 1) - at(1, -1) + at(-1, -1)) / 4
    determinant = xx * yy - xy**2
    usable = determinant != 0
    safe = np.where(usable, determinant, 1)
    offset[n, k, 0] = np.where(usable, -(yy * gx - xy * gy) / safe, 0)
    offset[n, k, 1] = np.where(usable, -(xx * gy - xy * gx) / safe, 0)
    return offset


def _log_blurred(
    heatmaps: FloatArray,
    n: NDArray[np.intp],
    k: NDArray[np.intp],
    x: NDArray[np.intp],
    y: NDArray[np.intp],
    sigma: float,
) -> NDArray[np.float64]:
    """Logarithm of maps n, k after a Gaussian blur: (len(n), 5, 5) around x, y.

    Outside of a map it is zero. The kernel has 6 sigma - 1 pixels: 11 and 17 at the sigmas of 2 and
    3 that DARK's code uses. That code also gives each map its old peak back, which only adds a
    constant to the logarithm.
    """
    size = max(3, 2 * round(3 * sigma) - 1)
    kernel = cv2.getGaussianKernel(size, 0)[:, 0]
    reach = size // 2 + 2
    blur = np.zeros((5, 2 * reach + 1))
    for row in range(5):
        blur[row, row : row + size] = kernel
    padded = np.pad(heatmaps, ((0, 0), (0, 0), (reach, reach), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * blur.shape[1:], axis=(2, 3))
    blurred = blur @ windows[n, k, y, x] @ blur.T
    return np.asarray(np.log(np.maximum(blurred, 1e-10)))


_REFINEMENTS: dict[Decoding, Refinement] = {"quarter": _quarter_offset, "dark": _newton_step}
