"""Kinematics: left and right, bone lengths, mirroring, poses within their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bihrnet.data.synthetic.body import KNOWN_JOINTS, Build, check_known, pose_body
from bihrnet.data.synthetic.poses import FAMILIES, LIMITS, draw_pose, mirror_pose
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import COCO, CROWDPOSE, LSP, MPII, Skeleton

SEEDS = st.integers(0, 10_000)
UPRIGHT = dict.fromkeys(LIMITS, 0.0)


def random_body(seed: int, facing: float = 0.0):
    rng = np.random.default_rng(seed)
    build = Build.draw(rng)
    pose = draw_pose(rng)
    return build, pose, pose_body(build, pose, facing)


def test_upright_person_is_ordered_from_head_to_heel():
    body = pose_body(Build(), UPRIGHT)
    down = ["head_top", "nose", "neck", "thorax", "spine", "pelvis", "left_knee", "left_ankle"]
    heights = [body.joints[name][1] for name in down]
    assert heights == sorted(heights, reverse=True)
    stature = body.joints["head_top"][1] - body.joints["left_heel"][1]
    assert stature == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    "kind", ["shoulder", "elbow", "wrist", "hip", "knee", "ankle", "eye", "ear"]
)
def test_left_is_on_the_viewers_right_from_the_front_and_swaps_from_behind(kind):
    for facing, sign in ((0.0, 1), (180.0, -1)):
        joints = pose_body(Build(), UPRIGHT, facing).joints
        assert sign * (joints[f"left_{kind}"][0] - joints[f"right_{kind}"][0]) > 0


def test_face_and_toes_point_to_the_front():
    joints = pose_body(Build(), UPRIGHT).joints
    assert joints["nose"][2] > joints["left_eye"][2] > joints["left_ear"][2]
    assert joints["left_big_toe"][2] > joints["left_heel"][2]


@pytest.mark.parametrize(
    ("angle", "joint", "axis", "sign"),
    [
        ("left_elbow", "left_wrist", 2, 1),  # a bent elbow brings the hand forward
        ("left_knee", "left_ankle", 2, -1),  # a bent knee brings the foot back
        ("left_hip_flex", "left_knee", 2, 1),
        ("left_hip_spread", "left_knee", 0, 1),
        ("right_hip_spread", "right_knee", 0, -1),
        ("left_arm_raise", "left_elbow", 0, 1),
        ("right_arm_raise", "right_elbow", 0, -1),
        ("spine_bend", "thorax", 2, 1),
        ("pitch", "thorax", 2, 1),
        ("roll", "thorax", 0, -1),
        ("head_nod", "nose", 1, -1),
    ],
)
def test_angles_turn_the_right_way(angle, joint, axis, sign):
    resting = pose_body(Build(), UPRIGHT).joints[joint]
    moved = pose_body(Build(), {**UPRIGHT, angle: 40.0}).joints[joint]
    assert sign * (moved - resting)[axis] > 0.01


@given(seed=SEEDS, facing=st.floats(-180, 180))
@settings(max_examples=40, deadline=None)
def test_bones_keep_their_length_in_every_pose(seed, facing):
    build, _, body = random_body(seed, facing)
    length, joints = build.lengths, body.joints
    for side in ("left", "right"):
        for first, second, bone in (
            ("shoulder", "elbow", "upper_arm"),
            ("elbow", "wrist", "forearm"),
            ("hip", "knee", "thigh"),
            ("knee", "ankle", "shank"),
        ):
            distance = np.linalg.norm(joints[f"{side}_{first}"] - joints[f"{side}_{second}"])
            assert distance == pytest.approx(length[bone], rel=1e-9)
    assert np.allclose(joints["pelvis"], (joints["left_hip"] + joints["right_hip"]) / 2)
    assert set(joints) == set(KNOWN_JOINTS)
    assert all(np.isfinite(point).all() for point in joints.values())


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_proportions_are_human(seed):
    length = Build.draw(np.random.default_rng(seed)).lengths
    assert 0.8 < length["upper_arm"] / length["forearm"] < 1.45
    assert 0.8 < length["thigh"] / length["shank"] < 1.25
    assert 0.35 < length["torso"] / (length["thigh"] + length["shank"]) < 0.8
    assert 0.4 < length["head"] / length["torso"] < 0.85
    assert length["half_hips"] < length["half_shoulders"]


@given(seed=SEEDS, facing=st.floats(-180, 180))
@settings(max_examples=40, deadline=None)
def test_mirrored_pose_gives_the_mirrored_body(seed, facing):
    build, pose, body = random_body(seed, facing)
    mirrored = pose_body(build, mirror_pose(pose), -facing)
    swap = {"left": "right", "right": "left"}
    for name, point in body.joints.items():
        side, _, rest = name.partition("_")
        other = f"{swap[side]}_{rest}" if side in swap else name
        assert mirrored.joints[other] == pytest.approx(point * (-1, 1, 1), abs=1e-9)


@given(seed=SEEDS, family=st.sampled_from(sorted(FAMILIES)))
@settings(max_examples=80, deadline=None)
def test_poses_stay_within_the_joints_limits(seed, family):
    pose = draw_pose(np.random.default_rng(seed), [family])
    assert set(pose) == set(LIMITS)
    assert all(low <= pose[name] <= high for name, (low, high) in LIMITS.items())


def test_families_name_angles_that_exist_and_cover_upright_and_inverted_bodies():
    sided = {name.partition("_")[2] for name in LIMITS if name.startswith("left_")}
    for name, family in FAMILIES.items():
        assert set(family.angles) <= set(LIMITS) | sided, name
    rng = np.random.default_rng(0)
    up = np.array([pose_body(Build(), draw_pose(rng)).frames["chest"][1, 1] for _ in range(300)])
    assert (up > 0.7).mean() > 0.45
    assert (up < -0.5).mean() > 0.08


def test_restricting_the_families_restricts_the_poses():
    for seed in range(6):
        pose = draw_pose(np.random.default_rng(seed), ["handstand"])
        joints = pose_body(Build(), pose).joints
        assert joints["head_top"][1] < joints["pelvis"][1]


@pytest.mark.parametrize("skeleton", [COCO, MPII, LSP, CROWDPOSE])
def test_published_skeletons_are_known(skeleton):
    check_known(skeleton)


def test_unknown_joint_is_refused_by_name_with_the_known_ones():
    tail = Skeleton("cat", ("nose", "tail"), (), (), (0.1, 0.1), ())
    with pytest.raises(BihrnetError, match=r"'tail' of skeleton 'cat'.*left_ankle.*thorax"):
        check_known(tail)
