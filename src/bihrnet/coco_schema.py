"""The COCO JSON formats: annotations, detections and keypoint results.

Every reader of such files validates them with these models (`files.read_json`). A field that only
some readers need is optional here; a reader that cannot do without it reports the entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, Field

from bihrnet.errors import BihrnetError

#: A coordinate or length in pixels. The limits exclude NaN, infinities and nonsense.
Pixels = Annotated[float, Field(strict=True, ge=-1e6, le=1e6)]
#: x, y, width, height.
Box = tuple[Pixels, Pixels, Pixels, Pixels]
#: An id as COCO counts them.
Id = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
FileName = Annotated[str, Field(min_length=1, max_length=1000)]
Side = Annotated[int, Field(strict=True, ge=1, le=10**6)]
Score = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Confidence = Annotated[float, Field(ge=0, le=1)]

#: COCO's category id of people.
PERSON = 1


class Image(BaseModel):
    """An entry of `images`. `crowd_index` is CrowdPose's measure of crowding, 0..1."""

    id: Id
    file_name: FileName | None = None
    crowd_index: Annotated[float | None, Field(alias="crowdIndex", ge=0, le=1)] = None


class SizedImage(Image):
    """An image of a data set, whose file and size in pixels must be known."""

    file_name: FileName
    width: Side
    height: Side


class Category(BaseModel):
    """An entry of `categories`; `keypoints` are the names of its joints, if it has any."""

    id: Id
    name: str = ""
    keypoints: list[str] = []


class Annotation(BaseModel):
    """One object, or a crowd of them.

    `keypoints` are x1, y1, v1, x2, ..., empty for categories without; v is 0 where a joint is
    unlabeled. `keypoint_scores` is an extension: the confidence of labels that a model made.
    """

    id: Id | None = None
    image_id: Id
    category_id: Id = PERSON
    bbox: Box
    keypoints: list[Pixels] = []
    keypoint_scores: list[Confidence] | None = None
    num_keypoints: int | None = None
    area: Annotated[float, Field(strict=True, ge=0, le=1e12)] | None = None
    iscrowd: bool = False


ImageT = TypeVar("ImageT", bound=Image)


class AnnotationFile(BaseModel, Generic[ImageT]):
    """An annotation file; `ImageT` tells what its images must state."""

    images: list[ImageT]
    annotations: list[Annotation]
    categories: list[Category] = []


class Detection(BaseModel):
    """A box of a detector, one entry of a results file; for `predict` it may name its image."""

    image_id: Id | FileName
    category_id: Id = PERSON
    bbox: Box
    score: Score = 1.0


class KeypointResult(BaseModel):
    """One pose of a results file: x1, y1, score1, x2, ... and the score of the pose."""

    image_id: Id
    category_id: Id | None = None
    keypoints: list[Pixels]
    score: Score


def keypoint_category(path: Path, categories: Sequence[Category]) -> Category | None:
    """The one category that lists keypoints; None where none does.

    Raises:
        BihrnetError: several do.
    """
    found = [category for category in categories if category.keypoints]
    if len(found) > 1:
        raise BihrnetError(
            f"{path}: exactly one category must list keypoints, not {len(found)} "
            f"of {len(categories)}"
        )
    return found[0] if found else None
