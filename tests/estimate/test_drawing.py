from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from painted_people import SKELETON, joints_in

from bihrnet.estimate.drawing import CENTER, LEFT, RIGHT, draw_poses
from bihrnet.pose import Pose
from bihrnet.skeleton import SKELETONS, Skeleton

BOX = [40, 30, 120, 140]


def pose(score: float | list[float] = 1.0, box: list[float] = BOX) -> Pose:
    keypoints = np.column_stack([joints_in(box), np.broadcast_to(score, 4)]).astype(np.float32)
    return Pose(keypoints, np.array(box, dtype=np.float32), 1.0)


def gray(height: int = 200, width: int = 200) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 128, dtype=np.uint8)


def near(image: NDArray[np.uint8], point: NDArray[np.float64], color: tuple[int, ...]) -> bool:
    """Whether the color stands within 3 pixels of the point."""
    x, y = np.round(point).astype(int)
    patch = image[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4].astype(int)
    return bool((np.abs(patch - color).max(axis=2) < 30).any())


def test_sides_have_their_colors() -> None:
    image = gray()
    drawn = draw_poses(image, [pose()], SKELETON)
    assert (image == 128).all(), "the image given is not touched"
    head, left, right, hip = joints_in(BOX)
    assert near(drawn, (head + left) / 2, LEFT)
    assert near(drawn, (head + right) / 2, RIGHT)
    assert near(drawn, (head + hip) / 2, CENTER)
    assert near(drawn, head, (255, 255, 255))


def test_the_sides_follow_the_names_of_the_joints() -> None:
    fields = {**SKELETON.to_dict(), "flip_pairs": [("right_hand", "left_hand")]}
    drawn = draw_poses(gray(), [pose()], Skeleton.from_dict(fields))
    np.testing.assert_array_equal(drawn, draw_poses(gray(), [pose()], SKELETON))


def test_the_number_of_a_person_of_a_video_stands_above_the_head() -> None:
    plain, numbered = (
        draw_poses(gray(), [replace(pose(), track_id=number)], SKELETON) for number in (None, 12)
    )
    rows, columns = np.nonzero((plain != numbered).any(axis=2))
    head = joints_in(BOX)[0]
    assert len(rows)
    assert rows.max() < head[1]
    assert np.abs(columns - head[0]).max() < 20
    at_the_top = replace(pose(box=[40, -10, 120, 140]), track_id=3)
    assert (draw_poses(gray(), [at_the_top], SKELETON)[:12].min(axis=2) > 200).any()


def test_unsure_joints_and_their_limbs_are_left_out() -> None:
    drawn = draw_poses(gray(), [pose([1, 0.05, 1, 1])], SKELETON)
    head, left, right, _ = joints_in(BOX)
    assert (drawn[:, 145:] == 128).all()
    assert not near(drawn, (head + left) / 2, LEFT)
    assert near(drawn, (head + right) / 2, RIGHT)
    assert (draw_poses(gray(), [pose(0.05)], SKELETON) == 128).all()
    assert (draw_poses(gray(), [pose(0.05)], SKELETON, min_score=0.02) != 128).any()
    assert (draw_poses(gray(), [], SKELETON) == 128).all()


def test_lines_grow_with_the_person() -> None:
    def painted(box: list[float]) -> float:
        """Painted pixels in units of the box's side: the mean width of the lines."""
        drawn = draw_poses(gray(1000, 1000), [pose(box=box)], SKELETON)
        return (drawn != 128).any(axis=2).sum() / box[2]

    assert 3 < painted([10, 10, 900, 900]) / painted([10, 10, 150, 150]) < 9


def test_the_best_pose_lies_on_top() -> None:
    """Drawn last: it hides the other one and not the reverse."""
    below = pose(box=[43, 30, 120, 140])
    both = draw_poses(gray(), [pose(), below], SKELETON)
    alone = draw_poses(gray(), [pose()], SKELETON)
    core = near_colored(alone)
    np.testing.assert_array_equal(both[core], alone[core])


def near_colored(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (image == LEFT).all(axis=2) | (image == RIGHT).all(axis=2)


@given(
    points=st.lists(st.tuples(st.floats(-1e7, 1e7), st.floats(-1e7, 1e7)), min_size=4, max_size=4),
    shape=st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_any_coordinates_can_be_drawn(
    points: list[tuple[float, float]], shape: tuple[int, int]
) -> None:
    keypoints = np.column_stack([np.array(points), np.ones(4)]).astype(np.float32)
    one = Pose(keypoints, np.zeros(4, np.float32), 1.0, track_id=10)
    drawn = draw_poses(gray(*shape), [one], SKELETON)
    assert drawn.shape == (*shape, 3)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_published_skeleton(skeleton: Skeleton) -> None:
    rng = np.random.default_rng(0)
    keypoints = np.column_stack([rng.uniform(20, 180, (len(skeleton), 2)), np.ones(len(skeleton))])
    one = Pose(keypoints.astype(np.float32), np.zeros(4, np.float32), 1.0)
    drawn = draw_poses(gray(), [one], skeleton)
    assert near_colored(drawn).any()
