"""Head, face and hair. Lengths are in units of half the skull's height (`Body.head_scale`)."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from bihrnet.data.synthetic.body import FACE, Array, Body
from bihrnet.data.synthetic.mesh import Sewing
from bihrnet.data.synthetic.outfit import Outfit

# The skull downward: negative height, half width, half depth, shift to the front.
_SKULL = np.array([
    [-1.0, .03, .04, -.10], [-.94, .33, .38, -.10], [-.78, .55, .65, -.09], [-.48, .68, .82, -.06],
    [-.12, .71, .86, -.02], [.20, .68, .82, .04], [.50, .60, .72, .11], [.75, .47, .58, .18],
    [.93, .30, .38, .25], [1.0, .03, .04, .28]])  # fmt: skip
_SKULL_SIDES = 16
_Triple: TypeAlias = tuple[float, float, float]
_WHITE, _BLACK = np.full(3, 0.92), np.full(3, 0.08)


def sew_head(sewing: Sewing, body: Body, outfit: Outfit) -> None:
    """Add skull, hair and headwear, and a face whose parts only the front shows."""
    rows = sewing.profile(_SKULL)
    scale, frame = body.head_scale, body.frames["head"]
    height = -rows[:, 0]
    middle = ((height[:-1] + height[1:]) / 2)[:, None]
    colors = _skull_colors(outfit, middle, sewing.angles(_SKULL_SIDES))
    volume = {"bald": 1.0, "cap": 1.08, "helmet": 1.2}.get(outfit.hair_style, 1.06)
    thick = scale * np.where(height > 0.3, volume, 1.0) * rows[:, 1:3].T
    centers = body.head_center + scale * (height[:, None] * frame[:, 1] + rows[:, 3:] * frame[:, 2])
    sewing.tube(centers, frame, thick[0], thick[1], colors, _SKULL_SIDES)
    _sew_face(sewing, body, outfit)
    _sew_hair(sewing, body, outfit)


def _skull_colors(outfit: Outfit, height: Array, around: Array) -> Array:
    """(n, m, 3) colors: skin, hair above the hairline, beard, cap or helmet."""
    front = np.sin(around)
    hairline = np.where(front > 0.35, 0.55, np.where(front > -0.25, 0.0, -0.55))
    hair = (height > hairline) & (outfit.hair_style != "bald")
    if outfit.beard:
        hair |= (height < -0.45) & (front > -0.3)
    colors = np.where(hair[..., None], outfit.hair, outfit.skin)
    if outfit.hair_style in ("cap", "helmet"):
        edge = 0.42 if outfit.hair_style == "cap" else np.where(front > 0.35, 0.4, -0.5)
        colors = np.where((height > edge)[..., None], outfit.headwear, colors)
    return colors


def _sew_face(sewing: Sewing, body: Body, outfit: Outfit) -> None:
    def part(at: _Triple, radii: _Triple, color: Array) -> None:
        center = body.head_center + body.head_scale * (body.frames["head"] @ np.array(at))
        sewing.ellipsoid(center, body.frames["head"], body.head_scale * np.array(radii), color)

    skin = outfit.skin
    for name, (x, y, z) in FACE.items():
        if name == "nose":
            part((x, y + 0.12, z - 0.12), (0.13, 0.24, 0.16), 0.93 * skin)
        elif name.endswith("eye"):
            part((x, y, z - 0.04), (0.17, 0.10, 0.10), _WHITE)
            part((x, y, z + 0.02), (0.08, 0.09, 0.07), _BLACK)
            part((x, y + 0.20, z), (0.20, 0.05, 0.08), 0.7 * outfit.hair)
        else:
            part((x, y, z), (0.10, 0.22, 0.16), 0.95 * skin)
    part((0, -0.53, 0.80), (0.25, 0.07, 0.06), skin * (0.80, 0.50, 0.50))
    if outfit.hair_style == "cap":
        part((0, 0.46, 0.95), (0.55, 0.06, 0.50), outfit.headwear)
    if outfit.hair_style == "bun":
        part((0, 0.55, -1.0), (0.36, 0.36, 0.36), outfit.hair)


def _sew_hair(sewing: Sewing, body: Body, outfit: Outfit) -> None:
    """Hair longer than the head falls, held back by the head it grows from."""
    if outfit.hair_style not in ("bob", "long", "ponytail"):
        return
    scale, head = body.head_scale, body.frames["head"]
    fall = np.array([0.0, -0.55, 0.0]) - 0.75 * head[:, 1] - 0.25 * head[:, 2]
    fall = fall / max(float(np.linalg.norm(fall)), 1e-6)
    left = head[:, 0] - fall * (head[:, 0] @ fall)
    left = left / max(float(np.linalg.norm(left)), 1e-6)
    frame = np.column_stack([left, -fall, np.cross(left, -fall)])
    if outfit.hair_style == "ponytail":
        root, drop, radii = np.array([0, 0.45, -1.05]), 0.8, np.array([0.24, 0.95, 0.24])
    else:
        length = 0.85 if outfit.hair_style == "bob" else 1.5
        root, drop, radii = (
            np.array([0, 0.15, -0.32]),
            length - 0.75,
            np.array([0.84, length, 0.62]),
        )
    center = body.head_center + scale * (head @ root + drop * fall)
    sewing.ellipsoid(center, frame, scale * radii, outfit.hair)
