"""What a person wears: skin, hair, fabrics and where they end. Colors are RGB in 0..1."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from bihrnet.data.synthetic.body import Array

#: Patterns of a `Fabric`.
PATTERNS = ("plain", "hoops", "stripes", "checks", "side stripe", "mottled", "blocks")
_PATTERN_SHARES = (0.50, 0.10, 0.07, 0.07, 0.09, 0.09, 0.08)
HAIR_STYLES = ("short", "bald", "bob", "long", "ponytail", "bun", "cap", "helmet")
_SHORT_HAIRED = np.array([0.68, 0.10, 0.02, 0.03, 0.02, 0.01, 0.09, 0.05])
_LONG_HAIRED = np.array([0.16, 0.01, 0.17, 0.24, 0.22, 0.12, 0.05, 0.03])

# From very light to very dark, as photographs show them.
_SKIN = np.array(
    [[0.96, 0.82, 0.73], [0.90, 0.71, 0.58], [0.80, 0.60, 0.46], [0.66, 0.46, 0.33],
     [0.47, 0.31, 0.21], [0.29, 0.19, 0.14]]
)  # fmt: skip
_HAIR = np.array(
    [[0.06, 0.05, 0.05], [0.16, 0.10, 0.07], [0.32, 0.20, 0.11], [0.52, 0.33, 0.17],
     [0.80, 0.65, 0.38], [0.55, 0.22, 0.10], [0.62, 0.60, 0.58]]
)  # fmt: skip
_HAIR_SHARES = (0.28, 0.26, 0.18, 0.09, 0.09, 0.04, 0.06)


@dataclass(frozen=True)
class Fabric:
    """A pattern of two colors.

    Attributes:
        base, second: (3,) colors.
        pattern: one of `PATTERNS`.
        period: length of one repetition, in statures.
    """

    base: Array
    second: Array
    pattern: str = "plain"
    period: float = 0.05

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Fabric:
        """A random fabric."""
        return cls(
            base=draw_color(rng),
            second=draw_color(rng),
            pattern=str(rng.choice(PATTERNS, p=_PATTERN_SHARES)),
            period=float(rng.uniform(0.025, 0.11)),
        )

    def paint(self, along: Array, around: Array, outer: float) -> Array:
        """Colors of a tube's faces.

        Args:
            along: (n, 1) distance along the part, in statures.
            around: (1, m) angle around it, 0 at the person's left, pi / 2 in front.
            outer: angle of the part's outer side (for the stripe on trousers).

        Returns:
            (n, m, 3) colors.
        """
        turns = around / (2 * np.pi)
        if self.pattern == "hoops":
            second = (along / self.period) % 1 < 0.5
        elif self.pattern == "stripes":
            second = (turns * 8) % 1 < 0.5
        elif self.pattern == "checks":
            second = ((along / self.period) % 1 < 0.5) ^ ((turns * 6) % 1 < 0.5)
        elif self.pattern == "side stripe":
            second = np.cos(around - outer) > 0.9
        elif self.pattern == "mottled":
            second = np.sin(np.floor(along / 0.018) * 12.9898 + np.floor(turns * 12) * 78.233) > 0.2
        elif self.pattern == "blocks":
            second = along > 2.2 * self.period
        else:
            second = np.zeros((1, 1), dtype=bool)
        shape = (along.shape[0], around.shape[1])
        mask = np.broadcast_to(second, shape)[..., None]
        return np.where(mask, self.second, self.base)


@dataclass(frozen=True)
class Outfit:
    """Clothes of one person.

    Attributes:
        skin, hair: colors.
        hair_style: one of `HAIR_STYLES`; a cap or helmet has `headwear`'s color.
        beard: whether the jaw has the hair's color.
        top: fabric of the upper body, None for a bare chest.
        sleeve: 0 none, 1 to the elbow, 2 to the wrist.
        waist: where the top ends along the spine: 0 pelvis, 1 thorax; below 0 it hangs over.
        bottom: fabric of trousers, shorts or briefs; of a leotard, the top's.
        leg: 0 briefs, 1 to the knee, 2 to the ankle.
        skirt: length from the waist in thigh lengths, 0 for none.
        shoes: color, None for bare feet.
        sock: height of the socks as a share of the shank, and their color.
        loose_top, loose_bottom: thickness that the clothes add, in statures.
    """

    skin: Array
    hair: Array
    hair_style: str
    headwear: Array
    beard: bool
    top: Fabric | None
    sleeve: float
    waist: float
    bottom: Fabric
    leg: float
    skirt: float
    shoes: Array | None
    sock: float
    sock_color: Array
    loose_top: float
    loose_bottom: float

    @classmethod
    def draw(cls, rng: np.random.Generator, female: float) -> Outfit:
        """A random outfit: street clothes, sportswear, a leotard, swimwear, a skirt or a dress."""
        top: Fabric | None = Fabric.draw(rng)
        bottom = Fabric.draw(rng)
        if bottom.pattern in ("hoops", "checks", "mottled", "blocks") and rng.random() < 0.75:
            bottom = Fabric(bottom.base, bottom.second, "plain")
        sleeve = float(rng.choice([0.0, 0.7, 1.0, 1.5, 1.95], p=[0.17, 0.33, 0.09, 0.06, 0.35]))
        leg = float(rng.choice([0.0, 0.45, 0.9, 1.4, 1.9], p=[0.06, 0.16, 0.14, 0.06, 0.58]))
        loose_top, loose_bottom = rng.uniform(0.001, 0.014), rng.uniform(0.001, 0.014)
        waist, skirt = float(rng.uniform(-0.15, 0.25)), 0.0
        kind = rng.random()
        if kind < 0.10:  # leotard or unitard
            assert top is not None
            bottom, loose_top, loose_bottom, waist = top, 0.0005, 0.0005, 0.0
            sleeve = float(rng.choice([0.0, 1.95]))
            leg = float(rng.choice([0.0, 1.9], p=[0.7, 0.3]))
        elif kind < 0.10 + 0.10 * (1 - female):  # bare chest
            top, sleeve = None, 0.0
        elif kind < 0.26 and female > 0.5:  # skirt or dress
            skirt, leg, waist = float(rng.uniform(0.5, 1.5)), 0.0, 0.3
            loose_top = 0.001
            if rng.random() < 0.5 and top is not None:
                bottom = top
        hair = np.asarray(_HAIR[int(rng.choice(len(_HAIR), p=_HAIR_SHARES))])
        styles = _LONG_HAIRED if rng.random() < 0.15 + 0.7 * female else _SHORT_HAIRED
        barefoot = rng.random() < (0.6 if leg == 0 and skirt == 0 else 0.12)
        return cls(
            skin=draw_skin(rng),
            hair=np.clip(hair * rng.uniform(0.75, 1.25), 0, 1),
            hair_style=str(rng.choice(HAIR_STYLES, p=styles / styles.sum())),
            headwear=draw_color(rng),
            beard=bool(female < 0.5 and rng.random() < 0.25),
            top=top,
            sleeve=sleeve,
            waist=waist,
            bottom=bottom,
            leg=leg,
            skirt=skirt,
            shoes=None if barefoot else draw_color(rng),
            sock=0.0 if barefoot or rng.random() < 0.4 else float(rng.uniform(0.08, 0.6)),
            sock_color=np.full(3, 0.9) if rng.random() < 0.6 else draw_color(rng),
            loose_top=float(loose_top),
            loose_bottom=float(loose_bottom),
        )


def draw_color(rng: np.random.Generator) -> Array:
    """A color as clothes and things have them: grays, whites, blacks, muted and bright ones."""
    kind = rng.random()
    if kind < 0.14:
        return np.clip(rng.uniform(0.82, 0.97) + rng.uniform(-0.02, 0.02, 3), 0, 1)
    if kind < 0.32:
        return np.clip(rng.uniform(0.05, 0.18) + rng.uniform(-0.02, 0.02, 3), 0, 1)
    if kind < 0.42:
        return np.clip(rng.uniform(0.25, 0.75) + rng.uniform(-0.03, 0.03, 3), 0, 1)
    hue = rng.uniform(0.56, 0.68) if kind < 0.55 else rng.random()
    saturation, value = rng.uniform(0.2, 0.95), rng.uniform(0.2, 0.95)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def draw_skin(rng: np.random.Generator) -> Array:
    """A skin color between very light and very dark."""
    tone = rng.random() * (len(_SKIN) - 1)
    low = min(int(tone), len(_SKIN) - 2)
    mixed = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    return np.clip(mixed * rng.uniform(0.92, 1.06) + rng.uniform(-0.02, 0.02, 3), 0, 1)
