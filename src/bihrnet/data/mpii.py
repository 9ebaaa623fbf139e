"""MPII Human Pose: HRNet's JSON files or the official MATLAB file.

Andriluka et al. 2014, "2D Human Pose Estimation: New Benchmark and State of the Art Analysis".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from bihrnet.coco_schema import FileName, Pixels
from bihrnet.data.annotation_files import find_file, find_images, read_matlab
from bihrnet.data.people import PeopleDataset, Person
from bihrnet.data.registry import register
from bihrnet.errors import BihrnetError
from bihrnet.files import read_json
from bihrnet.skeleton import MPII

MAT_NAME = "mpii_human_pose_v1_u12_1.mat"

#: A person's `scale` is the height in units of 200 pixels.
_SCALE_UNIT = 200
#: HRNet lowers the center by 15 pixels per unit of scale, so that feet stay in, and pads by 1.25.
_LOWERED, _PADDING = 15, 1.25
#: MPII's reference length is 0.6 times the diagonal of the head box (its SC_BIAS).
_HEAD_SHARE = 0.6
#: HRNet's name of each split.
_JSON_NAMES = {"train": "train", "val": "valid", "trainval": "trainval"}

Point = tuple[Pixels, Pixels]
Flag = Annotated[int, Field(ge=0, le=1)]


class _Entry(BaseModel):
    """One person as published: pixels count from 1."""

    image: FileName
    center: Point
    scale: Annotated[float, Field(strict=True, gt=0, le=1e4)]
    joints: Annotated[list[Point], Field(min_length=16, max_length=16)]
    joints_vis: Annotated[list[Flag], Field(min_length=16, max_length=16)]


_ENTRIES = TypeAdapter(list[_Entry])


@register("mpii", splits=("val", "train", "trainval"), skeleton=MPII, protocol="mpii")
def load_mpii(root: Path, split: str = "val") -> PeopleDataset:
    """Load MPII.

    HRNet's JSON is read where there is one. The MATLAB file has no validation people: from it
    "train" and "trainval" are all labeled people of the training images, "train" without the
    images of `valid.json` where that is beside it. Joints count as labeled whether MPII calls
    them visible or not, as in HRNet's files.

    Args:
        root: the folder that holds `images/` and `annot/{train,valid,trainval}.json` (with
            `annot/gt_valid.mat`, the source of head sizes), or `mpii_human_pose_v1_u12_1.mat`; or
            one of these files itself. A JSON file given directly makes `split` its stem.
        split: "train", "val" or "trainval".

    Raises:
        BihrnetError: something is missing or malformed.
    """
    if root.is_file():
        path, split = root, split if root.suffix == ".mat" else root.stem
    else:
        stem = _JSON_NAMES.get(split, split)
        folders = (root, root / "annot", root / "mpii_human_pose_v1_u12_2")
        mats = [folder / MAT_NAME for folder in folders]
        path = find_file(f"MPII annotations ({split})", [root / "annot" / f"{stem}.json", *mats])
    if path.suffix == ".mat":
        entries, head_sizes = _read_mat(path, split)
    else:
        entries = read_json(path, _ENTRIES)
        head_sizes = _read_head_sizes(path, len(entries))
    if not entries:
        raise BihrnetError(f"{path}: holds no labeled person")
    near, above = path.parent, path.parent.parent
    names = [entry.image for entry in entries]
    folder = find_images([near / "images", above / "images", near], names, path)
    image_ids = {name: number for number, name in enumerate(dict.fromkeys(names))}
    people = [
        _person(entry, folder, image_ids[entry.image], index, head_size)
        for index, (entry, head_size) in enumerate(zip(entries, head_sizes, strict=True))
    ]
    return PeopleDataset("mpii", split, MPII, people)


def _person(
    entry: _Entry, folder: Path, image_id: int, index: int, head_size: float | None
) -> Person:
    visible = np.asarray(entry.joints_vis, dtype=np.float32)
    keypoints = (np.asarray(entry.joints, dtype=np.float32) - 1) * visible[:, None]
    height = entry.scale * _SCALE_UNIT
    return Person(
        image=folder / entry.image,
        image_id=image_id,
        instance_id=index,
        center=(entry.center[0] - 1, entry.center[1] - 1 + _LOWERED * entry.scale),
        size=(height * _PADDING, height * _PADDING),
        keypoints=keypoints,
        visible=visible,
        head_size=head_size,
    )


def _read_head_sizes(annotations: Path, count: int) -> list[float | None]:
    """From `gt_valid.mat` beside `valid.json`; without such a file the head sizes are unknown."""
    path = annotations.with_name(f"gt_{annotations.stem}.mat")
    if not path.is_file():
        return [None] * count
    corners = np.asarray(read_matlab(path, "headboxes_src"))
    if corners.dtype.kind not in "fiu" or corners.size != 4 * count:
        raise BihrnetError(
            f"{path}: headboxes_src is not (2, 2, {count}), one box for each person of "
            f"{annotations.name}, but {corners.shape}"
        )
    corners = corners.reshape(2, 2, count).astype(np.float64)
    diagonals = np.linalg.norm(corners[1] - corners[0], axis=0)
    for index, diagonal in enumerate(diagonals):
        if not 0 < diagonal < 1e6:
            raise BihrnetError(f"{path}: head box {index} is empty or not finite")
    return [float(diagonal) * _HEAD_SHARE for diagonal in diagonals]


def _read_mat(path: Path, split: str) -> tuple[list[_Entry], list[float | None]]:
    """Labeled people of the training images, with the sizes of their heads."""
    if split not in ("train", "trainval"):
        raise BihrnetError(
            f"{path}: has no split {split!r}, only 'train' and 'trainval'; validation people are "
            "those of HRNet's annot/valid.json"
        )
    held_out = _validation_images(path) if split == "train" else set()
    release = read_matlab(path, "RELEASE")
    try:
        images = np.atleast_1d(release.annolist)
        is_train = np.atleast_1d(release.img_train)
    except AttributeError as error:
        raise BihrnetError(f"{path}: is not MPII's RELEASE structure ({error})") from error
    if len(images) != len(is_train):
        raise BihrnetError(f"{path}: {len(images)} images, but {len(is_train)} flags img_train")
    entries, head_sizes = [], []
    for number in np.flatnonzero(is_train == 1):
        try:
            name = images[number].image.name
            if name in held_out:
                continue
            for rect in np.atleast_1d(images[number].annorect):
                if (entry := _rect_entry(name, rect)) is not None:
                    entries.append(entry)
                    head_sizes.append(_rect_head_size(rect))
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            cause = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise BihrnetError(f"{path}: RELEASE.annolist({number + 1}): {cause}") from error
    return entries, head_sizes


def _rect_entry(image: str, rect: Any) -> _Entry | None:
    """One element of `annorect`; None for people without joints or without a position."""
    points: Any = getattr(getattr(rect, "annopoints", None), "point", ())
    scale: Any = getattr(rect, "scale", ())
    position: Any = getattr(rect, "objpos", None)
    if not np.size(points) or not np.size(scale) or not hasattr(position, "x"):
        return None
    joints, labeled = [(0.0, 0.0)] * len(MPII), [0] * len(MPII)
    for point in np.atleast_1d(points):
        if not 0 <= point.id < len(MPII):
            raise ValueError(f"there is no joint {point.id}")
        joints[point.id] = (float(point.x), float(point.y))
        labeled[point.id] = 1
    return _Entry(
        image=image,
        center=(float(position.x), float(position.y)),
        scale=float(scale),
        joints=joints,
        joints_vis=labeled,
    )


def _rect_head_size(rect: Any) -> float | None:
    sides: list[Any] = [getattr(rect, side, ()) for side in ("x1", "y1", "x2", "y2")]
    if not all(np.size(side) for side in sides):
        return None
    left, top, right, bottom = (float(side) for side in sides)
    return _HEAD_SHARE * float(np.hypot(right - left, bottom - top))


def _validation_images(mat: Path) -> set[str]:
    for folder in (mat.parent, mat.parent / "annot", mat.parent.parent / "annot"):
        path = folder / "valid.json"
        if path.is_file():
            return {entry.image for entry in read_json(path, _ENTRIES)}
    return set()
