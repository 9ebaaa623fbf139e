from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.errors import BihrnetError
from bihrnet.pose import ImagePoses, Pose, oks, oks_nms, pose_score
from bihrnet.skeleton import COCO, LSP

BOX = np.array([1, 2, 3, 4], dtype=np.float32)
KEYPOINTS = np.arange(6, dtype=np.float32).reshape(2, 3)

unit = st.floats(0, 1, width=32)
seeds = st.integers(0, 2**32 - 1)


@given(unit, st.lists(unit, min_size=1, max_size=17))
def test_score_is_box_score_times_mean_of_confident_keypoints(box: float, scores: list[float]):
    confident = [score for score in scores if np.float32(score) > 0.2]
    expected = box * sum(confident) / len(confident) if confident else 0
    assert pose_score(box, np.array(scores, np.float32)) == pytest.approx(expected, rel=1e-5)


def test_score_is_summed_in_joint_order_in_float32() -> None:
    """Ties of AP break by the last bit, so the order is part of the rule."""
    scores = np.full(17, 0.8, dtype=np.float32)
    total = np.float32(0)
    for score in scores:
        total += score
    assert pose_score(1.0, scores) == float(total / np.float32(17))
    assert pose_score(1.0, scores) != float(scores.astype(np.float64).mean())


def test_score_is_zero_without_a_confident_keypoint() -> None:
    assert pose_score(0.9, np.array([0.2, 0.1], dtype=np.float32)) == 0


@pytest.mark.parametrize(
    ("keypoints", "bbox", "complaint"),
    [(KEYPOINTS[:, :2], BOX, r"\(K, 3\)"), (KEYPOINTS, BOX[:3], r"\(4,\)")],
)
def test_a_pose_of_the_wrong_shape_is_refused(keypoints, bbox, complaint) -> None:
    with pytest.raises(BihrnetError, match=complaint):
        Pose(keypoints, bbox, 0.5)


def test_json_of_the_poses_of_a_frame() -> None:
    pose = Pose(KEYPOINTS / 7, BOX / 3, 0.123456, track_id=3)
    frame = ImagePoses("clip.mp4", 640, 480, [pose], frame=7)
    assert json.loads(json.dumps(frame.to_dict())) == {
        "file": "clip.mp4",
        "frame": 7,
        "width": 640,
        "height": 480,
        "poses": [
            {
                "bbox": [0.33, 0.67, 1.0, 1.33],
                "score": 0.1235,
                "keypoints": [[0.0, 0.14, 0.2857], [0.43, 0.57, 0.7143]],
                "track_id": 3,
            }
        ],
    }


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
