"""Skin and clothes of a posed body: trunk, arms, legs and skirt. Lengths are in statures."""

from __future__ import annotations

import numpy as np

from bihrnet.data.synthetic.body import SIDES, SPINE_SEGMENTS, Array, Body
from bihrnet.data.synthetic.head import sew_head
from bihrnet.data.synthetic.mesh import Cover, Mesh, Sewing
from bihrnet.data.synthetic.outfit import Outfit

# Profiles of limbs: rows of (share of the length, half width, half depth, shift to the front).
_UPPER_ARM = np.array([[0, .034, .034, 0], [.35, .032, .032, .002], [.75, .027, .027, .002],
                       [1, .025, .025, 0]])  # fmt: skip
_FOREARM = np.array([[0, .025, .025, 0], [.25, .027, .026, 0], [.7, .020, .018, 0],
                     [1, .017, .014, 0]])  # fmt: skip
_HAND = np.array([[0, .014, .010, 0], [.4, .022, .010, .003], [.75, .020, .009, .006],
                  [1, .010, .006, .010]])  # fmt: skip
_THIGH = np.array([[0, .043, .048, 0], [.14, .053, .056, .002], [.36, .052, .055, .003],
                   [.7, .042, .043, .003], [1, .034, .035, 0]])  # fmt: skip
_SHANK = np.array([[0, .034, .034, 0], [.28, .034, .036, -.008], [.65, .026, .027, -.005],
                   [1, .020, .022, 0]])  # fmt: skip
_FOOT = np.array([[0, .018, .024, .0], [.3, .022, .026, 0], [.6, .026, .018, -.008],
                  [.85, .026, .012, -.014], [1, .016, .008, -.017]])  # fmt: skip
# The trunk by share of the spine (0 pelvis, 1 thorax), downward: the negative share, half width and
# half depth of a man, half width and half depth of a woman.
_TRUNK = np.array([
    [-1.14, .034, .034, .030, .031], [-1.06, .068, .042, .058, .038],
    [-0.98, .108, .052, .096, .046], [-0.86, .112, .064, .100, .060],
    [-0.72, .106, .068, .094, .070], [-0.55, .097, .064, .083, .058],
    [-0.38, .092, .061, .078, .053], [-0.20, .097, .064, .093, .060],
    [-0.05, .104, .067, .109, .068], [0.08, .107, .066, .113, .069],
    [0.20, .092, .056, .098, .058], [0.31, .030, .024, .030, .024],
])  # fmt: skip
_TRUNK_SIDES, _NECK_SIDES, _SKIRT_SIDES, _SKIRT_RINGS = 16, 10, 14, 6
#: The trunk above this share of the spine is bare, lower in front: the neckline.
_NECKLINE, _NECKLINE_DEPTH = 1.05, 0.11
_OUTER = {"left": 0.0, "right": np.pi}  # angle of a limb's outer side


def dress(body: Body, outfit: Outfit, fine: bool = False) -> Mesh:
    """The visible surface of a person.

    Args:
        body: the posed body.
        outfit: what it wears.
        fine: for people larger than some 200 pixels.
    """
    sewing = Sewing(fine)
    _sew_trunk(sewing, body, outfit)
    for side, sign in SIDES:
        _sew_arm(sewing, body, outfit, side, sign)
        _sew_leg(sewing, body, outfit, side)
    if outfit.skirt:
        _sew_skirt(sewing, body, outfit)
    sew_head(sewing, body, outfit)
    return sewing.mesh()


