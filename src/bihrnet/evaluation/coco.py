"""OKS average precision of COCO and CrowdPose, computed by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.data.people import PeopleDataset
from bihrnet.errors import BihrnetError
from bihrnet.evaluation.coco_files import (
    EvaluationProtocol,
    GroundTruth,
    Result,
    read_ground_truth,
)
from bihrnet.evaluation.scores import Scores
from bihrnet.pose import oks_nms, pose_score
from bihrnet.skeleton import Skeleton

#: In the order in which faster-coco-eval returns them.
METRICS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")

#: Metric -> range of the images' crowd index. The paper ("CrowdPose: Efficient Crowded Scenes Pose
#: Estimation and A New Benchmark", Li et al., CVPR 2019) cuts at 0.1, its evaluation code at 0.2;
#: published numbers come from the code.
_CROWD_RANGES = {"AP_easy": (0.0, 0.2), "AP_medium": (0.2, 0.8), "AP_hard": (0.8, np.inf)}


def coco_scores(dataset: PeopleDataset, predictions: NDArray[np.float32]) -> Scores:
    """OKS AP and AR of COCO's or CrowdPose's protocol; see `score_predictions`."""
    results = dataset_results(dataset, predictions)
    return Scores(evaluate_keypoints(results, _ground_truth(dataset), dataset.skeleton))


def check_annotations(dataset: PeopleDataset) -> None:
    """Check that the annotation file of a data set, if it has one, serves the evaluation.

    Raises:
        BihrnetError: it does not, or faster-coco-eval is not installed.
    """
    if dataset.annotations is not None:
        evaluate_keypoints([], _ground_truth(dataset), dataset.skeleton)


def dataset_results(
    dataset: PeopleDataset, predictions: NDArray[np.float32]
) -> list[dict[str, Any]]:
    """Predictions in the COCO results format, scored and without duplicates (`coco_results`).

    A person's area there is that of the crop before it grew to the input's aspect ratio.

    Args:
        dataset: the people that were predicted.
        predictions: (N, K, 3) x, y in image pixels and score, in the order of `dataset.people`.
    """
    people = [(one.image_id, one.score, one.size[0] * one.size[1]) for one in dataset.people]
    image_ids, box_scores, areas = zip(*people, strict=True)
    return coco_results(
        image_ids, predictions, box_scores, areas, dataset.skeleton, dataset.category_id
    )


def coco_results(
    image_ids: Sequence[int],
    keypoints: ArrayLike,
    box_scores: Sequence[float],
    areas: Sequence[float],
    skeleton: Skeleton,
    category_id: int = 1,
) -> list[dict[str, Any]]:
    """Score top-down predictions and drop duplicates, as HRNet's code does before evaluation.

    A pose's score is `pose_score`; among the poses of an image, those that resemble a better one
    with an OKS above 0.9 are dropped.

    Args:
        image_ids: N images that the poses lie in.
        keypoints: (N, K, 3) x, y in image pixels and score.
        box_scores: N scores of the boxes; 1 for ground truth.
        areas: N areas of the crops in square pixels.
        skeleton: whose sigmas the OKS takes.
        category_id: of people in the annotations.

    Returns:
        poses in the COCO results format; images in order of appearance, best pose first.
    """
    poses = np.asarray(keypoints, dtype=np.float32)
    scores = [pose_score(box, pose[:, 2]) for box, pose in zip(box_scores, poses, strict=True)]
    members: dict[int, list[int]] = {}
    for index, image_id in enumerate(image_ids):
        members.setdefault(image_id, []).append(index)
    results = []
    for image_id, indices in members.items():
        kept = oks_nms(
            poses[indices, :, :2],
            [scores[index] for index in indices],
            [areas[index] for index in indices],
            skeleton.sigmas,
        )
        results += [
            {
                "image_id": int(image_id),
                "category_id": category_id,
                "keypoints": poses[indices[position]].astype(float).ravel().tolist(),
                "score": scores[indices[position]],
            }
            for position in kept
        ]
    return results


def evaluate_keypoints(
    results: Sequence[Result], truth: GroundTruth, skeleton: Skeleton
) -> dict[str, float]:
    """Average precision and recall over OKS 0.50:0.05:0.95, at most 20 poses an image.

    Args:
        results: poses in the COCO results format, in images of the truth; their scores are taken
            as they are.
        truth: every image in it counts, with poses or without.
        skeleton: of the poses; the OKS takes its sigmas.

    Returns:
        `METRICS`, in 0..1, and where the images have a crowd index also AP_easy, AP_medium and
        AP_hard. Without any pose they are 0; one that has no ground truth, as APM without a person
        of medium size, is absent.

    Raises:
        BihrnetError: faster-coco-eval is not installed.
    """
    metrics = _average_precision(results, truth, truth.images, skeleton)
    for name, (low, high) in _CROWD_RANGES.items():
        images = [
            image_id
            for image_id, index in truth.images.items()
            if index is not None and low <= index < high
        ]
        part = _average_precision(results, truth, images, skeleton) if images else {}
        if "AP" in part:
            metrics[name] = part["AP"]
    return metrics


def _ground_truth(dataset: PeopleDataset) -> GroundTruth:
    if dataset.annotations is None:
        raise BihrnetError(f"data set {dataset.name!r} has no annotation file, which AP needs")
    protocol: EvaluationProtocol = "crowdpose" if dataset.protocol == "crowdpose" else "coco"
    return read_ground_truth(dataset.annotations, len(dataset.skeleton), protocol)


def _average_precision(
    results: Iterable[Result], truth: GroundTruth, image_ids: Iterable[int], skeleton: Skeleton
) -> dict[str, float]:
    """`METRICS` over some of the images."""
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ImportError:
        raise BihrnetError("AP needs faster-coco-eval: pip install 'bihrnet[train]'") from None
    chosen = set(image_ids)
    ground_truth = COCO(
        {
            "images": [{"id": image_id} for image_id in sorted(chosen)],
            "categories": [{"id": truth.category_id, "name": "person"}],
            "annotations": [one for one in truth.people if one["image_id"] in chosen],
        }
    )
    # Only what the format requires: a "bbox" would change the poses' areas. New dictionaries,
    # because the evaluation writes into them.
    poses = [
        {
            "image_id": one["image_id"],
            "category_id": truth.category_id,
            "keypoints": list(one["keypoints"]),
            "score": one["score"],
        }
        for one in results
        if one["image_id"] in chosen
    ]
    evaluation = COCOeval_faster(
        ground_truth,
        ground_truth.loadRes(poses),
        iouType="keypoints",
        kpt_oks_sigmas=list(skeleton.sigmas),
    )
    evaluation.run()
    values = zip(METRICS, evaluation.all_stats, strict=True)
    # -1 means that there is no ground truth.
    return {name: float(value) for name, value in values if value >= 0}
