"""Leeds Sports Pose (Johnson and Everingham 2010) and its extended training set (2011)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from bihrnet.coco_schema import FileName
from bihrnet.data.annotation_files import find_file, find_images, read_matlab
from bihrnet.data.people import PeopleDataset, Person
from bihrnet.data.registry import register
from bihrnet.errors import BihrnetError
from bihrnet.files import read_json
from bihrnet.images import read_image
from bihrnet.skeleton import LSP

#: Images of LSP, half of them for training.
_LSP_COUNT = 2000
#: Images of LSPET; without a `split.json` the last thousand are the validation set.
_LSPET_COUNT, _LSPET_TRAIN = 10_000, 9_000

_SPLITS = TypeAdapter(dict[str, list[FileName]])


@register("lsp", splits=("test", "train"), skeleton=LSP)
def load_lsp(root: Path, split: str = "test") -> PeopleDataset:
    """Load LSP: the first 1000 images to train on, the last 1000 to test.

    The crop is the whole image: LSP's images are cut out around their one person, and the
    protocol gives no box. All joints are labeled; the third row of the matrix marks the
    occluded ones, which neither training nor PCK uses.

    Args:
        root: the folder that holds `joints.mat` and `images/im0001.jpg` ... `im2000.jpg`.
        split: "train" or "test".

    Raises:
        BihrnetError: something is missing or malformed.
    """
    path = find_file("LSP annotations", [root / "joints.mat"])
    joints = _read_joints(path, (3, len(LSP), _LSP_COUNT)).transpose(2, 1, 0)
    numbers = range(_LSP_COUNT // 2) if split == "train" else range(_LSP_COUNT // 2, _LSP_COUNT)
    names = [f"im{number + 1:04d}.jpg" for number in numbers]
    folder = find_images([root / "images"], names, path)
    people = []
    for number, name in zip(numbers, names, strict=True):
        keypoints = joints[number, :, :2]
        _check_coordinates(keypoints, number, path)
        height, width = read_image(folder / name, upright=False).shape[:2]
        people.append(
            Person(
                image=folder / name,
                image_id=number + 1,
                instance_id=number + 1,
                center=(width / 2, height / 2),
                size=(float(width), float(height)),
                keypoints=keypoints.astype(np.float32),
                visible=np.ones(len(LSP), dtype=np.float32),
                image_size=(height, width),
            )
        )
    return PeopleDataset("lsp", split, LSP, people)


@register("lspet", splits=("val", "train"), skeleton=LSP)
def load_lspet(root: Path, split: str = "val") -> PeopleDataset:
    """Load LSPET: 10,000 images, one labeled person each.

    A person's box is that of the labeled joints, because the images may show much around the
    person. Images with fewer than two labeled joints are left out.

    Args:
        root: the folder that holds `joints.mat`, `images/im00001.jpg` ... `im10000.jpg` and
            possibly `split.json`: `{"train": [file names], "val": [file names]}`. Without it
            images 1 to 9000 are "train" and 9001 to 10000 "val"; LSPET itself has no such split.
        split: "train" or "val".

    Raises:
        BihrnetError: something is missing or malformed.
    """
    path = find_file("LSPET annotations", [root / "joints.mat"])
    joints = _read_joints(path, (len(LSP), 3, _LSPET_COUNT)).transpose(2, 0, 1)
    numbers = _lspet_numbers(root / "split.json", split)
    people = []
    for number in numbers:
        visible = joints[number, :, 2] > 0
        labeled = joints[number, visible, :2]
        _check_coordinates(labeled, number, path)
        if len(labeled) < 2 or not np.ptp(labeled, axis=0).any():
            continue
        people.append(_lspet_person(root / "images", number, joints[number, :, :2], visible))
    if not people:
        raise BihrnetError(f"{path}: split {split!r} has no image with labeled joints")
    find_images([root / "images"], [_lspet_name(person.image_id - 1) for person in people], path)
    return PeopleDataset("lspet", split, LSP, people)


def _lspet_person(
    images: Path, number: int, points: NDArray[np.float64], visible: NDArray[np.bool_]
) -> Person:
    low, high = points[visible].min(axis=0), points[visible].max(axis=0)
    return Person.from_box(
        (*low, *(high - low)),
        image=images / _lspet_name(number),
        image_id=number + 1,
        instance_id=number + 1,
        keypoints=np.where(visible[:, None], points, 0).astype(np.float32),
        visible=visible.astype(np.float32),
    )


def _lspet_name(number: int) -> str:
    return f"im{number + 1:05d}.jpg"


def _lspet_numbers(path: Path, split: str) -> list[int]:
    """0-based numbers of the images of a split."""
    if not path.is_file():
        bounds = {"train": (0, _LSPET_TRAIN), "val": (_LSPET_TRAIN, _LSPET_COUNT)}
        return list(range(*bounds[split]))
    splits = read_json(path, _SPLITS)
    if split not in splits:
        raise BihrnetError(f"{path}: has no split {split!r}, only {sorted(splits)}")
    numbers = {_lspet_name(number): number for number in range(_LSPET_COUNT)}
    for position, name in enumerate(splits[split]):
        if name not in numbers:
            raise BihrnetError(f"{path}: {split}[{position}]: {name!r} is not an image of LSPET")
    return [numbers[name] for name in dict.fromkeys(splits[split])]


def _read_joints(path: Path, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    joints = np.asarray(read_matlab(path, "joints"))
    if joints.shape != shape or joints.dtype.kind not in "fiu":
        raise BihrnetError(f"{path}: joints is {joints.dtype} {joints.shape}, not numeric {shape}")
    return joints.astype(np.float64)


def _check_coordinates(points: NDArray[np.float64], number: int, path: Path) -> None:
    if not (np.abs(points) <= 1e6).all():  # NaN is not, either
        raise BihrnetError(f"{path}: image {number + 1} has a joint at impossible coordinates")
