"""Person boxes from a JSON file."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from bihrnet.coco_schema import PERSON, Annotation, AnnotationFile, Detection, Image, Score
from bihrnet.errors import BihrnetError
from bihrnet.estimate.boxes import MAX_BOX_EXTENT, MIN_BOX_SCORE
from bihrnet.files import check_json, read_json
from bihrnet.pose import Frame

_log = logging.getLogger(__name__)

#: Boxes x, y, width, height and perhaps score, by file name or number of the image.
_BoxesByImage = dict[str, list[list[float]]]

_ANY: TypeAdapter[Any] = TypeAdapter(Any)
_DETECTIONS = TypeAdapter(list[Detection])
_ANNOTATIONS = TypeAdapter(AnnotationFile[Image])
_FILES = TypeAdapter(dict[str, list[Annotated[list[Score], Field(min_length=4, max_length=5)]]])


class BoxesFile:
    """Person boxes from a JSON file; a `PersonDetector`.

    Three formats are read (docs/predict.md):

    - COCO detections, also those of HRNet's person detector: a list of ``{"image_id", "bbox",
      "score", "category_id"}``, where ``image_id`` is a number or a file name;
    - COCO annotations: an object with ``images`` and ``annotations``;
    - ``{"photo.jpg": [[x, y, width, height], [x, y, width, height, score], ...], ...}``.

    An image is looked up by its path as it was named, by its file name, or by the number at the end
    of its name (``000000000785.jpg`` is image 785). A video's boxes are used for all its frames,
    unless frame N has its own under ``"video.mp4#N"``. This module's logger warns about an image or
    video without an entry, and about a box that lies wholly outside its image and is left out.

    Args:
        path: the file.
        min_score: boxes that score less are left out; boxes without a score score 1.

    Raises:
        BihrnetError: the file is missing, not JSON or of an unknown form, or a box in it is
            empty, not finite or absurdly large; the sentence names the entry.
    """

    def __init__(self, path: str | Path, min_score: float = MIN_BOX_SCORE) -> None:
        self._path = path
        self._warned: set[str] = set()
        self._boxes: dict[str, list[list[float]]] = {}
        for image, boxes in _read_boxes(path).items():
            for number, box in enumerate(boxes):
                if min(box[2:4]) <= 0:
                    raise BihrnetError(f"{path}: {image}, box {number}: {box} is empty")
                if max(map(abs, box[:4])) > MAX_BOX_EXTENT:
                    raise BihrnetError(
                        f"{path}: {image}, box {number}: {box} is too large to be in pixels"
                    )
            scored = [[*box, 1.0][:5] for box in boxes]
            self._boxes[image] = [box for box in scored if box[4] >= min_score]
        for image, boxes in list(self._boxes.items()):  # "./photo.jpg" is "photo.jpg"
            self._boxes.setdefault(str(Path(image)), boxes)

    def __call__(self, frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes (N, 4) and scores (N,) for the frame; none where the file has none."""
        keys = [frame.file, Path(frame.file).name]
        if frame.number is not None:
            keys = [f"{key}#{frame.number}" for key in keys] + keys
        if number := re.search(r"(\d+)$", Path(frame.file).stem):
            keys.append(str(int(number[1])))
        known = next((key for key in keys if key in self._boxes), None)
        if known is None:
            self._warn(f"has no entry for {frame.file}")
            return np.empty((0, 4)), np.empty(0)
        values = np.array(self._boxes[known], dtype=np.float64).reshape(-1, 5)
        height, width = frame.image.shape[:2]
        start, end = values[:, :2], values[:, :2] + values[:, 2:4]
        inside = ((end > 0) & (start < (width, height))).all(axis=1)
        if not inside.all():
            outside = values[~inside][0, :4].tolist()
            self._warn(f"{known}: box {outside} lies outside the {width}x{height} pixels")
        return values[inside, :4], values[inside, 4]

    def _warn(self, sentence: str) -> None:
        """Warn once, however many frames it concerns."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            _log.warning("%s: %s", self._path, sentence)


def _read_boxes(path: str | Path) -> _BoxesByImage:
    content = read_json(path, _ANY)
    if isinstance(content, list):
        detections = check_json(path, content, _DETECTIONS)
        return _group(detections)
    if isinstance(content, dict) and "annotations" in content:
        file = check_json(path, content, _ANNOTATIONS)
        people = [annotation for annotation in file.annotations if not annotation.iscrowd]
        return _by_every_name(_group(people), file.images)
    return check_json(path, content, _FILES)


def _by_every_name(boxes: _BoxesByImage, images: list[Image]) -> _BoxesByImage:
    """Boxes by number, by file name as written in the file, and by that without its folder.

    A name takes precedence over another image's number; the name alone refers to the first of
    several images in different folders.
    """
    named: _BoxesByImage = {}
    for image in images:
        if image.file_name is None:
            continue
        people = boxes.get(str(image.id), [])
        named[image.file_name] = people
        named.setdefault(Path(image.file_name).name, people)
    return boxes | named


def _group(entries: Sequence[Detection | Annotation]) -> _BoxesByImage:
    """People's boxes by image."""
    boxes: _BoxesByImage = {}
    for entry in entries:
        if entry.category_id == PERSON:
            score = entry.score if isinstance(entry, Detection) else 1.0
            boxes.setdefault(str(entry.image_id), []).append([*entry.bbox, score])
    return boxes