def _sew_trunk(sewing: Sewing, body: Body, outfit: Outfit) -> None:
    build, female = body.build, body.build.female
    hem = outfit.waist if outfit.top is not None else 0.15
    rows = sewing.profile(_TRUNK)
    down = np.sort(np.concatenate([rows[:, 0], [-hem - 1e-3, -hem + 1e-3]]))
    man, woman = (
        np.stack([np.interp(down, rows[:, 0], rows[:, column]) for column in columns])
        for columns in ((1, 2), (3, 4))
    )
    at = -down
    thick = build.girth * ((1 - female) * man + female * woman)
    thick[0] *= np.interp(at, [0.3, 0.9], [build.hips, build.shoulders]) ** 0.7
    upper_loose = outfit.loose_top if outfit.top is not None else 0.0
    loose = np.where(at > hem, upper_loose, outfit.loose_bottom) * np.clip((1.1 - at) * 5, 0, 1)
    frames, centers = _along_spine(body, at)
    chest = 0.012 * female * np.exp(-(((at - 0.72) / 0.14) ** 2))
    centers = centers + frames[:, :, 2] * chest[:, None]

    around, middle = sewing.angles(_TRUNK_SIDES), ((at[:-1] + at[1:]) / 2)[:, None]
    along = (1.2 - middle) * build.lengths["torso"]
    lower = outfit.bottom.paint(along, around, 0.0)
    upper = outfit.skin if outfit.top is None else outfit.top.paint(along, around, 0.0)
    colors = np.where((middle > hem)[..., None], upper, lower)
    bare = middle > _NECKLINE - _NECKLINE_DEPTH * np.maximum(np.sin(around), 0)
    colors = np.where(bare[..., None], outfit.skin, colors)
    sewing.tube(centers, frames, thick[0] + loose, thick[1] + loose, colors, _TRUNK_SIDES)

    neck = np.stack([body.head_center, body.joints["neck"], body.spine[-1]])
    radius = 0.031 * build.girth**0.5 * np.array([1.0, 1.0, 1.12])
    sewing.tube(neck, body.frames["neck"], radius, radius, outfit.skin, _NECK_SIDES)


def _along_spine(body: Body, at: Array) -> tuple[Array, Array]:
    """Frames (n, 3, 3) and centers (n, 3) at shares of the spine, continued beyond its ends."""
    inside = np.clip(at, 0, 1) * SPINE_SEGMENTS
    low = np.minimum(inside.astype(int), SPINE_SEGMENTS - 1)
    part = (inside - low)[:, None]
    frames = body.spine_frames[low] * (1 - part[..., None])
    frames = frames + body.spine_frames[low + 1] * part[..., None]
    centers = body.spine[low] * (1 - part) + body.spine[low + 1] * part
    beyond = (at - np.clip(at, 0, 1)) * body.build.lengths["torso"]
    return frames, centers + frames[:, :, 1] * beyond[:, None]


def _sew_arm(sewing: Sewing, body: Body, outfit: Outfit, side: str, sign: float) -> None:
    length, joints, frames = body.build.lengths, body.joints, body.frames
    girth, skin = body.build.girth * (1.06 - 0.16 * body.build.female), outfit.skin
    shoulder, wrist = joints[f"{side}_shoulder"], joints[f"{side}_wrist"]
    for part, start, rows, before in (
        ("upper_arm", shoulder, _UPPER_ARM, 0.0),
        ("forearm", joints[f"{side}_elbow"], _FOREARM, 1.0),
    ):
        cover = None
        if outfit.top is not None:
            cover = Cover(outfit.top, min(outfit.sleeve - before, 1.2), outfit.loose_top)
        sewing.limb(start, frames[f"{side}_{part}"], length[part], rows, girth, skin, cover,
                    _OUTER[side])  # fmt: skip
    hand = frames[f"{side}_hand"]
    sewing.limb(wrist, hand, length["hand"], _HAND, 1.0, skin)
    thumb = wrist + hand @ np.array([0, -0.03, 0.020])
    sewing.ellipsoid(thumb, hand, np.array([0.008, 0.022, 0.009]), skin)
    # The muscle over the collarbone closes the gap between trunk and a raised shoulder.
    chest = frames["chest"]
    inner = body.spine[-1] + chest @ np.array([sign * 0.03, 0.004, 0])
    bone = shoulder - inner
    reach = float(np.linalg.norm(bone))
    across = bone / reach
    frame = np.column_stack([across, np.cross(chest[:, 2], across), chest[:, 2]])
    sleeved = outfit.top is not None and outfit.sleeve > 0
    color = outfit.top.base if outfit.top is not None and sleeved else skin
    radius = 0.031 * girth + (outfit.loose_top if sleeved else 0.0)
    radii = np.array([0.62 * reach + 0.02, radius, radius])
    sewing.ellipsoid((inner + shoulder) / 2, frame, radii, color)


