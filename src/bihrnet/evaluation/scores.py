"""What every metric protocol returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Metrics of predictions; percent for PCK and PCKh, 0..1 for AP and AR.

    Attributes:
        metrics: by name; one that cannot be computed is absent.
        by_joint: of PCK and PCKh, metric -> joint -> value.
        by_group: of MPII, metric -> group of HRNet's table (Head, Shoulder, ..., Mean) -> value.
        left_out: of PCK and PCKh, metric -> people without the reference length.
    """

    metrics: dict[str, float]
    by_joint: dict[str, dict[str, float]] = field(default_factory=dict)
    by_group: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


def finite(values: Mapping[str, float]) -> dict[str, float]:
    """The values without those that could not be computed (NaN)."""
    return {name: value for name, value in values.items() if np.isfinite(value)}
