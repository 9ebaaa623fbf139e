"""Boxes of a person detector: JSON in the format of COCO detection results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter

from bihrnet.coco_schema import Detection
from bihrnet.errors import BihrnetError
from bihrnet.files import read_json

_DETECTIONS: TypeAdapter[list[Detection]] = TypeAdapter(list[Detection])


def read_detections(
    path: Path, images: Mapping[int, tuple[int, int]], category_id: int
) -> list[tuple[int, int, Detection]]:
    """Read the boxes of one category in the given images.

    Every box counts, however low its score (HRNet's IMAGE_THRE is 0), and none is clipped: a box
    may extend beyond its image. Boxes of other images and categories are left out.

    Args:
        path: the JSON file.
        images: (height, width) of every image by its id.
        category_id: of the people.

    Returns:
        (position in the file, image id, detection) in the order of the file.

    Raises:
        BihrnetError: unreadable, malformed, a box that is empty or wholly outside its image, or no
            box at all for these images; the sentence names file and entry.
    """
    kept = []
    detections = read_json(path, _DETECTIONS)
    for index, detection in enumerate(detections):
        image_id = detection.image_id
        if isinstance(image_id, str):
            raise BihrnetError(f"{path}: [{index}].image_id: {image_id!r} is not an integer")
        if detection.category_id != category_id or image_id not in images:
            continue
        x, y, width, height = detection.bbox
        image_height, image_width = images[image_id]
        problem = None
        if width <= 0 or height <= 0:
            problem = "is empty"
        elif x >= image_width or y >= image_height or x + width <= 0 or y + height <= 0:
            problem = f"lies outside image {image_id} ({image_width}x{image_height})"
        if problem:
            box = ", ".join(f"{value:g}" for value in detection.bbox)
            raise BihrnetError(f"{path}: [{index}]: box [{box}] {problem}")
        kept.append((index, image_id, detection))
    if not kept:
        raise BihrnetError(f"{path}: has no box of category {category_id} in the annotated images")
    return kept
