"""Object keypoint similarity and the suppression of overlapping poses by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def oks(
    keypoints: ArrayLike, others: ArrayLike, area: float, areas: ArrayLike, sigmas: ArrayLike
) -> NDArray[np.float64]:
    """Similarity of one pose to several: mean over joints of exp(-d^2 / (2 s^2 k^2)), k = 2 sigma.

    Both poses are predictions, so every joint counts and s^2 is the mean of both areas, as in
    HRNet's OKS-NMS.

    Args:
        keypoints: (K, 2) in image pixels.
        others: (N, K, 2).
        area: area of the pose in square pixels.
        areas: (N,) areas of the others.
        sigmas: (K,) `Skeleton.sigmas`.

    Returns:
        (N,) similarities in 0..1.
    """
    reference = np.asarray(keypoints, dtype=np.float64)
    candidates = np.asarray(others, dtype=np.float64).reshape(-1, *reference.shape)
    squared = ((candidates - reference) ** 2).sum(axis=2)
    scale = (area + np.asarray(areas, dtype=np.float64)) / 2 + np.spacing(1)
    variance = (2 * np.asarray(sigmas, dtype=np.float64)) ** 2
    similarity = np.exp(-squared / (2 * scale[:, None] * variance)).mean(axis=1)
    return np.asarray(similarity, dtype=np.float64)


def oks_nms(
    keypoints: ArrayLike,
    scores: ArrayLike,
    areas: ArrayLike,
    sigmas: ArrayLike,
    threshold: float = 0.9,
) -> NDArray[np.intp]:
    """Greedy suppression: keep the best pose, drop those with OKS above `threshold`, repeat.

    Args:
        keypoints: (N, K, 2) in image pixels.
        scores: (N,) pose scores; of equal ones the later pose comes first, as in HRNet's code.
        areas: (N,) areas in square pixels.
        sigmas: (K,) `Skeleton.sigmas`.
        threshold: 0.9 in HRNet's evaluation.

    Returns:
        indices of the kept poses, best first.
    """
    poses = np.asarray(keypoints, dtype=np.float64)
    sizes = np.asarray(areas, dtype=np.float64)
    order = np.argsort(np.asarray(scores, dtype=np.float64), kind="stable")[::-1]
    kept = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(best)
        similar = oks(poses[best], poses[rest], float(sizes[best]), sizes[rest], sigmas)
        order = rest[similar <= threshold]
    return np.asarray(kept, dtype=np.intp)
