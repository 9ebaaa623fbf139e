"""The data set: lazy, reproducible across processes, disjoint splits, clear refusals."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

from bihrnet.data.synthetic import load_synthetic
from bihrnet.data.synthetic.people import SPLITS
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import COCO, LSP, MPII, Skeleton

DIGEST = """
import hashlib
from bihrnet.data.synthetic import load_synthetic
digest = hashlib.sha256()
for person in load_synthetic("train", seed=7, count=12).people:
    digest.update(person.image.tobytes() + person.keypoints.tobytes() + person.box.tobytes())
print(digest.hexdigest())
"""


def digest_here() -> str:
    digest = hashlib.sha256()
    for person in load_synthetic("train", seed=7, count=12).people:
        digest.update(person.image.tobytes() + person.keypoints.tobytes() + person.box.tobytes())
    return digest.hexdigest()


def test_two_processes_draw_the_same_people():
    other = subprocess.run(
        [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest_here()


def test_a_person_depends_on_seed_split_and_index_alone():
    few, many = load_synthetic(count=3), load_synthetic(count=300)
    assert np.array_equal(few.people[2].image, many.people[2].image)
    assert np.array_equal(many.people[-298].image, many.people[2].image)
    others = [load_synthetic(count=3, seed=1), load_synthetic("val")]
    for other in others:
        assert other.people[2].image.tobytes() != few.people[2].image.tobytes()


@pytest.mark.parametrize("skeleton", [COCO, MPII, LSP])
def test_records_are_complete(skeleton):
    dataset = load_synthetic("val", skeleton, count=20)
    assert (dataset.name, dataset.split, len(dataset)) == ("synthetic", "val", 20)
    assert len({person.instance_id for person in dataset.people}) == 20
    for person in dataset.people:
        assert person.image.dtype == np.uint8
        assert person.image.shape == (*person.image_size, 3)
        assert person.keypoints.shape == (len(skeleton), 2)
        assert np.isfinite(person.keypoints).all()
        assert set(np.unique(person.visible)) <= {0.0, 1.0}
        assert person.visible.any()
        x, y, width, height = person.box
        assert person.size == pytest.approx((1.25 * width, 1.25 * height), rel=1e-5)
        assert person.center == pytest.approx((x + width / 2, y + height / 2), rel=1e-5)
        assert person.crop((64, 48)).warp(person.image).shape == (64, 48, 3)


def test_default_counts_and_slices():
    for split, count in SPLITS.items():
        assert len(load_synthetic(split)) == count
    people = load_synthetic(count=5).people
    assert [person.instance_id for person in people[1:4]] == [1, 2, 3]
    with pytest.raises(IndexError):
        people[5]


def test_people_travel_to_data_loader_workers():
    people = load_synthetic(count=4).people
    copy = pickle.loads(pickle.dumps(people))
    assert np.array_equal(copy[1].image, people[1].image)


def test_own_skeletons_are_labeled_by_name():
    feet = Skeleton("feet", ("left_big_toe", "right_heel", "pelvis"), (), (), (0.1,) * 3, ())
    person = load_synthetic(skeleton=feet, count=1).people[0]
    assert person.keypoints.shape == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"split": "trian"}, "no split 'trian'; it has train, val"),
        ({"seed": -1}, "seed >= 0"),
        ({"count": 0}, "count >= 1"),
        ({"skeleton": Skeleton("cat", ("tail",), (), (), (0.1,), ())}, "no joint 'tail'"),
    ],
)
def test_wrong_arguments_are_refused_with_the_reason(arguments, reason):
    with pytest.raises(BihrnetError, match=reason):
        load_synthetic(**arguments)


def test_drawing_is_fast_enough_to_train_on():
    people = load_synthetic(count=40).people
    people[0]
    started = time.process_time()
    for index in range(40):
        people[index]
    # Some 8 ms each on a server core; the bound leaves room for slow, busy machines.
    assert (time.process_time() - started) / 40 < 0.08
