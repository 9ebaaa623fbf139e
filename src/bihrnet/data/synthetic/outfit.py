"""What a person wears: skin, hair, fabrics and where they end. Colors are RGB in 0..1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bihrnet.data.synthetic.body import Array
from bihrnet.data.synthetic.paint import draw_color

_PATTERNS = ("plain", "hoops", "stripes", "checks")
# From light to dark, as photographs show them.
_SKIN = np.array([[0.96, 0.82, 0.73], [0.80, 0.60, 0.46], [0.47, 0.31, 0.21], [0.29, 0.19, 0.14]])
_HAIR = np.array([[0.06, 0.05, 0.05], [0.32, 0.20, 0.11], [0.80, 0.65, 0.38], [0.62, 0.60, 0.58]])


@dataclass(frozen=True)
class Fabric:
    """Two colors in a pattern, one of "plain", "hoops", "stripes" and "checks"."""

    base: Array
    second: Array
    pattern: str

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Fabric:
        """A random fabric, plain more often than not."""
        pattern = str(rng.choice(_PATTERNS, p=(0.64, 0.12, 0.12, 0.12)))
        return cls(draw_color(rng), draw_color(rng), pattern)

    def paint(self, rings: int, sides: int) -> Array:
        """(rings, sides, 3) colors of a tube's faces."""
        ring, side = np.ogrid[:rings, :sides]
        second = np.zeros((rings, sides), dtype=bool)
        if self.pattern in ("hoops", "checks"):
            second = second ^ (ring % 2 == 1)
        if self.pattern in ("stripes", "checks"):
            second = second ^ (side // 2 % 2 == 1)
        return np.where(second[..., None], self.second, self.base)


@dataclass(frozen=True)
class Outfit:
    """Clothes of one person.

    Attributes:
        skin, hair: colors.
        long_hair: whether it falls to the shoulders.
        top, bottom: fabrics of the upper and lower body; without a top the chest is bare.
        sleeve: 0 none, 1 to the elbow, 2 to the wrist.
        leg: 0 briefs, 1 to the knee, 2 to the ankle.
        shoes: color; the skin's for bare feet.
        loose: thickness that the clothes add, in statures.
    """

    skin: Array
    hair: Array
    long_hair: bool
    top: Fabric | None
    bottom: Fabric
    sleeve: float
    leg: float
    shoes: Array
    loose: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Outfit:
        """A random outfit."""
        skin = draw_skin(rng)
        top = Fabric.draw(rng) if rng.random() < 0.95 else None
        return cls(
            skin=skin,
            hair=_HAIR[int(rng.integers(len(_HAIR)))] * rng.uniform(0.75, 1.25),
            long_hair=bool(rng.random() < 0.35),
            top=top,
            bottom=top if top is not None and rng.random() < 0.15 else Fabric.draw(rng),
            sleeve=float(rng.choice([0.0, 0.7, 1.0, 1.95], p=[0.18, 0.35, 0.12, 0.35])),
            leg=float(rng.choice([0.1, 0.5, 0.95, 1.95], p=[0.1, 0.2, 0.15, 0.55])),
            shoes=skin if rng.random() < 0.2 else draw_color(rng),
            loose=float(rng.uniform(0.001, 0.014)),
        )


def draw_skin(rng: np.random.Generator) -> Array:
    """A skin color between light and dark."""
    tone = rng.random() * (len(_SKIN) - 1)
    low = min(int(tone), len(_SKIN) - 2)
    mixed = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    return np.clip(mixed * rng.uniform(0.92, 1.06), 0, 1)
