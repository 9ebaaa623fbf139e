"""The COCO keypoint annotation format, which COCO, CrowdPose and own data sets share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from bihrnet.coco_schema import Annotation, AnnotationFile, SizedImage, keypoint_category
from bihrnet.data.annotation_files import find_images
from bihrnet.data.detections import read_detections
from bihrnet.data.people import GROUND_TRUTH, FloatArray, PeopleDataset, Person
from bihrnet.errors import BihrnetError
from bihrnet.files import read_json
from bihrnet.skeleton import Skeleton

_CONTENT = TypeAdapter(AnnotationFile[SizedImage])


@dataclass(frozen=True)
class CocoFile:
    """A validated annotation file.

    Attributes:
        path: of the file.
        keypoint_names: as the one category with keypoints has them.
        category_id: of that category.
    """

    path: Path
    keypoint_names: tuple[str, ...]
    category_id: int
    _images: dict[int, SizedImage]
    _people: list[tuple[int, Annotation]]

    def dataset(
        self, name: str, split: str, skeleton: Skeleton, boxes: Path | None
    ) -> PeopleDataset:
        """The people of the annotations, or of a file of detections, with their images.

        Ground truth is cleaned as in HRNet's code: no crowds, nobody without area or without a
        labeled joint; boxes are clipped to the image. `keypoint_scores`, where the file has
        them, become the weights of the joints. A detected person has no labeled joint, and boxes
        in images that the annotations do not list are left out.

        Args:
            name: of the data set.
            split: of the data set.
            skeleton: as many joints as the file's.
            boxes: detections in the COCO results format, or None for ground truth.

        Raises:
            BihrnetError: an image is missing, or the boxes are malformed.
        """
        people = self._labeled_people() if boxes is None else self._detected_people(boxes)
        used = GROUND_TRUTH if boxes is None else boxes.name
        return PeopleDataset(
            name,
            split,
            skeleton,
            people,
            annotations=self.path,
            category_id=self.category_id,
            boxes=used,
        )

    def _labeled_people(self) -> list[Person]:
        boxed = [(key, one, self._clean_box(one)) for key, one in self._people]
        kept = [(key, one, box) for key, one, box in boxed if box is not None]
        if not kept:
            raise BihrnetError(f"{self.path}: holds no person with a box and a labeled joint")
        folder = self._find_images([one.image_id for _, one, _ in kept])
        people = []
        for instance_id, annotation, box in kept:
            image = self._images[annotation.image_id]
            keypoints, visible = split_keypoints(annotation.keypoints)
            scores = annotation.keypoint_scores
            people.append(
                Person.from_box(
                    box,
                    image=folder / image.file_name,
                    image_id=image.id,
                    instance_id=instance_id,
                    keypoints=keypoints,
                    visible=visible,
                    image_size=(image.height, image.width),
                    weights=None if scores is None else np.array(scores, dtype=np.float32),
                )
            )
        return people

    def _detected_people(self, boxes: Path) -> list[Person]:
        sizes = {image.id: (image.height, image.width) for image in self._images.values()}
        found = read_detections(boxes, sizes, self.category_id)
        folder = self._find_images([image_id for _, image_id, _ in found])
        joints = len(self.keypoint_names)
        return [
            Person.from_box(
                detection.bbox,
                image=folder / self._images[image_id].file_name,
                image_id=image_id,
                instance_id=index,
                keypoints=np.zeros((joints, 2), dtype=np.float32),
                visible=np.zeros(joints, dtype=np.float32),
                score=detection.score,
                image_size=sizes[image_id],
            )
            for index, image_id, detection in found
        ]

    def _find_images(self, image_ids: list[int]) -> Path:
        names = (self._images[image_id].file_name for image_id in image_ids)
        return find_images(image_folders(self.path), names, self.path)

    def _clean_box(self, annotation: Annotation) -> tuple[float, float, float, float] | None:
        """HRNet's clipping; None for people it leaves out."""
        image = self._images[annotation.image_id]
        x, y, width, height = annotation.bbox
        left, top = max(0.0, x), max(0.0, y)
        right = min(image.width - 1.0, left + max(0.0, width - 1))
        bottom = min(image.height - 1.0, top + max(0.0, height - 1))
        empty = right < left or bottom < top or (right == left and bottom == top)
        if empty or annotation.area == 0 or not any(v > 0 for v in annotation.keypoints[2::3]):
            return None
        return left, top, right - left, bottom - top


def read_coco_file(path: Path, skeleton: Skeleton) -> CocoFile:
    """Read and check an annotation file whose people have as many joints as `skeleton`.

    Raises:
        BihrnetError: unreadable, against the format, ids that repeat or point nowhere, or another
            number of joints; the sentence names file and entry.
    """
    content = read_json(path, _CONTENT)
    category = keypoint_category(path, content.categories)
    if category is None:
        raise BihrnetError(
            f"{path}: exactly one category must list keypoints, not 0 of {len(content.categories)}"
        )
    joints = len(skeleton)
    if len(category.keypoints) != joints:
        raise BihrnetError(
            f"{path}: category {category.name!r} has {len(category.keypoints)} keypoints, but "
            f"skeleton {skeleton.name!r} has {joints}"
        )
    images: dict[int, SizedImage] = {}
    for number, image in enumerate(content.images):
        if image.id in images:
            raise BihrnetError(f"{path}: images[{number}]: id {image.id} appears twice")
        images[image.id] = image
    people: list[tuple[int, Annotation]] = []
    seen = set()
    for number, annotation in enumerate(content.annotations):
        if annotation.id is None:
            raise BihrnetError(f"{path}: annotations[{number}].id: Field required")
        problem, scores = None, annotation.keypoint_scores
        if annotation.id in seen:
            problem = "appears twice"
        elif annotation.image_id not in images:
            problem = f"refers to image {annotation.image_id}, which the file does not list"
        elif annotation.category_id == category.id and not annotation.iscrowd:
            if len(annotation.keypoints) != 3 * joints:
                problem = f"has {len(annotation.keypoints)} keypoint values, not 3 x {joints}"
            elif scores is not None and len(scores) != joints:
                problem = f"has {len(scores)} keypoint scores, not {joints}"
            people.append((annotation.id, annotation))
        if problem:
            raise BihrnetError(f"{path}: annotations[{number}]: id {annotation.id} {problem}")
        seen.add(annotation.id)
    return CocoFile(path, tuple(category.keypoints), category.id, images, people)


def image_folders(annotations: Path) -> list[Path]:
    """Where COCO layouts keep the images of `person_keypoints_val2017.json`, likeliest first.

    `val2017/`, `images/val2017/` or `images/`, beside the file or beside the folder it is in; or
    right beside the file.
    """
    own = annotations.stem.removeprefix("person_keypoints_")
    near, above = annotations.parent, annotations.parent.parent
    return [
        base / folder for base in (above, near) for folder in (own, f"images/{own}", "images")
    ] + [near]


def split_keypoints(values: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """COCO's x1, y1, v1, x2, ... -> keypoints (K, 2), zero where unlabeled, and visible (K,)."""
    table = np.asarray(values, dtype=np.float32).reshape(-1, 3)
    visible = (table[:, 2] > 0).astype(np.float32)
    return table[:, :2] * visible[:, None], visible
