from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bihrnet.engine.packing import (
    pack_bits,
    pack_ternary,
    pad_bits_are_zero,
    unpack_bits,
    unpack_ternary,
)


@given(channels=st.integers(1, 520), seed=st.integers(0, 2**32 - 1))
def test_packing_is_the_inverse_of_unpacking(channels, seed):
    bits = np.random.default_rng(seed).random((3, 2, channels)) < 0.5
    words = pack_bits(bits)
    assert words.dtype == np.uint64
    assert words.shape == (3, 2, -(-channels // 64))
    np.testing.assert_array_equal(unpack_bits(words, channels), bits)
    assert pad_bits_are_zero(words, channels)


def test_channel_c_is_bit_c_of_a_little_endian_word():
    bits = np.zeros(70, dtype=bool)
    bits[[0, 9, 63, 64, 69]] = True
    assert pack_bits(bits).tolist() == [1 | 1 << 9 | 1 << 63, 1 | 1 << 5]


@given(channels=st.integers(1, 200), data=st.data())
def test_a_set_pad_bit_is_found(channels, data):
    words = pack_bits(np.zeros((2, channels), dtype=bool))
    if channels % 64:
        bit = data.draw(st.integers(channels % 64, 63))
        words[1, -1] |= np.uint64(1 << bit)
        assert not pad_bits_are_zero(words, channels)


def test_ternary_weights_are_bits_of_plus_one_then_of_minus_one():
    assert pack_ternary(np.array([1, 0, -1, -1, 1])).tolist() == [[0b10001], [0b01100]]


@given(channels=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_ternary_packing_is_the_inverse_of_unpacking(channels, seed):
    weight = np.random.default_rng(seed).integers(-1, 2, (3, 2, channels))
    words = pack_ternary(weight)
    assert words.shape == (2, 3, 2, -(-channels // 64))
    np.testing.assert_array_equal(unpack_ternary(words, channels), weight)
