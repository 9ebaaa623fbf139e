"""Data sets in their official layouts, `synthetic`, and the top-down samples made of them."""

from __future__ import annotations

from pathlib import Path

from bihrnet.data import coco, crowdpose, lsp, mpii, synthetic  # noqa: F401  (each registers)
from bihrnet.data.people import GROUND_TRUTH, PeopleDataset, Person
from bihrnet.data.person_boxes import ImageBoxes, load_person_boxes
from bihrnet.data.registry import DatasetEntry, datasets, find_dataset
from bihrnet.skeleton import Skeleton

__all__ = [
    "GROUND_TRUTH",
    "DatasetEntry",
    "ImageBoxes",
    "PeopleDataset",
    "Person",
    "datasets",
    "find_dataset",
    "load_dataset",
    "load_person_boxes",
]


def load_dataset(
    name: str,
    root: str | Path | None = None,
    split: str | None = None,
    boxes: str | Path | None = None,
    skeleton: Skeleton | None = None,
) -> PeopleDataset:
    """Load one split of a data set; docs/data.md shows the layouts.

    Args:
        name: a key of `datasets()`.
        root: folder of the data set, or for COCO, MPII and CrowdPose an annotation file. Not used
            by "synthetic".
        split: None for the one that models are evaluated on.
        boxes: for COCO and CrowdPose, a JSON of detections to use instead of ground-truth boxes.
        skeleton: for "coco", that of own data in COCO's format; for "synthetic", any.

    Raises:
        BihrnetError: unknown name or split, missing or malformed files; one sentence names the
            cause.
    """
    return find_dataset(name).load(root, split, boxes, skeleton)
