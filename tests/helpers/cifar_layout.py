"""Tiny drawn images in the binary layout of CIFAR. Not a test itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def draw_images(count: int, classes: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(N, 32, 32, 3) noise with a square of the class's color and size, and (N,) labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    images = rng.integers(0, 120, (count, 32, 32, 3), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        side = 8 + label % 2 * 10
        top, left = rng.integers(0, 32 - side, 2)
        color = [255 * (label // 2 % 5 == tone) for tone in range(3)]
        image[top : top + side, left : left + side] = color
        if label // 2 % 5 == 4:
            image[top : top + side, left : left + side] = (255, 255, 0)
    return images, labels


def write_cifar10(root: Path, train: int, test: int) -> None:
    """`cifar-10-batches-bin` in `root`; `train` is a multiple of five."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir()
    images, labels = draw_images(train, 10, seed=0)
    for number, (pixels, own) in enumerate(
        zip(np.split(images, 5), np.split(labels, 5), strict=True), start=1
    ):
        _write(folder / f"data_batch_{number}.bin", pixels, own[:, None])
    images, labels = draw_images(test, 10, seed=1)
    _write(folder / "test_batch.bin", images, labels[:, None])


def write_cifar100(root: Path, train: int, test: int) -> None:
    """`cifar-100-binary` in `root`, each record with its superclass before its class."""
    folder = root / "cifar-100-binary"
    folder.mkdir()
    for split, count, seed in (("train", train, 0), ("test", test, 1)):
        images, labels = draw_images(count, 100, seed)
        _write(folder / f"{split}.bin", images, np.stack([labels // 5, labels], axis=1))


def _write(path: Path, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    path.write_bytes(np.concatenate([labels.astype(np.uint8), planes], axis=1).tobytes())
