"""Crops through a model: batches, flip test, decoding, image pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from bihrnet.crop import Crop
from bihrnet.errors import BihrnetError
from bihrnet.heatmap import Decoding, decode, flip_merge
from bihrnet.model import ModelSpec, decode_crops, predict_crops
from bihrnet.skeleton import LSP

SIZE = (64, 48)


class Noise:
    """Heatmaps that follow from the pixels of each crop, different for its mirror image."""

    def __init__(self, stride: int = 4, decoding: Decoding = "quarter", sigma: float = 2.0) -> None:
        self.spec = ModelSpec("noise", LSP, SIZE, stride, decoding, sigma=sigma)
        self.batches: list[int] = []

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        assert crops.flags.c_contiguous
        self.batches.append(len(crops))
        shape = (len(LSP), SIZE[0] // self.spec.stride, SIZE[1] // self.spec.stride)
        seeds = [crop.astype(np.int64).sum(axis=(0, 2)) for crop in crops]
        maps = [np.random.default_rng(seed).random(shape, dtype=np.float32) for seed in seeds]
        return np.stack(maps)


def people(count: int) -> tuple[list[Crop], list[np.ndarray]]:
    rng = np.random.default_rng(0)
    boxes = rng.uniform(10, 90, (count, 4))
    pixels = rng.integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
    return [Crop.from_box(box, SIZE) for box in boxes], list(pixels)


def expected(
    model: Noise,
    crops: Sequence[Crop],
    pixels: Sequence[np.ndarray],
    flip: bool,
    decoding: Decoding,
) -> np.ndarray:
    """One person after the other, step by step."""
    rows = []
    for crop, picture in zip(crops, pixels, strict=True):
        maps = model(picture[None])
        if flip:
            mirrored = model(np.ascontiguousarray(picture[None, :, ::-1]))
            maps = flip_merge(maps, mirrored, LSP.flip_permutation)
        peaks, scores = decode(maps, decoding, model.spec.sigma)
        points = crop.to_image(peaks[0] * model.spec.stride)
        rows.append(np.column_stack([points, scores[0]]))
    return np.array(rows, dtype=np.float32)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("model", [Noise(), Noise(8, "dark", 1.0)])
def test_every_crop_is_decoded_as_the_spec_says(model: Noise, flip: bool) -> None:
    crops, pixels = people(5)
    found = predict_crops(model, crops, pixels, flip_test=flip, batch_size=2)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, expected(model, crops, pixels, flip, model.spec.decoding), rtol=1e-5
    )


def test_another_decoding_can_be_asked_for() -> None:
    model, (crops, pixels) = Noise(), people(3)
    found = predict_crops(model, crops, pixels, decoding="dark")
    np.testing.assert_allclose(found, expected(model, crops, pixels, False, "dark"), rtol=1e-5)


def test_crops_go_through_in_batches_and_mirrored_ones_beside_them() -> None:
    model, (crops, pixels) = Noise(), people(5)
    predict_crops(model, crops, pixels, batch_size=2)
    assert model.batches == [2, 2, 1]
    model.batches.clear()
    predict_crops(model, crops, pixels, flip_test=True, batch_size=3)
    assert model.batches == [3, 3, 2, 2]


def test_nobody_takes_no_run() -> None:
    model = Noise()
    assert predict_crops(model, [], []).shape == (0, 14, 3)
    assert model.batches == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_heatmaps_that_are_not_finite_are_refused(value: float) -> None:
    (crop,), (picture,) = people(1)
    maps = Noise()(picture[None])
    maps[0, 3, 5, 5] = value
    with pytest.raises(BihrnetError, match="noise gives heatmaps that are not finite"):
        decode_crops(Noise().spec, [crop], maps)
