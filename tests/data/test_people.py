from __future__ import annotations

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
    assert (person.center, person.size, person.area) == ((30, 35), (50, 37.5), 1200)
    crop = person.crop((256, 192))
    np.testing.assert_allclose(crop.size, (50, 50 * 256 / 192))
    np.testing.assert_allclose(crop.to_input(person.center), (96, 128))


def test_joints_and_flags_must_agree():
    with pytest.raises(BihrnetError, match="person 2: keypoints"):
        Person.from_box(
            [10, 20, 40, 30],
            keypoints=np.zeros((3, 2), np.float32),
            visible=np.zeros(4, np.float32),
            **PLACE,
        )
