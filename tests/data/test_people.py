from __future__ import annotations

import struct
from dataclasses import replace

import cv2
import numpy as np
import pytest

from bihrnet.data import Person
from bihrnet.errors import BihrnetError

PLACE = {
    "image": np.zeros((4, 4, 3), np.uint8),
    "image_id": 1,
    "instance_id": 2,
}


def test_from_box_pads_and_crop_grows():
    person = Person.from_box(
        [10, 20, 40, 30],
        keypoints=np.zeros((3, 2), np.float32),
        visible=np.zeros(3, np.float32),
        **PLACE,
    )
    assert (person.center, person.size) == ((30, 35), (50, 37.5))
    crop = person.crop((256, 192))
    np.testing.assert_allclose(crop.size, (50, 50 * 256 / 192))
    np.testing.assert_allclose(crop.to_input(person.center), (96, 128))


@pytest.mark.parametrize("annotated", [None, (20, 30), (30, 20)])
def test_the_annotated_size_tells_how_an_image_was_labeled(tmp_path, annotated):
    """Data sets label stored pixels, browsers show them as EXIF turns them."""
    stored = np.zeros((20, 30, 3), np.uint8)
    stored[:, :15] = 200
    jpeg = cv2.imencode(".jpg", stored)[1].tobytes()
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x112, 3, 1, 6, 0)
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    person = Person.from_box(
        [0, 0, 9, 9],
        image=path,
        image_id=1,
        instance_id=2,
        keypoints=np.zeros((3, 2), np.float32),
        visible=np.zeros(3, np.float32),
        image_size=annotated,
    )
    expected = np.rot90(stored, -1) if annotated == (30, 20) else stored
    np.testing.assert_allclose(person.read_image().astype(int), expected, atol=10)
    with pytest.raises(BihrnetError, match=r"turned.jpg: has 30x20 pixels, but .* say 40x10"):
        replace(person, image_size=(10, 40)).read_image()


def test_weights_must_be_one_for_each_joint():
    with pytest.raises(BihrnetError, match=r"person 2: weights \(2,\) are not \(3,\)"):
        Person.from_box(
            [10, 20, 40, 30],
            keypoints=np.zeros((3, 2), np.float32),
            visible=np.zeros(3, np.float32),
            weights=np.ones(2, np.float32),
            **PLACE,
        )


def test_joints_and_flags_must_agree():
    with pytest.raises(BihrnetError, match="person 2: keypoints"):
        Person.from_box(
            [10, 20, 40, 30],
            keypoints=np.zeros((3, 2), np.float32),
            visible=np.zeros(4, np.float32),
            **PLACE,
        )
