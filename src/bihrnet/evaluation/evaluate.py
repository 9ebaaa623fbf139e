"""A model over a data set: predictions and their metrics.

Works with any `HeatmapModel`, so a checkpoint run by torch and an exported file are judged alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import Crop
from bihrnet.data.people import PeopleDataset, Person
from bihrnet.errors import BihrnetError
from bihrnet.evaluation.coco import coco_results, evaluate_keypoints
from bihrnet.evaluation.coco_files import EvaluationProtocol, GroundTruth, read_ground_truth
from bihrnet.evaluation.mpii import group_shares, head_sizes_from_joints, mpii_pckh
from bihrnet.evaluation.pck import PckResult, segment_pck
from bihrnet.heatmap import Decoding, decode_in_images, flip_merge
from bihrnet.model import HeatmapModel
from bihrnet.skeleton import MPII, Skeleton

#: Called with the number of people done and of all.
Progress = Callable[[int, int], None]

_READERS = 2  # threads that read and warp the next batch while the model runs


@dataclass(frozen=True)
class Scores:
    """Metrics of predictions; percent for PCK and PCKh, 0..1 for AP and AR.

    Attributes:
        metrics: by name; one that cannot be computed is absent.
        by_joint: of PCK and PCKh, metric -> joint -> value.
        by_group: of MPII, metric -> HRNet's group (Head, Shoulder, ..., Mean) -> value.
        left_out: of PCK and PCKh, metric -> people without the reference length.
    """

    metrics: dict[str, float]
    by_joint: dict[str, dict[str, float]] = field(default_factory=dict)
    by_group: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `bihrnet evaluate` reports.

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
        """As in the JSON of `bihrnet evaluate`."""
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
        flip_test: average with the mirrored crop; None takes the model's default.
        decoding: "quarter" or "dark"; None takes the model's default.
        batch_size: crops a call of the model.
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
    if dataset.annotations is not None:  # what cannot be judged is told before the work
        evaluate_keypoints([], _ground_truth(dataset, dataset.annotations), dataset.skeleton)
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


def predict_dataset(
    model: HeatmapModel,
    people: Sequence[Person],
    *,
    flip_test: bool = True,
    decoding: Decoding = "quarter",
    batch_size: int = 32,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Estimate the joints of every person from its own box.

    Args:
        model: crops in, heatmaps out.
        people: all of a data set, or the part that one process of several takes.
        flip_test: average with the mirrored crop.
        decoding: "quarter" or "dark".
        batch_size: crops a call of the model; with flip test there are two calls a batch.
        progress: called after every batch.

    Returns:
        (N, K, 3) float32: x, y in pixels of each person's image, and the height of the peak.

    Raises:
        BihrnetError: an image cannot be read (the sentence names it), or the model's heatmaps are
            not finite.
    """
    spec = model.spec
    predictions = np.empty((len(people), len(spec.skeleton), 3), dtype=np.float32)
    done = 0
    for crops, pixels in _batches(people, spec.input_size, batch_size):
        heatmaps = model(pixels)
        if flip_test:
            mirrored = model(np.ascontiguousarray(pixels[:, :, ::-1]))
            heatmaps = flip_merge(heatmaps, mirrored, spec.skeleton.flip_permutation)
        found = decode_in_images(heatmaps, crops, decoding, spec.stride, spec.sigma)
        if not np.isfinite(found).all():
            raise BihrnetError(f"{spec.name} gives heatmaps that are not finite")
        predictions[done : done + len(found)] = found
        done += len(found)
        if progress is not None:
            progress(done, len(people))
    return predictions


