from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bihrnet.data import Person
from bihrnet.data.augmentation import Augmentation, augment, jitter_colors, joints_in_crop
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import COCO, LSP

HRNET_COCO = Augmentation(
    scale=0.35,
    rotation=45,
    rotation_probability=0.6,
    flip_probability=0.5,
    half_body_probability=0.3,
)
SIZE = (128, 96)


def person(seed=0, skeleton=LSP):
    rng = np.random.default_rng(seed)
    return Person.from_box(
        [40, 30, 80, 100],
        image=np.zeros((160, 160, 3), dtype=np.uint8),
        image_id=0,
        instance_id=0,
        keypoints=rng.uniform((50, 40), (110, 120), (len(skeleton), 2)).astype(np.float32),
        visible=np.ones(len(skeleton), dtype=np.float32),
    )


def draw(augmentation, count=2000, who=None):
    rng = np.random.default_rng(5)
    who = person() if who is None else who
    return [augment(who, LSP, SIZE, augmentation, rng) for _ in range(count)]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_content_lands_where_the_joints_land(seed):
    """A disc drawn at a joint is found where `joints_in_crop` says the joint is."""
    rng = np.random.default_rng(seed)
    who = person(seed)
    joint = int(rng.integers(len(LSP)))
    rows, columns = np.mgrid[:160, :160]
    x, y = who.keypoints[joint]
    disc = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4.0**2))
    who = replace(who, image=np.repeat(disc[..., None].astype(np.uint8), 3, axis=2))

    crop = augment(who, LSP, SIZE, HRNET_COCO, rng)
    pixels = crop.warp(who.read_image())[..., 0].astype(float)
    keypoints, visible, _ = joints_in_crop(who, LSP, crop)
    channel = LSP.flip_permutation[joint] if crop.mirror else joint  # a left hand becomes a right
    expected = keypoints[channel]
    assert visible[channel] == 1
    reach = 3 * 4.0 * SIZE[1] / crop.size[0]  # of the disc: three deviations, in crop pixels
    if (expected < reach).any() or (expected > np.array(SIZE[::-1]) - 1 - reach).any():
        return  # the border cuts the disc
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    found = np.array([(pixels * columns).sum(), (pixels * rows).sum()]) / pixels.sum()
    np.testing.assert_allclose(found, expected, atol=0.3)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_mirroring_twice_is_the_identity(seed):
    rng = np.random.default_rng(seed)
    who = person(seed, COCO)
    who = replace(who, visible=rng.integers(0, 2, len(COCO)).astype(np.float32))
    crop = who.crop(SIZE)
    mirrored, visible, _ = joints_in_crop(who, COCO, replace(crop, mirror=True))
    again = replace(who, keypoints=crop.to_image(mirrored).astype(np.float32), visible=visible)
    restored, visible, _ = joints_in_crop(again, COCO, replace(crop, mirror=True))
    np.testing.assert_allclose(restored, crop.to_input(who.keypoints), atol=1e-3)
    np.testing.assert_array_equal(visible, who.visible)


def test_mirrored_joints_swap_sides():
    who = person()
    who.visible[LSP.index("left_wrist")] = 0
    crop = replace(who.crop(SIZE), mirror=True)
    who = replace(who, weights=np.linspace(0, 1, len(LSP), dtype=np.float32))
    keypoints, visible, weights = joints_in_crop(who, LSP, crop)
    assert np.flatnonzero(visible == 0).tolist() == [LSP.index("right_wrist")]
    assert weights[LSP.index("left_knee")] == who.weights[LSP.index("right_knee")]
    straight = who.crop(SIZE).to_input(who.keypoints[LSP.index("right_knee")])
    left = keypoints[LSP.index("left_knee")]
    np.testing.assert_allclose(left, (SIZE[1] - straight[0], straight[1]))


def test_default_is_the_persons_own_crop():
    assert draw(Augmentation(), count=3) == [person().crop(SIZE)] * 3


def test_ranges_and_frequencies_are_hrnets():
    crops = draw(replace(HRNET_COCO, half_body_probability=0))
    scales = np.array([crop.size[0] for crop in crops]) / person().crop(SIZE).size[0]
    turns = np.array([crop.rotation for crop in crops])
    assert scales.min() == pytest.approx(0.65)
    assert scales.max() == pytest.approx(1.35)
    # A third of a normal distribution lies beyond one deviation: clipped to the ends.
    assert np.isclose(scales, 0.65).mean() == pytest.approx(0.16, abs=0.03)
    assert np.abs(turns).max() == 90
    assert (turns != 0).mean() == pytest.approx(0.6, abs=0.04)
    assert turns[turns != 0].std() == pytest.approx(45 * 0.96, abs=3)
    assert np.mean([crop.mirror for crop in crops]) == pytest.approx(0.5, abs=0.04)


def test_half_body_surrounds_the_joints_of_one_half():
    who = person()
    crops = draw(Augmentation(half_body_probability=1), count=500)
    centers = {}
    for name, half in (("upper", LSP.upper_body), ("lower", LSP.lower_body)):
        centers[name] = tuple(who.keypoints[list(half)].mean(axis=0, dtype=np.float64))
    found = [
        next(name for name, center in centers.items() if np.allclose(crop.center, center))
        for crop in crops
    ]
    assert found.count("upper") / 500 == pytest.approx(0.69, abs=0.06)
    upper = crops[found.index("upper")]
    extent = np.ptp(who.keypoints[list(LSP.upper_body)], axis=0)
    width = max(extent[0], extent[1] * SIZE[1] / SIZE[0])
    np.testing.assert_allclose(upper.size, (1.5 * width, 1.5 * width * SIZE[0] / SIZE[1]))


def test_half_body_needs_enough_joints():
    who = person()
    who.visible[:6] = 0  # 8 are left, HRNet wants more than 8
    always = Augmentation(half_body_probability=1)
    assert set(draw(always, 50, who)) == {who.crop(SIZE)}
    # With fewer than three joints in the lower half the upper one is taken.
    who.visible[:3] = 1
    who.visible[0] = 0
    tuned = replace(always, half_body_min_joints=5)
    upper = who.keypoints[list(LSP.upper_body)].mean(axis=0, dtype=np.float64)
    assert all(np.allclose(crop.center, upper) for crop in draw(tuned, 50, who))


def test_half_body_of_joints_on_one_spot_keeps_the_whole_person():
    who = replace(person(), keypoints=np.full((14, 2), 50, dtype=np.float32))
    assert set(draw(Augmentation(half_body_probability=1), 50, who)) == {who.crop(SIZE)}


def test_color_jitter_scales_channels_apart():
    pixels = np.full((8, 8, 3), 100, dtype=np.uint8)
    rng = np.random.default_rng(0)
    values = np.array([jitter_colors(pixels, 0.2, rng)[0, 0] for _ in range(300)])
    assert values.min() >= 80
    assert values.max() <= 120
    assert np.ptp(values, axis=0).min() > 35
    assert np.abs(np.corrcoef(values.T)[0, 1]) < 0.2
    assert jitter_colors(np.full((1, 1, 3), 255, dtype=np.uint8), 0.2, rng).max() <= 255


@pytest.mark.parametrize(
    "wrong",
    [{"scale": 1}, {"rotation": -1}, {"flip_probability": 1.5}, {"color_jitter": float("nan")}],
)
def test_values_out_of_range(wrong):
    with pytest.raises(BihrnetError, match=f"augmentation {next(iter(wrong))} is"):
        Augmentation(**wrong)
