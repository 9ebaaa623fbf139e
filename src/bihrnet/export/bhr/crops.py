"""Crops to calibrate 8-bit ranges on: people of a data set, or pictures of one person each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import Crop
from bihrnet.data import PeopleDataset, load_dataset
from bihrnet.data.annotation_files import NotFoundError
from bihrnet.errors import BihrnetError
from bihrnet.images import IMAGE_SUFFIXES, read_image
from bihrnet.skeleton import COCO, Skeleton

#: Enough for ranges; what they cost in accuracy stands in docs/engine-format.md.
COUNT = 128

#: Data sets with joints of their own that are told by their layout; those of one group share it.
_DATASETS = (("crowdpose",), ("mpii",), ("lspet", "lsp"))


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
    """Training people, not those of an evaluation; None where the layout is of no data set."""
    groups: list[list[tuple[str, Skeleton | None]]] = [
        [("coco", joints) for joints in dict.fromkeys((skeleton, COCO))],
    ]
    groups += [[(name, None) for name in group] for group in _DATASETS]
    for readers in groups:
        dataset = _read(folder, readers)
        if dataset is not None:
            return dataset
    return None


def _read(folder: Path, readers: Sequence[tuple[str, Skeleton | None]]) -> PeopleDataset | None:
    """As the first that fits of data sets whose files have the same names; None without the files.

    Raises:
        BihrnetError: none fits; the sentence says why not, each in turn.
    """
    reasons: list[str] = []
    for name, joints in readers:
        try:
            return load_dataset(name, folder, "train", skeleton=joints)
        except NotFoundError:
            return None
        except BihrnetError as error:
            reason = str(error)
        if reason not in reasons:
            reasons.append(reason)
    raise BihrnetError("; ".join(reasons))


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