def score_predictions(dataset: PeopleDataset, predictions: NDArray[np.float32]) -> Scores:
    """The metrics of a data set's own protocol.

    AP against the annotation file where there is one (COCO, CrowdPose); PCKh of HRNet's code for
    MPII; else PCKh@0.5 and PCK@0.2 as far as the skeleton has their reference joints.

    Args:
        dataset: what was predicted.
        predictions: (N, K, 3) x, y in image pixels and score, in the order of `dataset.people`.
    """
    if dataset.annotations is not None:
        truth = _ground_truth(dataset, dataset.annotations)
        results = dataset_results(dataset, predictions)
        return Scores(evaluate_keypoints(results, truth, dataset.skeleton))
    # One pass: people may be drawn or read anew whenever they are looked at.
    labels = [(one.keypoints, one.visible, one.head_size or np.nan) for one in dataset.people]
    keypoints, visible, head_sizes = (np.stack(column) for column in zip(*labels, strict=True))
    points = predictions[:, :, :2]
    if dataset.protocol == "mpii":
        derived = head_sizes_from_joints(keypoints, visible)
        sizes = np.where(np.isnan(head_sizes), derived, head_sizes)
        return _mpii_scores(mpii_pckh(points, keypoints, visible, sizes))
    return _pck_scores(segment_pck(points, keypoints, visible, dataset.skeleton), dataset.skeleton)


def _ground_truth(dataset: PeopleDataset, annotations: Path) -> GroundTruth:
    protocol: EvaluationProtocol = "crowdpose" if dataset.protocol == "crowdpose" else "coco"
    return read_ground_truth(annotations, len(dataset.skeleton), protocol)


def dataset_results(
    dataset: PeopleDataset, predictions: NDArray[np.float32]
) -> list[dict[str, Any]]:
    """Predictions in the COCO results format, scored and without duplicates (`coco_results`).

    A person's area there is that of the crop before it grew to the input's aspect ratio.
    """
    places = [(one.image_id, one.score, one.size[0] * one.size[1]) for one in dataset.people]
    image_ids, box_scores, areas = zip(*places, strict=True)
    return coco_results(
        image_ids, predictions, box_scores, areas, dataset.skeleton, dataset.category_id
    )


def _batches(
    people: Sequence[Person], size: tuple[int, int], batch_size: int
) -> Iterator[tuple[list[Crop], NDArray[np.uint8]]]:
    """Crops and their pixels (n, height, width, 3), the next batch being read in the background."""

    def read(index: int) -> tuple[Crop, NDArray[np.uint8]]:
        person = people[index]
        crop = person.crop(size)
        return crop, crop.warp(person.read_image())

    def begin(start: int) -> list[Future[tuple[Crop, NDArray[np.uint8]]]]:
        indices = range(start, min(start + batch_size, len(people)))
        return [readers.submit(read, index) for index in indices]

    readers = ThreadPoolExecutor(_READERS)
    try:
        ahead = begin(0)
        for following in range(batch_size, len(people) + batch_size, batch_size):
            current, ahead = ahead, begin(following)
            crops, pixels = zip(*(future.result() for future in current), strict=True)
            yield list(crops), np.stack(pixels)
    finally:
        readers.shutdown(cancel_futures=True)


def _pck_scores(results: Mapping[str, PckResult], skeleton: Skeleton) -> Scores:
    return Scores(
        metrics=_finite({metric: result.total() for metric, result in results.items()}),
        by_joint={
            metric: _finite(dict(zip(skeleton.keypoints, result.by_joint.tolist(), strict=True)))
            for metric, result in results.items()
        },
        left_out={metric: result.left_out for metric, result in results.items()},
    )


def _mpii_scores(results: Mapping[str, PckResult]) -> Scores:
    groups = {metric: _finite(group_shares(result)) for metric, result in results.items()}
    means = {metric: shares["Mean"] for metric, shares in groups.items() if "Mean" in shares}
    return replace(_pck_scores(results, MPII), metrics=means, by_group=groups)


def _finite(values: dict[str, float]) -> dict[str, float]:
    """Without the metrics that could not be computed (NaN)."""
    return {name: value for name, value in values.items() if np.isfinite(value)}
