"""PCKh on MPII, as HRNet's code computes it.

The reference is the head size, 0.6 times the diagonal of the annotated head box. HRNet's code
prints the share at threshold 0.11 under the name "Mean@0.1"; both are given, each by its own name.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.evaluation.pck import PckResult, pck, segment_lengths
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


def mpii_pckh(
    predictions: ArrayLike, truth: ArrayLike, visible: ArrayLike, head_sizes: ArrayLike
) -> dict[str, PckResult]:
    """PCKh at every threshold of `THRESHOLDS`.

    Args:
        predictions: (N, 16, 2), in the same pixel counting as the truth. MPII's files count from
            1; whoever reads them makes both 0-based, and no offset is left to add here.
        truth: (N, 16, 2).
        visible: (N, 16) above 0 where the joint is labeled.
        head_sizes: (N,) 0.6 times the diagonal of the head box in pixels; NaN where unknown.
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
    """(N,) head sizes where a file has no head boxes (HRNet-style JSON); NaN if unlabeled.

    MPII derives the joints "head top" and "upper neck" from the head box: they lie 0.8 diagonals
    apart. So 0.6 diagonals are 0.75 times their distance.
    """
    head_top, neck = MPII.index("head_top"), MPII.index("neck")
    return 0.75 * segment_lengths(truth, visible, head_top, neck)
