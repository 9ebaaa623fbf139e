from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.crop import BOX_PADDING, Crop, grow_to_aspect
from bihrnet.errors import BihrnetError

coordinates = st.floats(-2000, 2000)
lengths = st.floats(5, 3000)
outputs = st.sampled_from([(256, 192), (384, 288), (256, 256), (128, 128)])


@st.composite
def crops(draw: st.DrawFn) -> Crop:
    output = draw(outputs)
    return Crop(
        center=(draw(coordinates), draw(coordinates)),
        size=grow_to_aspect((draw(lengths), draw(lengths)), output),
        output=output,
        rotation=draw(st.floats(-180, 180)),
        mirror=draw(st.booleans()),
    )


points = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=5).map(np.array)


def hrnet_affine(center, width, rotation, output) -> np.ndarray:
    """HRNet's `get_affine_transform`: center, a point above it, and one at a right angle."""
    angle = np.deg2rad(rotation)
    up = np.array([np.sin(angle), -np.cos(angle)]) * width / 2
    source = np.array([center, center + up, center + up + [up[1], -up[0]]], dtype=np.float32)
    height, out_width = output
    middle, half = height / 2, out_width / 2
    target = np.array([(half, middle), (half, middle - half), (0, middle - half)], np.float32)
    return cv2.getAffineTransform(source, target)


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (0, [[4, 0, -300], [0, 4, -300]]),
        (45, [[2.828427, 2.828427, -465.685303], [-2.828427, 2.828427, 100]]),
    ],
)
def test_known_affines(rotation: float, expected: list[list[float]]) -> None:
    crop = Crop((100, 100), (50, 50), (200, 200), rotation)
    np.testing.assert_allclose(crop.matrix, expected, rtol=1e-6, atol=1e-4)


@given(
    st.tuples(st.floats(0, 640), st.floats(0, 480)), st.floats(20, 600), st.floats(-90, 90), outputs
)
def test_matrix_is_hrnets(center, width, rotation, output) -> None:
    size = (width, width * output[0] / output[1])
    expected = hrnet_affine(np.array(center), width, rotation, output)
    # Their three points are float32, worth some 1e-4 of a pixel.
    matrix = Crop(center, size, output, rotation).matrix
    corners = np.array([[0, 0, 1], [640, 0, 1], [0, 480, 1]])
    np.testing.assert_allclose(corners @ matrix.T, corners @ expected.T, rtol=1e-4, atol=0.05)


@given(crops(), points)
def test_to_image_undoes_to_input(crop: Crop, image_points: np.ndarray) -> None:
    there_and_back = crop.to_image(crop.to_input(image_points))
    np.testing.assert_allclose(there_and_back, image_points, atol=1e-5)


@given(crops())
def test_the_center_lands_in_the_middle_and_the_width_fills_the_input(crop: Crop) -> None:
    height, width = crop.output
    np.testing.assert_allclose(crop.to_input(crop.center), [width / 2, height / 2], atol=1e-6)
    ends = crop.to_image([[0, height / 2], [width, height / 2]])
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(crop.size[0], rel=1e-6)


@given(crops(), points, st.integers(50, 2000))
def test_mirroring_is_flipping_the_image_first(crop: Crop, image_points, width: int) -> None:
    """The image's columns reversed, x -> width - 1 - x, and the center moved with them."""
    mirrored = Crop(crop.center, crop.size, crop.output, crop.rotation, mirror=True)
    center = (width - 1 - crop.center[0], crop.center[1])
    flipped_first = Crop(center, crop.size, crop.output, crop.rotation)
    flipped_points = np.column_stack([width - 1 - image_points[:, 0], image_points[:, 1]])
    np.testing.assert_allclose(
        mirrored.to_input(image_points), flipped_first.to_input(flipped_points), atol=1e-6
    )


def test_warped_pixels_of_a_mirrored_crop_are_those_of_the_flipped_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (9, 9), 3)
    crop = Crop((50, 40), (60, 80), (256, 192), rotation=20, mirror=True)
    flipped_first = Crop((119 - 50, 40), (60, 80), (256, 192), rotation=20)
    difference = crop.warp(image).astype(int) - flipped_first.warp(image[:, ::-1].copy())
    assert np.abs(difference).max() <= 2


def test_warp_of_the_unscaled_image_is_the_image_itself() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)
    crop = Crop((24, 32), (48, 64), (64, 48))
    np.testing.assert_array_equal(crop.warp(image), image)


def test_warp_is_black_outside_and_follows_its_own_points() -> None:
    image = np.full((100, 100, 3), 200, dtype=np.uint8)
    image[70, 30] = (255, 0, 0)
    crop = Crop((0, 100), (80, 80), (160, 160))
    warped = crop.warp(image)
    assert warped.shape == (160, 160, 3)
    assert warped.dtype == np.uint8
    assert not warped[:, :75].any()
    assert not warped[85:].any()
    x, y = crop.to_input((30, 70)).round().astype(int)
    np.testing.assert_array_equal(warped[y, x], (255, 0, 0))


def test_positive_rotation_turns_the_content_counter_clockwise() -> None:
    crop = Crop((50, 50), (100, 100), (100, 100), rotation=90)
    np.testing.assert_allclose(crop.to_input((80, 50)), (50, 20), atol=1e-9)


@given(st.tuples(coordinates, coordinates, lengths, lengths), outputs)
def test_crop_of_a_box_holds_the_padded_box_and_has_the_inputs_aspect(box, output) -> None:
    crop = Crop.from_box(box, output)
    x, y, width, height = box
    assert crop.center == pytest.approx((x + width / 2, y + height / 2))
    assert crop.size[0] / crop.size[1] == pytest.approx(output[1] / output[0])
    assert crop.size[0] == pytest.approx(BOX_PADDING * max(width, height * output[1] / output[0]))
    assert crop.size[0] >= BOX_PADDING * width - 1e-6
    assert crop.size[1] >= BOX_PADDING * height - 1e-6


def test_augmenting_scales_about_the_center() -> None:
    crop = Crop.from_box((10, 20, 30, 40), (256, 192)).augmented(1.5, 30, mirror=True)
    assert crop.center == (25, 40)
    assert crop.size == pytest.approx((1.5 * 37.5, 1.5 * 50))
    assert crop.rotation == 30
    assert crop.mirror


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 10), (0, 0, 10, -1), (float("nan"), 0, 1, 1), (0, 0, float("inf"), 1)]
)
def test_a_box_that_is_empty_or_not_finite_is_refused(box) -> None:
    with pytest.raises(BihrnetError, match="empty or not finite"):
        Crop.from_box(box, (256, 192))


@pytest.mark.parametrize(
    ("center", "size"), [((0, float("nan")), (1, 1)), ((0, 0), (0, 1)), ((0, 0), (1, float("inf")))]
)
def test_a_crop_without_extent_is_refused(center, size) -> None:
    with pytest.raises(BihrnetError, match="no crop"):
        Crop(center, size, (256, 192))
