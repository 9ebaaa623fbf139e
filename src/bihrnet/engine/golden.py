"""The golden of a model file: a fixed picture and a summary of the heatmaps that belong to it.

A hash would be of no use: float arithmetic may differ in the last bit between instruction sets, and
in a binary network one such bit can turn a sign. The digest therefore is the mean and the standard
deviation of every heatmap, which a wrong layer, channel order or kernel changes a lot and
a turned sign hardly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError

#: Largest difference that passes, as a share of the largest standard deviation of a heatmap.
TOLERANCE = 0.05


@dataclass(frozen=True)
class Golden:
    """Input seed and output digest.

    Attributes:
        seed: of `golden_image`.
        mean: K means of the heatmaps.
        deviation: K standard deviations.
    """

    seed: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, seed: int, heatmaps: NDArray[np.float32]) -> Golden:
        """Digest of (1, K, h, w) heatmaps of the image of that seed."""
        maps = heatmaps[0].astype(np.float64)
        return cls(
            seed,
            tuple(float(f"{value:.6g}") for value in maps.mean(axis=(1, 2))),
            tuple(float(f"{value:.6g}") for value in maps.std(axis=(1, 2))),
        )

    @classmethod
    def from_json(cls, data: Any, joints: int) -> Golden:
        """Inverse of `dataclasses.asdict`, strictly.

        Raises:
            BihrnetError: a field is missing, unknown, of the wrong kind or length.
        """
        if not isinstance(data, Mapping) or set(data) != {"seed", "mean", "deviation"}:
            raise BihrnetError("the golden needs exactly the fields seed, mean and deviation")
        seed = data["seed"]
        if type(seed) is not int or not 0 <= seed < 2**32:
            raise BihrnetError("the golden's seed is no integer from 0 to 2^32 - 1")
        for key in ("mean", "deviation"):
            values = data[key]
            numbers = isinstance(values, list) and all(type(v) in (int, float) for v in values)
            if not numbers or len(values) != joints or not all(abs(v) < 1e30 for v in values):
                raise BihrnetError(f"the golden's {key} is not a list of {joints} finite numbers")
        return cls(seed, tuple(map(float, data["mean"])), tuple(map(float, data["deviation"])))

    def difference(self, heatmaps: NDArray[np.float32]) -> float:
        """How far the digest of (1, K, h, w) heatmaps of `golden_image` lies from this one.

        It is the largest difference of a mean or deviation, as a share of the largest deviation.
        """
        found = Golden.of(self.seed, heatmaps)
        means = np.subtract(found.mean, self.mean)
        deviations = np.subtract(found.deviation, self.deviation)
        largest = float(np.abs([means, deviations]).max())
        scale = max(self.deviation)
        if largest == 0:
            return 0.0
        return largest / scale if scale > 0 else math.inf

    def matches(self, heatmaps: NDArray[np.float32]) -> bool:
        """Whether the (1, K, h, w) heatmaps of `golden_image` have this digest."""
        return self.difference(heatmaps) <= TOLERANCE


def golden_image(seed: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """(1, height, width, 3) uint8: random squares of 8 x 8 pixels.

    The legacy generator is used because NumPy guarantees that its stream never changes.
    """
    height, width = size
    rows, columns = -(-height // 8), -(-width // 8)
    levels = np.random.RandomState(seed).bytes(rows * columns * 3)
    squares = np.frombuffer(levels, np.uint8).reshape(rows, columns, 3)
    return squares.repeat(8, axis=0).repeat(8, axis=1)[None, :height, :width]
