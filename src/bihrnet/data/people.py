"""What every data set becomes: a sequence of people, each with an image, a box and joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bihrnet.crop import BOX_PADDING, Crop, grow_to_aspect
from bihrnet.errors import BihrnetError
from bihrnet.images import read_image
from bihrnet.skeleton import Skeleton

FloatArray: TypeAlias = NDArray[np.float32]

#: How predictions are scored, a key of `evaluation.protocols.PROTOCOLS`: "coco" and "crowdpose",
#: OKS AP against the annotation file; "mpii", PCKh as in HRNet's code; "pck", PCKh@0.5 and PCK@0.2
#: as far as the skeleton has their reference joints.
MetricProtocol: TypeAlias = str

#: `PeopleDataset.boxes` where the boxes come from the annotations themselves.
GROUND_TRUTH: Literal["ground truth"] = "ground truth"


@dataclass(frozen=True, eq=False)
class Person:
    """One person in one image. Points and lengths are pixels of that image, 0-based.

    Attributes:
        image: file, or the (H, W, 3) uint8 RGB pixels themselves.
        image_id: of the image in the annotations; the same for all its people.
        instance_id: of the annotation, or the position in a file of detections.
        center: (x, y), middle of the crop.
        size: (width, height) of the crop, padding included, before it grows to the aspect ratio of
            a network's input.
        keypoints: (K, 2) x, y; (0, 0) where unlabeled.
        visible: (K,) 1 where the joint is labeled (occluded ones too), else 0. All 0 for a person
            that is known from a detector only.
        box: (4,) x, y, width, height without padding, or None where a data set gives none.
        head_size: MPII's reference length of PCKh, 0.6 times the diagonal of the head box; None
            where unknown.
        score: of the detector; 1 for ground truth.
        image_size: (height, width) where the annotations state it; points are of such an image.
        weights: (K,) 0..1, how much each label counts in training: the confidence of labels that a
            model made. None is the same as all ones.
    """

    image: Path | NDArray[np.uint8]
    image_id: int
    instance_id: int
    center: tuple[float, float]
    size: tuple[float, float]
    keypoints: FloatArray
    visible: FloatArray
    box: FloatArray | None = None
    head_size: float | None = None
    score: float = 1.0
    image_size: tuple[int, int] | None = None
    weights: FloatArray | None = None

    def __post_init__(self) -> None:
        joints = len(self.visible)
        if self.visible.shape != (joints,) or self.keypoints.shape != (joints, 2):
            raise BihrnetError(
                f"person {self.instance_id}: keypoints {self.keypoints.shape} and visibility "
                f"{self.visible.shape} are not (K, 2) and (K,)"
            )
        if self.weights is not None and self.weights.shape != (joints,):
            raise BihrnetError(
                f"person {self.instance_id}: weights {self.weights.shape} are not ({joints},)"
            )

    @classmethod
    def from_box(
        cls,
        box: ArrayLike,
        *,
        image: Path | NDArray[np.uint8],
        image_id: int,
        instance_id: int,
        keypoints: FloatArray,
        visible: FloatArray,
        score: float = 1.0,
        image_size: tuple[int, int] | None = None,
        weights: FloatArray | None = None,
    ) -> Person:
        """A person whose crop is a box (x, y, width, height) with HRNet's padding of 1.25."""
        x, y, width, height = (float(value) for value in np.asarray(box, dtype=np.float64))
        return cls(
            image=image,
            image_id=image_id,
            instance_id=instance_id,
            center=(x + width / 2, y + height / 2),
            size=(width * BOX_PADDING, height * BOX_PADDING),
            keypoints=keypoints,
            visible=visible,
            box=np.array([x, y, width, height], dtype=np.float32),
            score=score,
            image_size=image_size,
            weights=weights,
        )

    def read_image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB.

        Published data sets label pixels as they are stored, labeling tools in a browser as EXIF
        rotates them; the annotated size decides which of the two is returned.

        Raises:
            BihrnetError: the file is missing or broken, or not of the annotated size.
        """
        if not isinstance(self.image, Path):
            return self.image
        image, annotated = read_image(self.image, upright=False), self.image_size
        if annotated is None or annotated == image.shape[:2]:
            return image
        upright = read_image(self.image)
        if annotated != upright.shape[:2]:
            height, width = image.shape[:2]
            raise BihrnetError(
                f"{self.image}: has {width}x{height} pixels, but the annotations say "
                f"{annotated[1]}x{annotated[0]}"
            )
        return upright

    def crop(self, output: tuple[int, int]) -> Crop:
        """The crop of this person for a network input of (height, width)."""
        return Crop(self.center, grow_to_aspect(self.size, output), output)


@dataclass(frozen=True, eq=False)
class PeopleDataset:
    """The people of one split of a data set.

    Attributes:
        name: of the data set (see `registry`), or several joined by "+".
        split: as its layout names it, or the stem of an annotation file that was given directly.
        skeleton: order of everybody's joints.
        people: in the order of the annotations; may draw or read lazily.
        annotations: COCO-format file that AP is computed against, or None.
        category_id: of people in that file.
        boxes: `GROUND_TRUTH`, or the name of the file of detections the people come from.
        protocol: how predictions are scored.
    """

    name: str
    split: str
    skeleton: Skeleton
    people: Sequence[Person]
    annotations: Path | None = None
    category_id: int = 1
    boxes: str = GROUND_TRUTH
    protocol: MetricProtocol = "pck"

    def __len__(self) -> int:
        return len(self.people)
