"""Meshes made of tubes: rings of an ellipse swept along a line, closed at both ends.

A tube's frame has the ring's left axis in column 0 and its front axis in column 2, and the sweep
runs against column 1, as a limb hangs down; faces then turn outward. Lengths are in statures.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bihrnet.data.synthetic.body import Array
from bihrnet.data.synthetic.outfit import Fabric

# A ball by height: height and radius in units of its own.
_BALL = np.array([[1.0, 0.03], [0.75, 0.66], [0.1, 0.99], [-0.6, 0.8], [-1.0, 0.03]])
# A limb's rounded ends: distance from the joint and width, in units of the limb's radius there.
_CAP = np.array([[1.0, 0.02], [0.8, 0.6]])
_LIMB_SIDES, _BALL_SIDES = 12, 8
_FINE_STEPS = 4  # rings between two of a profile where the mesh is fine


@dataclass(frozen=True)
class Mesh:
    """Quadrilaterals.

    Attributes:
        corners: (F, 4, 3) in statures, y up, z to the camera, counter-clockwise from outside.
        colors: (F, 3) RGB in 0..1, unlit.
    """

    corners: Array
    colors: Array


@dataclass(frozen=True)
class Cover:
    """Cloth over the first part of a limb.

    Attributes:
        fabric: what it is made of.
        share: of the limb's length that is covered, from its start; 0 or less is nothing.
        loose: thickness that the cloth adds, in statures.
    """

    fabric: Fabric
    share: float
    loose: float


@dataclass(frozen=True)
class _Tube:
    centers: Array
    frames: Array
    half_width: Array
    half_depth: Array
    colors: Array


class Sewing:
    """Collects tubes and sweeps those of the same shape in one go.

    Args:
        fine: whether to use more and smoother faces, for people larger than some 200 pixels.
    """

    def __init__(self, fine: bool) -> None:
        self._fine = fine
        self._tubes: dict[tuple[int, int], list[_Tube]] = {}

    def angles(self, sides: int) -> Array:
        """(1, m) middle angles of a ring's faces: 0 at the left axis, pi / 2 at the front."""
        return _ring(self._sides(sides))[2]

    def profile(self, rows: Array) -> Array:
        """Rings (n, columns) of a coarse profile, whose first column is the place along it.

        A fine mesh gets more of them along a smooth curve (cubic Hermite).
        """
        if not self._fine:
            return rows
        place, values = rows[:, 0], rows[:, 1:]
        slope = np.gradient(values, place, axis=0)
        steps = np.linspace(0, 1, _FINE_STEPS, endpoint=False)[None, :, None]
        width = np.diff(place)[:, None, None]
        curve = (
            values[:-1, None] * (1 + 2 * steps) * (1 - steps) ** 2
            + values[1:, None] * steps**2 * (3 - 2 * steps)
            + slope[:-1, None] * width * steps * (1 - steps) ** 2
            + slope[1:, None] * width * steps**2 * (steps - 1)
        )
        inner = np.concatenate([place[:-1, None, None] + width * steps, curve], axis=2)
        return np.concatenate([inner.reshape(-1, rows.shape[1]), rows[-1:]])

    def tube(
        self, centers: Array, frames: Array, half_width: Array, half_depth: Array,
        colors: Array, sides: int,
    ) -> None:  # fmt: skip
        """Sweep n rings; `frames` (3, 3) or (n, 3, 3); `colors` broadcasts to (n - 1, m, 3)."""
        shape = (len(centers), self._sides(sides))
        tube = _Tube(centers, frames, half_width, half_depth, colors)
        self._tubes.setdefault(shape, []).append(tube)

    def ellipsoid(self, center: Array, frame: Array, radii: Array, color: Array) -> None:
        """A small ball with radii along the frame's axes."""
        ball = self.profile(_BALL[::-1])[::-1]
        centers = center + frame[:, 1] * (radii[1] * ball[:, :1])
        width = np.maximum(ball[:, 1], 0)
        self.tube(centers, frame, radii[0] * width, radii[2] * width, color, _BALL_SIDES)

    def limb(
        self, start: Array, frame: Array, length: float, rows: Array, girth: float,
        skin: Array, cover: Cover | None = None, outer: float = 0.0,
    ) -> None:  # fmt: skip
        """A part between two joints, with rounded ends.

        Args:
            start: first joint; the part runs `length` against the frame's column 1.
            frame: (3, 3).
            length: to the next joint.
            rows: profile of (share of the length, half width, half depth, shift to the front).
            girth: factor on the thickness.
            skin: color where nothing covers it.
            cover: cloth, if any.
            outer: angle of the side that faces away from the body.
        """
        rows = self.profile(rows)
        covered = cover.share if cover is not None else 0.0
        share = rows[:, 0]
        if 0 < covered < 1:  # a hem: two rings, one with and one without cloth
            share = np.sort(np.concatenate([share, [covered - 1e-3, covered + 1e-3]]))
        thick = np.stack([np.interp(share, rows[:, 0], rows[:, column]) for column in (1, 2)])
        thick *= girth
        if cover is not None:
            thick += np.where(share <= covered, cover.loose, 0.0)
        along = np.concatenate(
            [
                share[0] * length - _CAP[:, 0] * thick[0, 0],
                share * length,
                share[-1] * length + _CAP[::-1, 0] * thick[0, -1],
            ]
        )
        thick = np.concatenate([thick[:, :1] * _CAP[:, 1], thick, thick[:, -1:] * _CAP[::-1, 1]], 1)
        shift = np.interp(along, rows[:, 0] * length, rows[:, 3])[:, None]
        around, middle = self.angles(_LIMB_SIDES), ((along[:-1] + along[1:]) / 2)[:, None]
        colors = skin
        if cover is not None and covered > 0:
            cloth = cover.fabric.paint(middle, around, outer)
            colors = np.where((middle < covered * length)[..., None], cloth, skin)
        centers = start - frame[:, 1] * along[:, None] + frame[:, 2] * shift
        self.tube(centers, frame, thick[0], thick[1], colors, _LIMB_SIDES)

    def mesh(self) -> Mesh:
        """Everything collected so far."""
        swept = [_sweep(tubes, *shape) for shape, tubes in self._tubes.items()]
        corners, colors = zip(*swept, strict=True)
        return Mesh(np.concatenate(corners), np.concatenate(colors))

    def _sides(self, sides: int) -> int:
        return 2 * sides if self._fine else sides


