"""Percentage of correct keypoints: a joint is right within a share of a reference length.

PCKh takes the head as reference (Andriluka et al. 2014), PCK the torso (Yang and Ramanan 2013).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.skeleton import Skeleton

#: Metric -> (the two joints whose distance is the reference length, share of it).
SEGMENT_METRICS = {
    "PCKh@0.5": ("head_top", "neck", 0.5),
    "PCK@0.2": ("right_shoulder", "left_hip", 0.2),
}


@dataclass(frozen=True, eq=False)
class PckResult:
    """Counts of right and of judged joints; all shares follow from them.

    Attributes:
        hits: (K,) predictions within the threshold, per joint.
        counts: (K,) labeled joints that were judged.
        instances: people judged.
        left_out: people without a reference length.
    """

    hits: NDArray[np.int64]
    counts: NDArray[np.int64]
    instances: int
    left_out: int

    @property
    def by_joint(self) -> NDArray[np.float64]:
        """(K,) percent; NaN for a joint that is labeled nowhere."""
        result = np.full(len(self.counts), np.nan)
        return np.divide(100.0 * self.hits, self.counts, out=result, where=self.counts > 0)

    def total(self, joints: Sequence[int] | None = None) -> float:
        """Percent over all labeled joints together, or over the given ones; NaN without any."""
        chosen = slice(None) if joints is None else list(joints)
        count = int(self.counts[chosen].sum())
        return 100.0 * int(self.hits[chosen].sum()) / count if count else float("nan")


def pck(
    predictions: ArrayLike,
    truth: ArrayLike,
    visible: ArrayLike,
    reference: ArrayLike,
    threshold: float,
) -> PckResult:
    """Count the joints whose error is at most ``threshold * reference``.

    Args:
        predictions: (N, K, 2) in image pixels; NaN counts as wrong.
        truth: (N, K, 2) in image pixels.
        visible: (N, K) above 0 where the joint is labeled.
        reference: (N,) length in pixels; a person without one (NaN or not above 0) is left out.
        threshold: share of the reference length.
    """
    lengths = np.asarray(reference, dtype=np.float64)
    usable = np.isfinite(lengths) & (lengths > 0)
    judged = (np.asarray(visible) > 0) & usable[:, None]
    errors = np.asarray(predictions, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    distance = np.sqrt((errors**2).sum(axis=2))
    right = judged & (distance <= threshold * np.where(usable, lengths, 0)[:, None])
    return PckResult(
        hits=right.sum(axis=0),
        counts=judged.sum(axis=0),
        instances=int(usable.sum()),
        left_out=int((~usable).sum()),
    )


def segment_lengths(
    truth: ArrayLike, visible: ArrayLike, first: int, second: int
) -> NDArray[np.float64]:
    """(N,) distance between two joints; NaN where either is unlabeled."""
    points = np.asarray(truth, dtype=np.float64)
    labeled = (np.asarray(visible)[:, [first, second]] > 0).all(axis=1)
    difference = points[:, first] - points[:, second]
    return np.where(labeled, np.sqrt((difference**2).sum(axis=1)), np.nan)


def segment_pck(
    predictions: ArrayLike, truth: ArrayLike, visible: ArrayLike, skeleton: Skeleton
) -> dict[str, PckResult]:
    """The metrics of `SEGMENT_METRICS` whose reference joints the skeleton has.

    On LSP-14 these are PCKh@0.5 (head top to neck) and PCK@0.2 (right shoulder to left hip).

    Args:
        predictions: (N, K, 2) in image pixels.
        truth: (N, K, 2) in image pixels.
        visible: (N, K) above 0 where the joint is labeled.
        skeleton: names of the joints.
    """
    results = {}
    for metric, (first, second, threshold) in SEGMENT_METRICS.items():
        if {first, second} <= set(skeleton.keypoints):
            lengths = segment_lengths(truth, visible, skeleton.index(first), skeleton.index(second))
            results[metric] = pck(predictions, truth, visible, lengths, threshold)
    return results
