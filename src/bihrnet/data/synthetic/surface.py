"""Skin and clothes of a posed body as a mesh of tubes. Lengths are in statures.

A tube is a row of elliptical rings swept along a line, closed at both ends. Its frame has the
ring's left axis in column 0 and its front axis in column 2; the sweep runs against column 1, as a
limb hangs down, so that faces turn outward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bihrnet.data.synthetic.body import FACE, SIDES, SPINE_SEGMENTS, Array, Body
from bihrnet.data.synthetic.outfit import Fabric, Outfit

_RING = 12  # faces around a tube
_ANGLES = np.arange(_RING + 1) * 2 * np.pi / _RING
_COSINE, _SINE = np.cos(_ANGLES)[:, None], np.sin(_ANGLES)[:, None]
_FRONT = np.sin(_ANGLES[:-1] + np.pi / _RING)  # of a face: 1 in front, -1 behind

# Profiles of limbs: rows of (share of the length, half width, half depth, shift to the front).
_UPPER_ARM = np.array([[0, .034, .034, 0], [.3, .032, .032, .002], [.6, .029, .029, .002],
                       [.8, .027, .027, .001], [1, .025, .025, 0]])  # fmt: skip
_FOREARM = np.array([[0, .025, .025, 0], [.25, .027, .026, 0], [.5, .023, .022, 0],
                     [.75, .019, .017, 0], [1, .017, .014, 0]])  # fmt: skip
_HAND = np.array([[0, 0.014, 0.010, 0], [0.4, 0.022, 0.010, 0.003], [1, 0.010, 0.006, 0.010]])
_THIGH = np.array([[0, .043, .048, 0], [.14, .053, .056, .002], [.36, .052, .055, .003],
                   [.7, .042, .043, .003], [1, .034, .035, 0]])  # fmt: skip
_SHANK = np.array([[0, .034, .034, 0], [.28, .034, .036, -.008], [.65, .026, .027, -.005],
                   [1, .020, .022, 0]])  # fmt: skip
_FOOT = np.array([[0, .018, .024, .0], [.3, .022, .026, 0], [.6, .026, .018, -.008],
                  [1, .020, .009, -.015]])  # fmt: skip
# The trunk downward: (share of the spine: 0 pelvis, 1 thorax; half width, half depth).
_TRUNK = np.array([[1.14, .032, .032], [1.06, .063, .040], [.98, .102, .049], [.86, .106, .062],
                   [.72, .100, .069], [.55, .090, .061], [.38, .085, .057], [.2, .095, .062],
                   [.05, .106, .067], [-.08, .110, .067], [-.2, .095, .057],
                   [-.31, .030, .024]])  # fmt: skip
# The skull downward, in units of half its height: (height, half width, half depth, shift).
_SKULL = np.array([[1, .03, .04, -.10], [.94, .33, .38, -.10], [.78, .55, .65, -.09],
                   [.48, .68, .82, -.06], [.12, .71, .86, -.02], [-.2, .68, .82, .04],
                   [-.5, .60, .72, .11], [-.75, .47, .58, .18], [-.93, .30, .38, .25],
                   [-1, .03, .04, .28]])  # fmt: skip
# A ball by height, and a limb's rounded ends: distance from the joint and width in radii.
_BALL = np.array([[1.0, 0.03], [0.75, 0.66], [0.1, 0.99], [-0.6, 0.8], [-1.0, 0.03]])
_CAP = np.array([[1.0, 0.02], [0.8, 0.6]])


@dataclass(frozen=True)
class Mesh:
    """Quadrilaterals.

    Attributes:
        corners: (F, 4, 3) in statures, y up, z to the camera, counter-clockwise from outside.
        colors: (F, 3) RGB in 0..1, unlit.
    """

    corners: Array
    colors: Array


_Part: TypeAlias = tuple[Array, Array]  # corners (n, 4, 3) and colors (n, 3)


def dress(body: Body, outfit: Outfit) -> Mesh:
    """The visible surface of a person."""
    parts = [*_trunk(body, outfit), *_head(body, outfit)]
    for side, sign in SIDES:
        parts += _arm(body, outfit, side, sign)
        parts += _leg(body, outfit, side)
    corners, colors = zip(*parts, strict=True)
    return Mesh(np.concatenate(corners), np.concatenate(colors))


def _tube(centers: Array, frames: Array, width: Array, depth: Array, colors: Array) -> _Part:
    """Sweep n rings; `frames` (3, 3) or (n, 3, 3); `colors` broadcasts to (n - 1, m, 3)."""
    across, forward = frames[..., 0] * width[:, None], frames[..., 2] * depth[:, None]
    points = centers[:, None] + across[:, None] * _COSINE + forward[:, None] * _SINE
    corners = np.stack([points[:-1, :-1], points[:-1, 1:], points[1:, 1:], points[1:, :-1]], axis=2)
    painted = np.broadcast_to(colors, (*corners.shape[:2], 3))
    return corners.reshape(-1, 4, 3), painted.reshape(-1, 3)


def _ellipsoid(center: Array, frame: Array, radii: Array, color: Array) -> _Part:
    centers = center + frame[:, 1] * (radii[1] * _BALL[:, :1])
    return _tube(centers, frame, radii[0] * _BALL[:, 1], radii[2] * _BALL[:, 1], color)


def _limb(
    start: Array, frame: Array, length: float, rows: Array, girth: float, skin: Array,
    fabric: Fabric | None = None, covered: float = 0.0, loose: float = 0.0,
) -> _Part:  # fmt: skip
    """A part between two joints, with rounded ends; cloth covers a share of it from its start."""
    share, (width, depth) = rows[:, 0], girth * rows[:, 1:3].T
    cloth = np.where(share <= covered, loose, 0.0)
    width, depth = width + cloth, depth + cloth
    along = np.concatenate(
        [-_CAP[:, 0] * width[0], share * length, length + _CAP[::-1, 0] * width[-1]]
    )
    width, depth = (
        np.concatenate([thick[0] * _CAP[:, 1], thick, thick[-1] * _CAP[::-1, 1]])
        for thick in (width, depth)
    )
    shift = np.interp(along, share * length, rows[:, 3])
    colors = skin
    if fabric is not None:
        middle = (along[:-1] + along[1:])[:, None, None] / 2
        paint = fabric.paint(len(along) - 1, _RING)
        colors = np.where(middle < covered * length, paint, skin)
    centers = start - frame[:, 1] * along[:, None] + frame[:, 2] * shift[:, None]
    return _tube(centers, frame, width, depth, colors)


def _trunk(body: Body, outfit: Outfit) -> list[_Part]:
    """Trunk and neck; the top ends at the hips."""
    build, at = body.build, _TRUNK[:, 0]
    inside = np.clip(at, 0, 1) * SPINE_SEGMENTS
    low = np.minimum(inside.astype(int), SPINE_SEGMENTS - 1)
    part = (inside - low)[:, None]
    frames = body.spine_frames[low] * (1 - part[..., None])
    frames = frames + body.spine_frames[low + 1] * part[..., None]
    centers = body.spine[low] * (1 - part) + body.spine[low + 1] * part
    beyond = (at - np.clip(at, 0, 1)) * build.lengths["torso"]
    centers = centers + frames[:, :, 1] * beyond[:, None]

    broad = np.interp(at, [0.3, 0.9], [build.hips, build.shoulders])
    loose = np.where(at < 1, outfit.loose, 0.0)
    width, depth = build.girth * _TRUNK[:, 1] * broad + loose, build.girth * _TRUNK[:, 2] + loose
    rings = len(at) - 1
    bare = np.broadcast_to(outfit.skin, (rings, _RING, 3))
    upper = bare if outfit.top is None else outfit.top.paint(rings, _RING)
    colors = np.where((at[1:] > 0.1)[:, None, None], upper, outfit.bottom.paint(rings, _RING))
    colors = np.where((at[:-1] > 1.1)[:, None, None], bare, colors)  # the neckline
    neck = np.stack([body.head_center, body.joints["neck"], body.spine[-1]])
    radius = 0.031 * build.girth**0.5 * np.array([1.0, 1.0, 1.12])
    return [
        _tube(centers, frames, width, depth, colors),
        _tube(neck, body.frames["neck"], radius, radius, outfit.skin),
    ]


def _head(body: Body, outfit: Outfit) -> list[_Part]:
    """Skull, hair, and a face that only the front shows."""
    scale, frame, skin = body.head_scale, body.frames["head"], outfit.skin

    def ball(at: tuple[float, ...], radii: tuple[float, ...], color: Array) -> _Part:
        center = body.head_center + scale * (frame @ np.array(at))
        return _ellipsoid(center, frame, scale * np.array(radii), color)

    height = _SKULL[:, 0]
    middle = (height[:-1] + height[1:])[:, None] / 2
    hairline = np.where(_FRONT > 0.35, 0.55, np.where(_FRONT > -0.25, 0.0, -0.55))
    colors = np.where((middle > hairline)[..., None], outfit.hair, skin)
    centers = body.head_center + scale * (
        height[:, None] * frame[:, 1] + _SKULL[:, 3:] * frame[:, 2]
    )
    width, depth = scale * _SKULL[:, 1:3].T
    parts = [_tube(centers, frame, width, depth, colors)]
    for name, (x, y, z) in FACE.items():
        if name == "nose":
            parts.append(ball((x, y + 0.12, z - 0.12), (0.13, 0.24, 0.16), 0.93 * skin))
        elif name.endswith("eye"):
            parts.append(ball((x, y, z - 0.04), (0.17, 0.10, 0.10), np.full(3, 0.92)))
            parts.append(ball((x, y, z + 0.02), (0.08, 0.09, 0.07), np.full(3, 0.08)))
        else:
            parts.append(ball((x, y, z), (0.10, 0.22, 0.16), 0.95 * skin))
    parts.append(ball((0, -0.53, 0.80), (0.25, 0.07, 0.06), skin * (0.80, 0.50, 0.50)))
    if outfit.long_hair:
        parts.append(ball((0, -0.5, -0.4), (0.80, 1.3, 0.50), outfit.hair))
    return parts


def _arm(body: Body, outfit: Outfit, side: str, sign: float) -> list[_Part]:
    length, joints, frames = body.build.lengths, body.joints, body.frames
    girth, skin, top, loose = body.build.girth, outfit.skin, outfit.top, outfit.loose
    shoulder, wrist = joints[f"{side}_shoulder"], joints[f"{side}_wrist"]
    # The muscle over the collarbone closes the gap between trunk and a raised shoulder.
    chest = frames["chest"]
    inner = body.spine[-1] + chest @ np.array([sign * 0.03, 0.004, 0])
    reach = float(np.linalg.norm(shoulder - inner))
    across = (shoulder - inner) / reach
    frame = np.column_stack([across, np.cross(chest[:, 2], across), chest[:, 2]])
    radii = np.array([0.62 * reach + 0.02, 0.031 * girth, 0.031 * girth])
    color = top.base if top is not None and outfit.sleeve > 0 else skin
    return [
        _limb(shoulder, frames[f"{side}_upper_arm"], length["upper_arm"], _UPPER_ARM, girth, skin,
              top, min(outfit.sleeve, 1.2), loose),
        _limb(joints[f"{side}_elbow"], frames[f"{side}_forearm"], length["forearm"], _FOREARM,
              girth, skin, top, outfit.sleeve - 1, loose),
        _limb(wrist, frames[f"{side}_hand"], length["hand"], _HAND, 1.0, skin),
        _ellipsoid((inner + shoulder) / 2, frame, radii, color),
    ]  # fmt: skip


def _leg(body: Body, outfit: Outfit, side: str) -> list[_Part]:
    length, joints, frames = body.build.lengths, body.joints, body.frames
    girth, skin, cloth, loose = body.build.girth, outfit.skin, outfit.bottom, outfit.loose
    foot = frames[f"{side}_foot"]
    forward = np.column_stack([foot[:, 0], -foot[:, 2], foot[:, 1]])  # the part runs to the front
    heel = joints[f"{side}_ankle"] + length["foot"] * (foot @ np.array([0, -0.12, -0.22]))
    return [
        _limb(joints[f"{side}_hip"], frames[f"{side}_thigh"], length["thigh"], _THIGH, girth, skin,
              cloth, min(outfit.leg, 1.2), loose),
        _limb(joints[f"{side}_knee"], frames[f"{side}_shank"], length["shank"], _SHANK, girth, skin,
              cloth, outfit.leg - 1, loose),
        _limb(heel, forward, length["foot"], _FOOT, 1.1, outfit.shoes),
    ]  # fmt: skip
