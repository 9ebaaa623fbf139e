from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.oks import oks, oks_nms
from bihrnet.skeleton import COCO, LSP

seeds = st.integers(0, 2**32 - 1)


def random_poses(seed: int, count: int, spread: float = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 100, (14, 2)) + rng.normal(0, spread, (count, 14, 2))


@given(seeds)
def test_formula_joint_by_joint(seed: int) -> None:
    one, other = random_poses(seed, 2, spread=20)
    area, other_area = 4000.0, 6000.0
    expected = 0.0
    for joint, sigma in enumerate(LSP.sigmas):
        squared = sum((one[joint] - other[joint]) ** 2)
        expected += math.exp(-squared / (2 * (area + other_area) / 2 * (2 * sigma) ** 2)) / 14
    similarity = oks(one, [other], area, [other_area], LSP.sigmas)
    assert similarity == pytest.approx([expected], abs=1e-12)


@given(seeds)
def test_a_pose_is_like_itself_and_similarity_is_symmetric(seed: int) -> None:
    one, other = random_poses(seed, 2)
    assert oks(one, [one], 100, [100], LSP.sigmas) == pytest.approx([1])
    there = oks(one, [other], 500, [900], LSP.sigmas)
    assert there == pytest.approx(oks(other, [one], 900, [500], LSP.sigmas))
    assert 0 <= there[0] <= 1


@given(seeds, st.integers(1, 12), st.floats(0.3, 0.95))
def test_survivors_differ_and_every_victim_resembles_a_better_survivor(seed, count, threshold):
    poses = random_poses(seed, count)
    rng = np.random.default_rng(seed)
    scores, areas = rng.random(count), rng.uniform(2000, 9000, count)
    kept = oks_nms(poses, scores, areas, LSP.sigmas, threshold)
    assert (np.diff(scores[kept]) <= 0).all()
    for position, index in enumerate(kept):
        later = kept[position + 1 :]
        alike = oks(poses[index], poses[later], areas[index], areas[later], LSP.sigmas)
        assert (alike <= threshold).all()
    for victim in set(range(count)) - set(kept.tolist()):
        alike = oks(poses[victim], poses[kept], areas[victim], areas[kept], LSP.sigmas)
        assert ((alike > threshold) & (scores[kept] >= scores[victim])).any()


def test_of_equal_scores_the_later_pose_comes_first() -> None:
    poses = np.arange(3)[:, None, None] * 1000 + np.zeros((3, 17, 2))
    assert oks_nms(poses, [0.5, 0.9, 0.5], [100] * 3, COCO.sigmas).tolist() == [1, 2, 0]


def test_nothing_in_nothing_out() -> None:
    assert len(oks_nms(np.zeros((0, 17, 2)), [], [], COCO.sigmas)) == 0