def _sew_leg(sewing: Sewing, body: Body, outfit: Outfit, side: str) -> None:
    length, joints, frames = body.build.lengths, body.joints, body.frames
    girth, skin, outer = body.build.girth, outfit.skin, _OUTER[side]
    # Briefs reach a little down the thigh; under a skirt the thigh has its color.
    leg = max(outfit.leg, 0.06, min(0.7 * outfit.skirt, 0.8))
    thigh = Cover(outfit.bottom, min(leg, 1.2), outfit.loose_bottom)
    shank = Cover(outfit.bottom, min(leg - 1, 1.2), outfit.loose_bottom)
    sewing.limb(joints[f"{side}_hip"], frames[f"{side}_thigh"], length["thigh"], _THIGH,
                girth * (0.97 + 0.06 * body.build.female), skin, thigh, outer)  # fmt: skip
    knee, down = joints[f"{side}_knee"], frames[f"{side}_shank"]
    sewing.limb(knee, down, length["shank"], _SHANK, girth, skin, shank, outer)
    if outfit.sock and leg < 2 - outfit.sock:
        top = 1 - outfit.sock
        share = np.linspace(top, 1, len(_SHANK))
        rows = np.column_stack([np.interp(share, _SHANK[:, 0], column) for column in _SHANK.T])
        rows[:, 0] = (share - top) / outfit.sock
        start = knee - top * length["shank"] * down[:, 1]
        sewing.limb(start, down, outfit.sock * length["shank"], rows, 1.06 * girth,
                    outfit.sock_color)  # fmt: skip
    foot = frames[f"{side}_foot"]
    forward = np.column_stack([foot[:, 0], -foot[:, 2], foot[:, 1]])  # the part runs to the front
    heel = joints[f"{side}_ankle"] + length["foot"] * (foot @ np.array([0, -0.12, -0.22]))
    thick, color = (1.12, outfit.shoes) if outfit.shoes is not None else (0.95, skin)
    sewing.limb(heel, forward, length["foot"], _FOOT, thick, color)


def _sew_skirt(sewing: Sewing, body: Body, outfit: Outfit) -> None:
    """Rings from the waist down along both legs, wide enough for them."""
    pelvis, girth = body.frames["pelvis"], body.build.girth
    legs = np.array(
        [[body.joints[f"{side}_{name}"] for name in ("hip", "knee", "ankle")] for side, _ in SIDES]
    )
    share = np.linspace(0, outfit.skirt, _SKIRT_RINGS)
    low = np.minimum(share.astype(int), 1)
    points = legs[:, low] + (legs[:, low + 1] - legs[:, low]) * (share - low)[:, None]
    centers, apart = points.mean(axis=0), (points[0] - points[1]) / 2
    lifted = legs[:, 0].mean(axis=0) - legs[:, 1].mean(axis=0)
    front = np.cross(pelvis[:, 0], lifted / max(float(np.linalg.norm(lifted)), 1e-6))
    hanging = np.column_stack([pelvis[:, 0], np.cross(front, pelvis[:, 0]), front])
    width = np.abs(apart @ pelvis[:, 0]) + girth * (0.062 + 0.012 * share) + outfit.loose_bottom
    depth = np.abs(apart @ front) + girth * (0.066 + 0.022 * share)
    along = np.concatenate([[0.0], 0.06 + share * body.build.lengths["thigh"]])
    middle = ((along[:-1] + along[1:]) / 2)[:, None]
    sewing.tube(
        np.concatenate([body.spine[2:3], centers]),
        np.concatenate([pelvis[None], np.broadcast_to(hanging, (_SKIRT_RINGS, 3, 3))]),
        np.concatenate([[0.088 * girth], width]),
        np.concatenate([[0.062 * girth], depth]),
        outfit.bottom.paint(middle, sewing.angles(_SKIRT_SIDES), 0.0),
        _SKIRT_SIDES,
    )
