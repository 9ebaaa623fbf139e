"""Evaluating a model on a data set, or poses made elsewhere on an annotation file.

Any `HeatmapModel` can be evaluated, so a checkpoint run by PyTorch and an exported file go through
the same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.data.people import PeopleDataset
from bihrnet.errors import BihrnetError
from bihrnet.evaluation.coco import check_annotations, evaluate_keypoints
from bihrnet.evaluation.coco_files import EvaluationProtocol, read_ground_truth, read_results
from bihrnet.evaluation.predict import Progress, predict_dataset
from bihrnet.evaluation.protocols import score_predictions
from bihrnet.evaluation.scores import Scores
from bihrnet.heatmap import Decoding
from bihrnet.model import HeatmapModel
from bihrnet.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `bihrnet evaluate` reports for a model.

    Attributes:
        model: name of the model.
        dataset: name of the data set.
        split: of the data set.
        boxes: "ground truth", or the name of the file of detections.
        flip_test: whether heatmaps were averaged with those of the mirrored crop.
        decoding: how peaks were refined.
        predictions: (N, K, 3) float32 x, y in image pixels and score, one per person.
        scores: the metrics.
    """

    model: str
    dataset: str
    split: str
    boxes: str
    flip_test: bool
    decoding: Decoding
    predictions: NDArray[np.float32]
    scores: Scores

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `bihrnet evaluate MODEL`."""
        return {
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "instances": len(self.predictions),
            "boxes": self.boxes,
            "flip_test": self.flip_test,
            "decoding": self.decoding,
            "metrics": self.scores.metrics,
            "by_joint": self.scores.by_joint,
            "by_group": self.scores.by_group,
            "left_out": self.scores.left_out,
        }


@dataclass(frozen=True)
class ResultsEvaluation:
    """What `bihrnet evaluate` reports for a file of poses, whose boxes and flip test are unknown.

    Attributes:
        results: name of the file.
        dataset: name of the data set.
        split: stem of the annotation file.
        instances: number of poses.
        metrics: by name, 0..1.
    """

    results: str
    dataset: str
    split: str
    instances: int
    metrics: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `bihrnet evaluate --results`."""
        return {
            "model": self.results,
            "dataset": self.dataset,
            "split": self.split,
            "instances": self.instances,
            "boxes": None,
            "flip_test": None,
            "metrics": self.metrics,
        }


def evaluate(
    model: HeatmapModel,
    dataset: PeopleDataset,
    *,
    flip_test: bool | None = None,
    decoding: Decoding | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Evaluation:
    """Predict every person of a data set and score the predictions.

    Args:
        model: estimates the joints of the data set.
        dataset: people with their boxes and, for the metrics, their labels.
        flip_test: average with the mirrored crop; None for the model's default.
        decoding: None for the model's default.
        batch_size: crops that go through the network at once.
        progress: called after every batch.

    Raises:
        BihrnetError: model and data set differ in their joints, the annotations lack what their
            metrics need, an image cannot be read, or the model's heatmaps are not finite.
    """
    spec = model.spec
    if spec.skeleton.keypoints != dataset.skeleton.keypoints:
        raise BihrnetError(
            f"{spec.name} estimates skeleton {spec.skeleton.name!r}, but data set {dataset.name!r} "
            f"has {dataset.skeleton.name!r}: their keypoints differ"
        )
    check_annotations(dataset)  # before the work, not after it
    flip_test = spec.flip_test if flip_test is None else flip_test
    decoding = decoding or spec.decoding
    predictions = predict_dataset(
        model,
        dataset.people,
        flip_test=flip_test,
        decoding=decoding,
        batch_size=batch_size,
        progress=progress,
    )
    return Evaluation(
        model=spec.name,
        dataset=dataset.name,
        split=dataset.split,
        boxes=dataset.boxes,
        flip_test=flip_test,
        decoding=decoding,
        predictions=predictions,
        scores=score_predictions(dataset, predictions),
    )


def evaluate_results(
    results: Path,
    annotations: Path,
    dataset: str,
    skeleton: Skeleton,
    protocol: EvaluationProtocol,
) -> ResultsEvaluation:
    """Score poses in the COCO results format, for instance of another program.

    Args:
        results: file of the poses.
        annotations: file of the ground truth in COCO's format.
        dataset: name for the report.
        skeleton: of the poses and of the annotations.
        protocol: "coco" or "crowdpose", see `read_ground_truth`.

    Raises:
        BihrnetError: a file cannot be read, or an entry does not fit; the sentence names both.
    """
    truth = read_ground_truth(annotations, len(skeleton), protocol)
    poses = read_results(results, len(skeleton), truth)
    metrics = evaluate_keypoints(poses, truth, skeleton)
    return ResultsEvaluation(results.name, dataset, annotations.stem, len(poses), metrics)
