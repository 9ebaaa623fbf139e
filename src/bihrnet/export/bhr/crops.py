"""Crops to calibrate 8-bit ranges on: people of a data set, or pictures of one person each."""

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

#: Enough for ranges; what they cost in accuracy stands in docs/engine-format.md.
COUNT = 128


def calibration_crops(
    folder: str | Path,
    size: tuple[int, int],
    skeleton: Skeleton,
    count: int = COUNT,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> NDArray[np.uint8]:
    """Up to `count` crops, spread evenly over what the folder holds.

    Args:
        folder: a data set in its official layout, or images (also in sub-folders) that show one
            person each and are taken whole.
        size: (height, width) of the network's input.
        skeleton: the network's, for own data in COCO's format.
        count: at most so many.
        tell: gets what the crops show, as "128 people of coco train".

    Returns:
        (N, height, width, 3) uint8 RGB.

    Raises:
        BihrnetError: there is no such folder, nothing of use in it, or a data set that is broken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise BihrnetError(f"{folder}: there is no such folder to calibrate on")
    dataset = _find_dataset(folder, skeleton)
    if dataset is None:
        crops = _whole_images(folder, size, count)
        what = "whole images"
    else:
        chosen = (dataset.people[index] for index in _spread(len(dataset.people), count))
        crops = [person.crop(size).warp(person.read_image()) for person in chosen]
        what = f"people of {dataset.name} {dataset.split}"
    tell(f"{len(crops)} {what}")
    return np.stack(crops)


def _find_dataset(folder: Path, skeleton: Skeleton) -> PeopleDataset | None:
    """Training people, not those of an evaluation, of the first data set whose layout fits.

    None where the folder holds the annotation file of no data set.

    Raises:
        BihrnetError: annotation files are there, but none can be loaded; every reason is given.
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
        raise BihrnetError(f"{folder}: holds neither a data set nor images to calibrate on")
    crops = []
    for index in _spread(len(paths), count):
        image = read_image(paths[index])
        height, width = image.shape[:2]
        crops.append(Crop.from_box((0, 0, width, height), size, padding=1).warp(image))
    return crops


def _spread(total: int, count: int) -> list[int]:
    return np.unique(np.linspace(0, total - 1, min(total, count)).astype(int)).tolist()
