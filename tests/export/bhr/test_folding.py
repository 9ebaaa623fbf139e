from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bihrnet.engine.packing import unpack_bits
from bihrnet.export.bhr.folding import compact, pack_weight, quantize_weight, sign_threshold

FINITE = st.floats(-1e4, 1e4, width=32)


@given(value=FINITE, mul=FINITE, add=FINITE)
@example(value=0.0, mul=0.0, add=-0.0)
@example(value=0.0, mul=-1.0, add=0.0)
@example(value=1.0, mul=-1.0, add=1.0)
@example(value=1.0, mul=1.0, add=-1.0)
def test_a_threshold_decides_as_the_affine_layer_and_sign_do(value, mul, add):
    exact = Fraction(value) * Fraction(mul) + Fraction(add)
    # Thresholds are computed in float64; nearer to zero than that only zero itself is decided.
    assume(exact == 0 or abs(exact) > Fraction(1, 10**12) * abs(Fraction(add)))
    threshold, flip = sign_threshold(np.float64([mul]), np.float64([add]))
    below = bool(np.float32(value) < threshold[0])
    assert (below != bool(flip[0])) == (exact < 0)


@given(shift=FINITE, value=FINITE)
def test_a_shift_alone_gives_an_exact_threshold(shift, value):
    threshold, flip = sign_threshold(np.ones(1), np.float64([shift]))
    assert threshold[0] == -np.float32(shift)
    assert not flip[0]
    assert (np.float32(value) + np.float32(shift) < 0) == (np.float32(value) < threshold[0])


def test_bits_of_weights_follow_the_flips_of_their_inputs():
    weight = np.float32([[1.0, -1.0, 0.0, -0.0, 2.0, -3.0]]).reshape(1, 1, 1, 6)
    flip = np.array([False, False, False, True, True, True])
    bits = unpack_bits(pack_weight(weight, flip), 6)
    assert bits.ravel().tolist() == [False, True, False, True, True, False]


@given(seed=st.integers(0, 2**32 - 1), channels=st.integers(1, 5))
def test_quantized_weights_are_within_half_a_step(seed, channels):
    random = np.random.default_rng(seed)
    weight = (random.normal(size=(channels, 3, 3, 4)) * 10.0 ** random.integers(-6, 3)).astype("f4")
    weight[0] *= random.random() < 0.8
    whole, scale = quantize_weight(weight)
    assert whole.dtype == np.int8
    assert (np.abs(whole.astype(int)) <= 127).all()
    steps = scale.reshape(-1, 1, 1, 1)
    assert (np.abs(whole * steps - weight) <= 0.5001 * steps).all()


def test_half_precision_only_where_nothing_is_lost():
    assert compact(np.float32([1.0, 0.5, -3.0]), lossless=True).dtype == np.float16
    assert compact(np.float32([1.0, 0.1]), lossless=True).dtype == np.float32
    assert compact(np.float32([1.0, 0.1]), lossless=False).dtype == np.float16
    assert compact(np.float32([1.0, 1e9]), lossless=False).dtype == np.float32