@lru_cache(maxsize=16)
def _ring(sides: int) -> tuple[Array, Array, Array]:
    """Cosines and sines (1, m, 1) of a ring's corners, and its faces' middle angles (1, m)."""
    corners = np.arange(sides) * 2 * np.pi / sides
    middles = corners + np.pi / sides
    return np.cos(corners)[None, :, None], np.sin(corners)[None, :, None], middles[None]


def _sweep(tubes: list[_Tube], rings: int, sides: int) -> tuple[Array, Array]:
    """Corners (F, 4, 3) and colors (F, 3) of tubes with equal numbers of rings and sides."""
    cosine, sine, _ = _ring(sides)
    across, forward = np.empty((2, len(tubes), rings, 1, 3))
    colors = np.empty((len(tubes), rings - 1, sides, 3))
    for number, tube in enumerate(tubes):
        across[number, :, 0] = tube.frames[..., 0] * tube.half_width[:, None]
        forward[number, :, 0] = tube.frames[..., 2] * tube.half_depth[:, None]
        colors[number] = tube.colors
    points = np.empty((len(tubes), rings, sides + 1, 3))
    centers = np.stack([tube.centers for tube in tubes])[:, :, None]
    points[:, :, :-1] = centers + across * cosine + forward * sine
    points[:, :, -1] = points[:, :, 0]
    corners = np.stack(
        [points[:, :-1, :-1], points[:, :-1, 1:], points[:, 1:, 1:], points[:, 1:, :-1]], axis=3
    )
    return corners.reshape(-1, 4, 3), colors.reshape(-1, 3)
