from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.errors import BihrnetError
from bihrnet.export.bhr.calibration import quantization_range


@given(
    low=st.floats(-100, 100),
    width=st.floats(1e-3, 100),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_range_holds_zero_exactly_and_loses_little(low, width, seed):
    samples = np.random.default_rng(seed).uniform(low, low + width, 500).astype(np.float32)
    inverse_scale, zero_point = quantization_range(samples, "x")
    assert np.float32(inverse_scale) == inverse_scale > 0
    assert 0 <= zero_point <= 255
    steps = np.clip(np.rint(samples * np.float32(inverse_scale)) + zero_point, 0, 255)
    error = (steps - zero_point) / inverse_scale - samples
    span = max(samples.max(), 0) - min(samples.min(), 0)
    # A uniform error of one step of the whole range, and rounding of the zero point.
    assert np.sqrt((error**2).mean()) < 1.5 * span / 255


def test_non_negative_values_use_all_steps():
    samples = np.float32([0, 0.5, 1])
    assert quantization_range(samples, "x")[1] == 0


def test_rare_large_values_are_cut_off():
    samples = np.random.default_rng(0).normal(size=400_000).astype(np.float32)
    samples[0] = 40
    inverse_scale, zero_point = quantization_range(samples, "x")
    assert (255 - zero_point) / inverse_scale < 30


def test_a_silent_layer_has_a_range():
    assert quantization_range(np.zeros(10, np.float32), "x") == (1.0, 0)


def test_values_that_are_not_finite_are_told():
    with pytest.raises(BihrnetError, match="layer conv1 gives values that are not finite"):
        quantization_range(np.float32([1, np.inf]), "conv1")
