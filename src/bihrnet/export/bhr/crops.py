"""Crops to calibrate 8-bit ranges on: people of a data set, or images of one person each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import Crop
from bihrnet.data import PeopleDataset, datasets
from bihrnet.data.annotation_files import NotFoundError
from bihrnet.errors import BihrnetError
from bihrnet.images import IMAGE_SUFFIXES, read_image
from bihrnet.skeleton import Skeleton

#: Enough crops for ranges; docs/engine-format.md has their cost in accuracy.
COUNT = 128


def calibration_crops(
    folder: str | Path,
    size: tuple[int, int],
    skeleton: Skeleton,
    count: int = COUNT,
    *,
    log: Callable[[str], None] = lambda _: None,
) -> NDArray[np.uint8]:
    """Up to `count` crops, spread evenly over the contents of a folder.

    Args:
        folder: a data set in its official layout, or images (also in sub-folders) that show one
            person each and are used whole.
        size: (height, width) of the network's input.
        skeleton: the network's, for data of the user's own in COCO's format.
        count: maximum number of crops.
        log: receives a description of the crops, such as "128 people of coco train".

    Returns:
        (N, height, width, 3) uint8 RGB.

    Raises:
        BihrnetError: the folder is missing, holds neither data set nor images, or its data set is
            broken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BihrnetError(f"{folder}: there is no such folder to calibrate on")
    dataset = _find_dataset(folder, skeleton)
    if dataset is None:
        crops = _whole_images(folder, size, count)
        description = "whole images"
    else:
        chosen = (dataset.people[index] for index in _spread(len(dataset.people), count))
        crops = [person.crop(size).warp(person.read_image()) for person in chosen]
        description = f"people of {dataset.name} {dataset.split}"
    log(f"{len(crops)} {description}")
    return np.stack(crops)


def _find_dataset(folder: Path, skeleton: Skeleton) -> PeopleDataset | None:
    """The training split of the first data set whose layout fits.

    None where the folder has the layout of no data set.

    Raises:
        BihrnetError: annotation files are present, but none can be loaded; all reasons are given.
    """
    reasons: list[str] = []
    for entry in datasets().values():
        if not entry.on_disk:
            continue
        for joints in dict.fromkeys((skeleton, entry.skeleton)) if entry.own_skeleton else (None,):
            try:
                return entry.load(folder, "train", skeleton=joints)
            except NotFoundError:  # noqa: PERF203
                break
            except BihrnetError as error:
                reasons.append(str(error))
    if reasons:
        raise BihrnetError("; ".join(dict.fromkeys(reasons)))
    return None


def _whole_images(folder: Path, size: tuple[int, int], count: int) -> list[NDArray[np.uint8]]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise BihrnetError(f"{folder}: contains neither a data set nor images to calibrate on")
    crops = []
    for index in _spread(len(paths), count):
        image = read_image(paths[index])
        height, width = image.shape[:2]
        crops.append(Crop.from_box((0, 0, width, height), size, padding=1).warp(image))
    return crops


def _spread(total: int, count: int) -> list[int]:
    return np.unique(np.linspace(0, total - 1, min(total, count)).astype(int)).tolist()
