"""PCKh on MPII, as HRNet's code computes it.

The reference length is the head size, 0.6 times the diagonal of the annotated head box ("2D Human
Pose Estimation: New Benchmark and State of the Art Analysis", Andriluka et al., CVPR 2014). HRNet's
code prints the share at threshold 0.11 under the name "Mean@0.1"; both are reported, each under its
own name.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.data.people import PeopleDataset
from bihrnet.evaluation.pck import PckResult, labels, pck, scores_from_results, segment_lengths
from bihrnet.evaluation.scores import Scores, finite
from bihrnet.skeleton import MPII

#: Metric -> share of the head size.
THRESHOLDS = {"PCKh@0.5": 0.5, "PCKh@0.1": 0.1, "PCKh@0.11": 0.11}

#: Joints of the mean: all but pelvis and thorax (6 and 7), which HRNet's code masks out.
MEAN_JOINTS = tuple(
    joint for joint, name in enumerate(MPII.keypoints) if name not in ("pelvis", "thorax")
)

_GROUPS = {
    "Head": ("head_top",),
    "Shoulder": ("left_shoulder", "right_shoulder"),
    "Elbow": ("left_elbow", "right_elbow"),
    "Wrist": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankle": ("left_ankle", "right_ankle"),
}


def mpii_scores(dataset: PeopleDataset, predictions: NDArray[np.float32]) -> Scores:
    """PCKh as in HRNet's table, by joint and by group; see `score_predictions`."""
    keypoints, visible = labels(dataset)
    annotated = np.array([person.head_size or np.nan for person in dataset.people])
    derived = head_sizes_from_joints(keypoints, visible)
    sizes = np.where(np.isnan(annotated), derived, annotated)
    results = mpii_pckh(predictions[:, :, :2], keypoints, visible, sizes)
    groups = {metric: finite(group_shares(result)) for metric, result in results.items()}
    means = {metric: shares["Mean"] for metric, shares in groups.items() if "Mean" in shares}
    return replace(scores_from_results(results, MPII), metrics=means, by_group=groups)


def mpii_pckh(
    predictions: ArrayLike, truth: ArrayLike, visible: ArrayLike, head_sizes: ArrayLike
) -> dict[str, PckResult]:
    """PCKh at every threshold of `THRESHOLDS`.

    Args:
        predictions: (N, 16, 2) x, y in 0-based pixels.
        truth: (N, 16, 2), likewise: `data.mpii` has made MPII's 1-based labels 0-based.
        visible: (N, 16) above 0 where the joint is labeled.
        head_sizes: (N,) reference lengths in pixels; NaN where unknown.
    """
    return {
        metric: pck(predictions, truth, visible, head_sizes, threshold)
        for metric, threshold in THRESHOLDS.items()
    }


def group_shares(result: PckResult) -> dict[str, float]:
    """HRNet's table: Head (the head top), then each pair as the plain mean of left and right.

    "Mean" weighs the joints by how often they are labeled and leaves out pelvis and thorax.
    Values are percent; NaN where nothing is labeled.
    """
    shares = result.by_joint
    groups = {
        group: float(np.mean([shares[MPII.index(name)] for name in names]))
        for group, names in _GROUPS.items()
    }
    return {**groups, "Mean": result.total(MEAN_JOINTS)}


def head_sizes_from_joints(truth: ArrayLike, visible: ArrayLike) -> NDArray[np.float64]:
    """(N,) head sizes where a file has no head boxes (HRNet-style JSON); NaN where unlabeled.

    MPII derives the joints "head top" and "upper neck" from the head box: they lie 0.8 diagonals
    apart. So 0.6 diagonals are 0.75 times their distance.
    """
    head_top, neck = MPII.index("head_top"), MPII.index("neck")
    return 0.75 * segment_lengths(truth, visible, head_top, neck)
