"""Bits in 64-bit words: channel c is bit c % 64 of word c // 64; of signs, 1 = negative."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.engine.graph import packed_words


def pack_bits(negative: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """(..., channels) of bool, true where negative -> (..., ceil(channels / 64)), pad bits 0."""
    channels = negative.shape[-1]
    words = packed_words(channels)
    padded = np.zeros((*negative.shape[:-1], words * 64), dtype=np.bool_)
    padded[..., :channels] = negative
    packed = np.packbits(padded, axis=-1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def unpack_bits(words: NDArray[np.uint64], channels: int) -> NDArray[np.bool_]:
    """Inverse of `pack_bits`: (..., ceil(channels / 64)) -> (..., channels) of bool."""
    packed = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(packed, axis=-1, count=channels, bitorder="little").astype(np.bool_)


def pad_bits_are_zero(words: NDArray[np.uint64], channels: int) -> bool:
    """Whether all bits behind the last channel are 0."""
    used = channels - 64 * (words.shape[-1] - 1)
    return used == 64 or not np.any(words[..., -1] >> np.uint64(used))


def pack_ternary(weight: NDArray[Any]) -> NDArray[np.uint64]:
    """(..., channels) of -1, 0 and +1 -> (2, ..., ceil(channels / 64)): bits of +1, then of -1."""
    return np.stack([pack_bits(weight > 0), pack_bits(weight < 0)])


def unpack_ternary(words: NDArray[np.uint64], channels: int) -> NDArray[np.int8]:
    """Inverse of `pack_ternary`."""
    positive, negative = unpack_bits(words, channels).astype(np.int8)
    return positive - negative
