from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.errors import BihrnetError
from bihrnet.pose import ImagePoses, Pose, pose_score

BOX = np.array([1, 2, 3, 4], dtype=np.float32)
KEYPOINTS = np.arange(6, dtype=np.float32).reshape(2, 3)

unit = st.floats(0, 1, width=32)


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
