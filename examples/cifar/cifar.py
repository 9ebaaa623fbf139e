"""CIFAR-10 and CIFAR-100 in their official binary layout.

Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError

SIDE = 32
_PIXELS = 3 * SIDE * SIDE

Split = Literal["train", "test"]


@dataclass(frozen=True)
class _Layout:
    """Files of a data set; a record consists of its labels, one byte each, and the pixels."""

    folder: str
    classes: int
    labels: int
    files: dict[Split, list[str]]


_LAYOUTS = {
    "cifar-10": _Layout(
        "cifar-10-batches-bin",
        10,
        1,
        {
            "train": [f"data_batch_{number}.bin" for number in range(1, 6)],
            "test": ["test_batch.bin"],
        },
    ),
    # The first label is the superclass, the last one the class.
    "cifar-100": _Layout(
        "cifar-100-binary", 100, 2, {"train": ["train.bin"], "test": ["test.bin"]}
    ),
}


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """One split.

    Attributes:
        name: "cifar-10" or "cifar-100".
        classes: number of classes.
        images: (N, 32, 32, 3) uint8 RGB.
        labels: (N,) int64, 0 to classes - 1.
    """

    name: str
    classes: int
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load_cifar(root: Path, split: Split) -> LabeledImages:
    """Load one split; the files determine the data set.

    Args:
        root: `cifar-10-batches-bin` or `cifar-100-binary`, or the folder that holds one of them.
        split: "train" or "test".

    Raises:
        BihrnetError: files are missing or truncated, or hold invalid labels.
    """
    for name, layout in _LAYOUTS.items():
        for folder in (root, root / layout.folder):
            paths = [folder / file for file in layout.files[split]]
            if any(path.is_file() for path in paths):
                parts = [_read(path, layout) for path in paths]
                images, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
                return LabeledImages(name, layout.classes, images, labels)
    known = " or ".join(layout.files[split][0] for layout in _LAYOUTS.values())
    raise BihrnetError(f"{root}: does not hold the binary version of CIFAR: {known} is missing")


def _read(path: Path, layout: _Layout) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels of one file."""
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise BihrnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    size = layout.labels + _PIXELS
    if not len(content) or len(content) % size:
        raise BihrnetError(
            f"{path}: {len(content)} bytes are not a whole number of records of {size} bytes"
        )
    records = content.reshape(-1, size)
    labels = records[:, layout.labels - 1].astype(np.int64)
    if labels.max() >= layout.classes:
        entry = int(np.argmax(labels >= layout.classes))
        raise BihrnetError(
            f"{path}: record {entry} has label {labels[entry]}, above the last class "
            f"{layout.classes - 1}"
        )
    planes = records[:, layout.labels :].reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels
