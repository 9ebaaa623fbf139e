"""Percentage of correct keypoints: a joint is correct within a share of a reference length.

PCKh takes the head as reference ("2D Human Pose Estimation: New Benchmark and State of the Art
Analysis", Andriluka et al., CVPR 2014), PCK the torso ("Articulated Human Detection with Flexible
Mixtures of Parts", Yang and Ramanan, TPAMI 2013).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.data.people import PeopleDataset
from bihrnet.evaluation.scores import Scores, finite
from bihrnet.skeleton import Skeleton

#: Metric -> (the two joints whose distance is the reference length, share of it).
SEGMENT_METRICS = {
    "PCKh@0.5": ("head_top", "neck", 0.5),
    "PCK@0.2": ("right_shoulder", "left_hip", 0.2),
}


@dataclass(frozen=True, eq=False)
class PckResult:
    """Counts of correct and of evaluated joints; all shares follow from them.

    Attributes:
        hits: (K,) predictions within the threshold, per joint.
        counts: (K,) labeled joints of the people that count.
        instances: people that count.
        left_out: people without a reference length, who do not count.
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


def pck_scores(dataset: PeopleDataset, predictions: NDArray[np.float32]) -> Scores:
    """PCKh@0.5 and PCK@0.2 as far as the skeleton has their joints; see `score_predictions`."""
    keypoints, visible = labels(dataset)
    results = segment_pck(predictions[:, :, :2], keypoints, visible, dataset.skeleton)
    return scores_from_results(results, dataset.skeleton)


def scores_from_results(results: Mapping[str, PckResult], skeleton: Skeleton) -> Scores:
    """Shares by metric, over all joints and joint by joint."""
    return Scores(
        metrics=finite({metric: result.total() for metric, result in results.items()}),
        by_joint={
            metric: finite(dict(zip(skeleton.keypoints, result.by_joint.tolist(), strict=True)))
            for metric, result in results.items()
        },
        left_out={metric: result.left_out for metric, result in results.items()},
    )


def labels(dataset: PeopleDataset) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Keypoints (N, K, 2) in image pixels and visibility (N, K) of all people.

    In one pass, because a data set may draw or read a person anew at every access.
    """
    pairs = [(person.keypoints, person.visible) for person in dataset.people]
    keypoints, visible = zip(*pairs, strict=True)
    return np.stack(keypoints), np.stack(visible)


def pck(
    predictions: ArrayLike,
    truth: ArrayLike,
    visible: ArrayLike,
    reference: ArrayLike,
    threshold: float,
) -> PckResult:
    """Count the joints whose error is at most ``threshold * reference``, in pixels.

    Args:
        predictions: (N, K, 2) in image pixels; NaN counts as wrong.
        truth: (N, K, 2) in image pixels.
        visible: (N, K) above 0 where the joint is labeled.
        reference: (N,) length in pixels; a person without one (NaN or not above 0) is left out.
        threshold: share of the reference length.
    """
    lengths = np.asarray(reference, dtype=np.float64)
    usable = np.isfinite(lengths) & (lengths > 0)
    counted = (np.asarray(visible) > 0) & usable[:, None]
    errors = np.asarray(predictions, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    distance = np.sqrt((errors**2).sum(axis=2))
    hits = counted & (distance <= threshold * np.where(usable, lengths, 0)[:, None])
    return PckResult(
        hits=hits.sum(axis=0),
        counts=counted.sum(axis=0),
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
