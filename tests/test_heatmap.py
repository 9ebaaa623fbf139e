from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.heatmap import Decoding, decode, encode, flip_merge
from bihrnet.skeleton import COCO

SIZE = (64, 48)
KEYPOINTS = np.array([(50, 60), (97, 131), (30.5, 200.25)])

coordinates = st.floats(-60, 320)
sigmas = st.sampled_from([1.0, 1.5, 2.0, 3.0])
sizes = st.sampled_from([(64, 48), (96, 72), (32, 32)])


def gaussians(centers: np.ndarray, size: tuple[int, int] = SIZE, sigma: float = 2) -> np.ndarray:
    """Unrounded, uncut Gaussians: (1, K, height, width), centers in heatmap pixels."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    x, y = centers[:, 0, None, None], centers[:, 1, None, None]
    squared = (columns - x) ** 2 + (rows - y) ** 2
    return np.exp(-squared / (2 * sigma**2)).astype(np.float32)[None]


def hrnet_target(x: float, y: float, size: tuple[int, int], sigma: float) -> np.ndarray | None:
    """One heatmap pixel by pixel; None where the joint's weight is 0.

    HRNet's own weight is 1 one pixel longer on the left and above (an empty map is learnt there).
    """
    height, width = size
    center_x, center_y = int(x / 4 + 0.5), int(y / 4 + 0.5)
    radius = int(3 * sigma)
    left, right = center_x - radius, center_x + radius
    top, bottom = center_y - radius, center_y + radius
    if left >= width or top >= height or right < 0 or bottom < 0:
        return None
    target = np.zeros(size)
    for row in range(max(top, 0), min(bottom, height - 1) + 1):
        for column in range(max(left, 0), min(right, width - 1) + 1):
            squared = (row - center_y) ** 2 + (column - center_x) ** 2
            target[row, column] = math.exp(-squared / (2 * sigma**2))
    return target


def test_known_encoding() -> None:
    maps, weights = encode(KEYPOINTS, np.ones(3), SIZE, sigma=2)
    assert maps.shape == (3, *SIZE)
    assert maps.dtype == weights.dtype == np.float32
    peaks = [np.unravel_index(one.argmax(), SIZE)[::-1] for one in maps]
    assert peaks == [(13, 15), (24, 33), (8, 50)]
    np.testing.assert_allclose(maps.max(axis=(1, 2)), 1)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 25.0813, atol=1e-4)
    assert weights.tolist() == [1, 1, 1]


def test_known_decoding_with_the_quarter_offset() -> None:
    maps, _ = encode(KEYPOINTS, np.ones(3), SIZE, sigma=2)
    points, scores = decode(maps[None], "quarter")
    np.testing.assert_array_equal(points[0] * 4, [(52, 60), (96, 132), (32, 200)])
    np.testing.assert_array_equal(scores, [[1, 1, 1]])


def test_known_decoding_with_dark() -> None:
    points, scores = decode(gaussians(KEYPOINTS / 4), "dark")
    expected = [(49.9986, 60.0000), (96.9995, 131.0005), (30.5009, 200.2499)]
    np.testing.assert_allclose(points[0] * 4, expected, atol=1e-4)
    assert (scores > 0.9).all()


@given(coordinates, coordinates, sizes, sigmas)
def test_encoding_is_hrnets_pixel_by_pixel(x: float, y: float, size, sigma: float) -> None:
    maps, weights = encode([(x, y)], [1], size, sigma)
    expected = hrnet_target(x, y, size, sigma)
    assert weights[0] == (expected is not None)
    np.testing.assert_allclose(maps[0], 0 if expected is None else expected, atol=1e-6)


@given(sizes, sigmas, st.data())
def test_what_is_encoded_is_decoded_within_half_a_heatmap_pixel(size, sigma, data) -> None:
    x = data.draw(st.floats(0, size[1] - 1), label="x")
    y = data.draw(st.floats(0, size[0] - 1), label="y")
    maps, weights = encode([(4 * x, 4 * y)], [1], size, sigma)
    points, _ = decode(maps[None], "quarter")
    assert weights.tolist() == [1]
    np.testing.assert_allclose(points[0, 0], (x, y), atol=0.5 + 1e-5)


@given(st.floats(7, 40), st.floats(7, 56), st.sampled_from([("quarter", 0.25), ("dark", 0.02)]))
def test_unrounded_peaks_are_found_below_one_pixel(x: float, y: float, method) -> None:
    """Seven pixels from the border, where DARK's blur does not reach over it."""
    name, tolerance = method
    points, _ = decode(gaussians(np.array([(x, y)])), name)
    np.testing.assert_allclose(points[0, 0], (x, y), atol=tolerance + 1e-5)


