"""The two files of a COCO keypoint evaluation: ground truth, and results to score against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from bihrnet.coco_schema import (
    PERSON,
    AnnotationFile,
    Image,
    KeypointResult,
    keypoint_category,
)
from bihrnet.errors import BihrnetError
from bihrnet.files import read_json

_CONTENT = TypeAdapter(AnnotationFile[Image])
_RESULTS = TypeAdapter(list[KeypointResult])

#: One pose in the COCO results format.
Result = Mapping[str, Any]

EvaluationProtocol = Literal["coco", "crowdpose"]

#: CrowdPose annotates no segments; its evaluation takes this share of the box as a person's area.
CROWDPOSE_BOX_AREA = 0.53


@dataclass(frozen=True)
class GroundTruth:
    """What poses are scored against.

    Attributes:
        images: crowd index of every image by its id; None outside CrowdPose.
        people: annotations as COCO dictionaries, with an area each.
        category_id: of people in the file; other categories do not count.
    """

    images: dict[int, float | None]
    people: list[dict[str, Any]]
    category_id: int


def read_ground_truth(path: Path, joints: int, protocol: EvaluationProtocol) -> GroundTruth:
    """Read the people of a COCO keypoint annotation file.

    Args:
        path: the file.
        joints: keypoints that every person has.
        protocol: "coco" takes the area of the segment, "crowdpose" 0.53 times that of the box;
            only the latter knows crowd indices.

    Raises:
        BihrnetError: unreadable, against the format, several categories with keypoints, or a
            person with another number of them or without an area; the sentence names file and
            entry.
    """
    content = read_json(path, _CONTENT)
    category = keypoint_category(path, content.categories)
    category_id = PERSON if category is None else category.id
    crowd = protocol == "crowdpose"
    images = {image.id: image.crowd_index if crowd else None for image in content.images}
    people: list[dict[str, Any]] = []
    for number, annotation in enumerate(content.annotations):
        if not annotation.keypoints or annotation.category_id != category_id:
            continue
        box_area = annotation.bbox[2] * annotation.bbox[3]
        area = CROWDPOSE_BOX_AREA * box_area if crowd else annotation.area
        problem = None
        if len(annotation.keypoints) != 3 * joints:
            problem = f"has {len(annotation.keypoints)} keypoint values, not 3 x {joints}"
        elif annotation.image_id not in images:
            problem = f"refers to image {annotation.image_id}, which the file does not list"
        elif area is None:
            problem = "has no area, and OKS depends on it"
        if problem:
            raise BihrnetError(f"{path}: annotations[{number}] {problem}")
        labeled = sum(flag > 0 for flag in annotation.keypoints[2::3])
        people.append(
            {
                # Not the file's own ids: the matching takes an id of 0 for "unmatched".
                "id": len(people) + 1,
                "image_id": annotation.image_id,
                "category_id": category_id,
                "bbox": list(annotation.bbox),
                "area": area,
                "iscrowd": int(annotation.iscrowd),
                "keypoints": annotation.keypoints,
                "num_keypoints": (
                    labeled if annotation.num_keypoints is None else annotation.num_keypoints
                ),
            }
        )
    return GroundTruth(images, people, category_id)


def read_results(path: Path, joints: int, truth: GroundTruth) -> list[dict[str, Any]]:
    """Read poses in the COCO results format: a list of image_id, keypoints and score.

    Results of another category than the truth's are left out, as pycocotools does.

    Args:
        path: the file.
        joints: keypoints that every pose has.
        truth: whose images the poses refer to.

    Raises:
        BihrnetError: unreadable, not JSON, NaN, another number of keypoints or an unknown image;
            the sentence names file and entry.
    """
    results, poses = read_json(path, _RESULTS), []
    for number, result in enumerate(results):
        if result.category_id not in (None, truth.category_id):
            continue
        problem = None
        if len(result.keypoints) != 3 * joints:
            problem = f"has {len(result.keypoints)} keypoint values, not 3 x {joints}"
        elif result.image_id not in truth.images:
            problem = f"refers to image {result.image_id}, which the annotations do not list"
        if problem:
            raise BihrnetError(f"{path}: [{number}] {problem}")
        poses.append({**result.model_dump(), "category_id": truth.category_id})
    return poses
