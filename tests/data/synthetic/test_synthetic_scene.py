"""Pictures: labels lie on the bodies that were drawn, occluders and crops keep their promises."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from bihrnet.data.synthetic.backdrop import draw_occluder
from bihrnet.data.synthetic.body import KNOWN_JOINTS, Build, pose_body, turn
from bihrnet.data.synthetic.figure import Camera, Light, frame_box, rasterize
from bihrnet.data.synthetic.outfit import Outfit
from bihrnet.data.synthetic.poses import LIMITS
from bihrnet.data.synthetic.scene import draw_scene
from bihrnet.data.synthetic.surface import dress
from bihrnet.skeleton import COCO, CROWDPOSE, LSP, MPII

STANDING = dict.fromkeys(LIMITS, 0.0) | {"left_arm_raise": 25.0, "right_arm_raise": 25.0}


def draw_standing(facing: float):
    """A standing person in an image of their own, and the joints' pixels."""
    rng = np.random.default_rng(3)
    body = pose_body(Build(), STANDING, facing)
    outfit = Outfit.draw(rng)
    mesh = dress(body, outfit)
    camera = frame_box(mesh.corners, Camera(turn(), 4.0), (10, 10, 180, 230))
    light = Light(np.array([0, 0, 1.0]), np.full(3, 0.6), np.full(3, 0.4))
    layer = rasterize(mesh, camera, light, (250, 200))
    return layer, {name: camera.project(body.joints[name]) for name in KNOWN_JOINTS}, outfit


def inside(mask, point) -> bool:
    x, y = np.rint(point).astype(int)
    return bool(mask[y, x])


def test_labels_of_a_standing_person_lie_on_the_body():
    layer, joints, _ = draw_standing(0.0)
    mask = layer[..., 3] > 127
    assert all(inside(mask, joints[name]) for name in LSP.keypoints if name != "head_top")
    assert inside(mask, joints["head_top"] + (0, 2))
    assert joints["left_shoulder"][0] > joints["right_shoulder"][0]


def test_the_face_shows_from_the_front_only():
    def whiteness(facing):
        layer, joints, _ = draw_standing(facing)
        x, y = np.rint(joints["left_eye"]).astype(int)
        return layer[y - 2 : y + 3, x - 4 : x + 5, :3].min(axis=2).max()

    assert whiteness(0.0) > 170
    assert whiteness(180.0) < 130


@pytest.mark.parametrize("seed", range(12))
def test_labeled_joints_lie_on_the_drawn_person(seed):
    person = draw_scene(np.random.default_rng(seed))
    # Joints lie inside the body; a pixel of tolerance for those at its thin ends.
    grown = cv2.dilate((person.mask > 60).astype(np.uint8), np.ones((5, 5), np.uint8))
    points, visible = person.keypoints(LSP)
    assert visible.sum() >= 3
    for name, point, labeled in zip(LSP.keypoints, points, visible, strict=True):
        assert not labeled or inside(grown, point), name
    x, y, width, height = person.box
    rows, columns = np.nonzero(person.mask > 127)
    assert x - 1 <= columns.min()
    assert columns.max() <= x + width + 1
    assert y - 1 <= rows.min()
    assert rows.max() <= y + height + 1
    # ... and tightly so.
    assert columns.max() - columns.min() >= 0.85 * width - 3
    assert rows.max() - rows.min() >= 0.85 * height - 3
    assert 0 < person.head_size < np.hypot(*person.image.shape[:2])


def test_skeletons_agree_on_the_joints_they_share():
    person = draw_scene(np.random.default_rng(1), distractions=False)
    for skeleton in (COCO, MPII, LSP, CROWDPOSE):
        points, visible = person.keypoints(skeleton)
        assert points.dtype == visible.dtype == np.float32
        for name, point, labeled in zip(skeleton.keypoints, points, visible, strict=True):
            assert labeled == 1
            assert point == pytest.approx(person.joints[name], abs=1e-3)


def test_joints_outside_the_image_are_unlabeled():
    scenes = [draw_scene(np.random.default_rng(seed)) for seed in range(60)]
    cut = 0
    for scene in scenes:
        height, width = scene.image.shape[:2]
        points, visible = scene.keypoints(LSP)
        true = np.array([scene.joints[name] for name in LSP.keypoints])
        within = ((true >= 0) & (true <= (width - 1, height - 1))).all(axis=1)
        assert (within == (visible == 1)).all()
        assert (points[visible == 0] == 0).all()
        cut += not within.all()
    assert 0 < cut < 20


def test_a_calm_scene_shows_the_whole_person():
    for seed in range(8):
        person = draw_scene(np.random.default_rng(seed), (160, 120), distractions=False)
        assert person.keypoints(LSP)[1].all()


def test_same_state_draws_the_same_picture_and_another_a_different_one():
    first, again, other = (draw_scene(np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)


def test_occluders_paint_just_what_their_mask_says():
    image = np.full((120, 120, 3), 99, dtype=np.uint8)
    for seed in range(12):
        drawn = image.copy()
        mask = draw_occluder(np.random.default_rng(seed), drawn, np.array([30, 20, 50, 80]))
        assert (drawn[mask == 0] == 99).all()
        assert mask.any()
