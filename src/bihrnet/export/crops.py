"""Crops to calibrate 8-bit ranges on: people of a data set, or pictures of one person each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import Crop
from bihrnet.data import load_dataset
from bihrnet.errors import BihrnetError
from bihrnet.images import IMAGE_SUFFIXES, read_image
from bihrnet.skeleton import COCO, Skeleton

#: Enough for ranges; what they cost in accuracy stands in docs/engine-format.md.
COUNT = 128

#: Data sets with joints of their own that are told by their layout.
_DATASETS = ("crowdpose", "mpii", "lspet", "lsp")


def calibration_crops(
    folder: str | Path, size: tuple[int, int], skeleton: Skeleton, count: int = COUNT
) -> NDArray[np.uint8]:
    """Up to `count` crops, spread evenly over what the folder holds.

    Args:
        folder: a data set in its official layout, or images (also in sub-folders) that show one
            person each and are taken whole.
        size: (height, width) of the network's input.
        skeleton: the network's, for own data in COCO's format.
        count: at most so many.

    Returns:
        (N, height, width, 3) uint8 RGB.

    Raises:
        BihrnetError: there is no such folder, or nothing of use in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BihrnetError(f"{folder}: there is no such folder to calibrate on")
    return np.stack(
        _from_dataset(folder, size, skeleton, count) or _from_images(folder, size, count)
    )


def _from_dataset(
    folder: Path, size: tuple[int, int], skeleton: Skeleton, count: int
) -> list[NDArray[np.uint8]]:
    """Of training people, not those of an evaluation; empty where the layout is of no data set."""
    in_cocos_format = [("coco", joints) for joints in dict.fromkeys((skeleton, COCO))]
    for name, joints in [*in_cocos_format, *((name, None) for name in _DATASETS)]:
        try:
            people = load_dataset(name, folder, "train", skeleton=joints).people
        except BihrnetError:
            continue  # not laid out so
        chosen = (people[index] for index in _spread(len(people), count))
        return [person.crop(size).warp(person.read_image()) for person in chosen]
    return []


def _from_images(folder: Path, size: tuple[int, int], count: int) -> list[NDArray[np.uint8]]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise BihrnetError(f"{folder}: holds neither a data set nor images to calibrate on")
    crops = []
    for index in _spread(len(paths), count):
        image = read_image(paths[index])
        height, width = image.shape[:2]
        crops.append(Crop.from_box((0, 0, width, height), size, padding=1).warp(image))
    return crops


def _spread(total: int, count: int) -> list[int]:
    return np.unique(np.linspace(0, total - 1, min(total, count)).astype(int)).tolist()
