"""CIFAR's binary layout: what is read, and what is rejected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cifar_layout import draw_images, write_cifar10, write_cifar100
from example_modules import load_example

from bihrnet.errors import BihrnetError

[cifar] = load_example("cifar", "cifar")
load_cifar = cifar.load_cifar


@pytest.fixture
def cifar10(tmp_path: Path) -> Path:
    write_cifar10(tmp_path, 20, 7)
    return tmp_path / "cifar-10-batches-bin"


def test_cifar_10_is_read_in_order(cifar10: Path) -> None:
    train, test = load_cifar(cifar10, "train"), load_cifar(cifar10, "test")
    assert (train.name, train.classes) == ("cifar-10", 10)
    images, labels = draw_images(20, 10, seed=0)
    np.testing.assert_array_equal(train.images, images)
    np.testing.assert_array_equal(train.labels, labels)
    assert (len(test.images), test.images.shape[1:], test.images.dtype) == (7, (32, 32, 3), "uint8")


def test_the_parent_folder_is_accepted(cifar10: Path) -> None:
    assert len(load_cifar(cifar10.parent, "test").images) == 7


def test_the_class_of_cifar_100_is_its_fine_label(tmp_path: Path) -> None:
    write_cifar100(tmp_path, 12, 5)
    train = load_cifar(tmp_path, "train")
    assert (train.name, train.classes) == ("cifar-100", 100)
    images, labels = draw_images(12, 100, seed=0)
    np.testing.assert_array_equal(train.images, images)
    np.testing.assert_array_equal(train.labels, labels)


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(
        BihrnetError, match=r"binary version of CIFAR: data_batch_1\.bin or train\.bin is"
    ):
        load_cifar(tmp_path, "train")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), r"batch_3\.bin: \d+ bytes are not"),
        (lambda path: path.write_bytes(b""), r"batch_3\.bin: 0 bytes are not"),
        (lambda path: path.unlink(), r"batch_3\.bin: cannot be read"),
        (lambda path: (path.unlink(), path.mkdir()), r"batch_3\.bin: cannot be read"),
        (
            lambda path: path.write_bytes(path.read_bytes()[: 2 * 3073] + b"\x0a" + bytes(3072)),
            r"batch_3\.bin: record 2 has label 10, above the last class 9",
        ),
    ],
)
def test_broken_files_are_named(cifar10: Path, damage, sentence: str) -> None:
    damage(cifar10 / "data_batch_3.bin")
    with pytest.raises(BihrnetError, match=sentence):
        load_cifar(cifar10, "train")
