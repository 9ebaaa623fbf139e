"""Person boxes by image, to train and evaluate a person detector on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from bihrnet.coco_schema import PERSON, AnnotationFile, SizedImage, keypoint_category
from bihrnet.data.annotation_files import find_images
from bihrnet.data.coco import find_annotations
from bihrnet.data.coco_format import image_folders
from bihrnet.data.people import FloatArray
from bihrnet.errors import BihrnetError
from bihrnet.files import read_json

_CONTENT = TypeAdapter(AnnotationFile[SizedImage])


@dataclass(frozen=True, eq=False)
class ImageBoxes:
    """The people of one image.

    Attributes:
        image: file.
        image_id: of the image in the annotations.
        image_size: (height, width) in pixels.
        boxes: (N, 4) float32 x, y, width, height in pixels as annotated; N is 0 where the image
            shows nobody.
        crowd: (N,) True where a box holds a crowd that was annotated as one.
    """

    image: Path
    image_id: int
    image_size: tuple[int, int]
    boxes: FloatArray
    crowd: NDArray[np.bool_]


def load_person_boxes(root: str | Path, split: str = "val") -> list[ImageBoxes]:
    """Boxes of all people in a COCO root, those without keypoints too, for every image.

    Empty boxes are left out. Images without people are kept: a detector learns from them.

    Args:
        root: as for the `coco` data set: a folder or an annotation file.
        split: "train" or "val".

    Raises:
        BihrnetError: something is missing or malformed.
    """
    path = find_annotations(Path(root), split)
    content = read_json(path, _CONTENT)
    category = keypoint_category(path, content.categories)
    person = PERSON if category is None else category.id
    found: dict[int, list[tuple[tuple[float, ...], bool]]] = {
        image.id: [] for image in content.images
    }
    for number, annotation in enumerate(content.annotations):
        if annotation.image_id not in found:
            raise BihrnetError(
                f"{path}: annotations[{number}]: refers to image {annotation.image_id}, which the "
                "file does not list"
            )
        if annotation.category_id == person and min(annotation.bbox[2:]) > 0:
            found[annotation.image_id].append((annotation.bbox, annotation.iscrowd))
    if not content.images:
        raise BihrnetError(f"{path}: lists no images")
    folder = find_images(image_folders(path), [one.file_name for one in content.images], path)
    return [
        ImageBoxes(
            image=folder / image.file_name,
            image_id=image.id,
            image_size=(image.height, image.width),
            boxes=np.array([box for box, _ in found[image.id]], np.float32).reshape(-1, 4),
            crowd=np.array([crowd for _, crowd in found[image.id]], np.bool_),
        )
        for image in content.images
    ]