@pytest.mark.parametrize("sigma", [1, 3])
def test_dark_blurs_noise_away_by_the_gaussians_own_width(sigma: float) -> None:
    """Neither less, which leaves noise, nor more, which makes peaks flat."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(20, 28, (400, 2))
    rows, columns = np.mgrid[:48, :48]
    x, y = truth.T[:, :, None, None]
    maps = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
    maps = (maps + rng.normal(0, 0.08, maps.shape)).astype(np.float32)

    def error(assumed: float) -> float:
        points, _ = decode(maps[None], "dark", assumed)
        return float(np.abs(points[0] - truth).mean())

    assert error(sigma) < min(error(sigma / 3), error(2.5 * sigma))


@pytest.mark.parametrize("missing", [np.nan, np.inf, -1e30, 1e30])
def test_coordinates_of_unlabeled_joints_do_not_matter(missing: float) -> None:
    keypoints = np.array([(50, 60), (missing, missing)])
    maps, weights = encode(keypoints, [1, 0], SIZE, 2)
    assert weights.tolist() == [1, 0]
    assert not maps[1].any()
    np.testing.assert_array_equal(maps[0], encode(keypoints[:1], [1], SIZE, 2)[0][0])


@pytest.mark.parametrize("far", [-1e30, 1e30, 1e9])
def test_a_labeled_joint_far_outside_has_weight_zero(far: float) -> None:
    maps, weights = encode([(far, 10)], [1], SIZE, 2)
    assert weights.tolist() == [0]
    assert not maps.any()


def test_a_joint_just_outside_still_shows_its_slope() -> None:
    maps, weights = encode([(-10, 100)], [1], SIZE, 2)  # center: int(-2.5 + 0.5) = -2
    assert weights.tolist() == [1]
    assert maps[0, 25, 0] == pytest.approx(math.exp(-4 / 8))
    assert encode([(-26, 100)], [1], SIZE, 2)[1].tolist() == [1]
    assert encode([(-30, 100)], [1], SIZE, 2)[1].tolist() == [0]


@pytest.mark.parametrize(
    ("x", "y", "moves"),
    [
        (2, 2, True),
        (46, 62, True),
        (1, 30, False),  # not inside on x: neither axis moves
        (47, 30, False),
        (30, 1, False),
        (30, 63, False),
    ],
)
def test_quarter_pixels_only_where_both_axes_are_inside(x: int, y: int, moves: bool) -> None:
    maps = np.zeros((1, 1, *SIZE), dtype=np.float32)
    maps[0, 0, y, x] = 1
    # Higher on the left and above, so that an offset would be negative on both axes.
    maps[0, 0, y, x - 1] = maps[0, 0, y - 1, x] = 0.5
    points, _ = decode(maps, "quarter")
    expected = (x - 0.25, y - 0.25) if moves else (x, y)
    np.testing.assert_array_equal(points[0, 0], expected)


@pytest.mark.parametrize("method", ["quarter", "dark"])
@pytest.mark.parametrize("level", [0, -1, -np.inf])
def test_without_a_positive_peak_the_point_is_the_origin(method, level) -> None:
    maps = np.full((2, 3, *SIZE), level, dtype=np.float32)
    points, scores = decode(maps, method)
    np.testing.assert_array_equal(points, np.zeros((2, 3, 2)))
    assert (scores == level).all()


@pytest.mark.parametrize("method", ["quarter", "dark"])
def test_flat_maps_do_not_move(method) -> None:
    points, scores = decode(np.full((1, 1, *SIZE), 0.5, dtype=np.float32), method)
    assert np.isfinite(points).all()
    np.testing.assert_array_equal(points[0, 0], (0, 0))
    assert scores[0, 0] == 0.5


@pytest.mark.parametrize("method", ["quarter", "dark"])
def test_decoding_leaves_its_input_alone_and_treats_maps_one_by_one(method) -> None:
    maps = np.random.default_rng(0).random((3, 4, *SIZE), dtype=np.float32)
    before = maps.copy()
    points, scores = decode(maps, method)
    np.testing.assert_array_equal(maps, before)
    alone, score = decode(maps[1:2, 2:3], method)
    np.testing.assert_allclose(points[1, 2], alone[0, 0], rtol=1e-5)
    assert scores[1, 2] == score[0, 0]


def test_flip_merge_swaps_sides_reverses_columns_and_shifts_by_one() -> None:
    mirrored = np.zeros((1, 17, *SIZE), dtype=np.float32)
    right_wrist = COCO.index("right_wrist")
    mirrored[0, right_wrist, 20, 10] = 1
    merged = flip_merge(np.zeros_like(mirrored), mirrored, COCO.flip_permutation)
    (joint, row, column) = (int(index[0]) for index in np.nonzero(merged[0]))
    assert COCO.keypoints[joint] == "left_wrist"
    assert (row, column) == (20, 48 - 1 - 10 + 1)
    assert merged.max() == 0.5


def test_flip_merge_keeps_the_first_column_of_the_restored_maps() -> None:
    """HRNet's shift overwrites columns 1 to the end; column 0 keeps what it had."""
    mirrored = np.random.default_rng(0).random((2, 17, *SIZE), dtype=np.float32)
    merged = flip_merge(np.zeros_like(mirrored), mirrored, COCO.flip_permutation)
    restored = mirrored[:, COCO.flip_permutation, :, ::-1] / 2
    np.testing.assert_allclose(merged[..., 0], restored[..., 0])
    np.testing.assert_allclose(merged[..., 1:], restored[..., :-1])


@given(st.floats(8, 38), st.floats(8, 54))
def test_the_shift_undoes_three_quarters_of_a_pixel(x: float, y: float) -> None:
    """Input pixel 4x mirrors to 191 - 4x, hence heatmap x to 47.75 - x, and not to 47 - x.

    Flipped back it lies 0.75 pixels too far left, shifted 0.25 too far right.
    """
    mirrored = gaussians(np.array([((191 - 4 * x) / 4, y)]))
    merged = flip_merge(np.zeros_like(mirrored), mirrored, np.array([0]))
    points, _ = decode(merged, "dark")
    np.testing.assert_allclose(points[0, 0], (x + 0.25, y), atol=0.02)


def test_every_decoding_has_its_refinement() -> None:
    for method in get_args(Decoding):
        points, _ = decode(gaussians(KEYPOINTS / 4), method)
        np.testing.assert_allclose(points[0], KEYPOINTS / 4, atol=0.25 + 1e-5)
