"""Poses: joint limits, the families that poses are drawn from, and mirroring.

A pose is a mapping from the names in `LIMITS` to degrees. Zero everywhere is standing upright with
hanging arms. `pitch` leans the whole body forward, `roll` to its right; which way the body faces is
not part of a pose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

Pose: TypeAlias = dict[str, float]
#: Mean and standard deviation of an angle, in degrees.
Spread: TypeAlias = tuple[float, float]

_SIDED_LIMITS = {
    "arm_raise": (0, 180),  # hanging .. overhead
    "arm_plane": (-90, 130),  # back, 0 side, 90 front, crossing the chest
    "arm_twist": (-80, 90),  # inward .. outward about the upper arm
    "elbow": (0, 148),
    "wrist": (-50, 60),
    "hip_flex": (-55, 135),  # thigh back .. to the chest
    "hip_spread": (-18, 75),
    "hip_twist": (-30, 50),  # toes inward .. outward
    "knee": (0, 148),
    "ankle": (-30, 60),  # toes up .. pointed
}
#: Lowest and highest angle in degrees; trunk angles, then both arms and legs.
LIMITS: dict[str, tuple[float, float]] = {
    "pitch": (-180, 180),
    "roll": (-180, 180),
    "spine_bend": (-45, 75),
    "spine_side": (-35, 35),
    "spine_twist": (-45, 45),
    "head_nod": (-45, 50),
    "head_tilt": (-30, 30),
    "head_turn": (-75, 75),
    **{f"left_{name}": limit for name, limit in _SIDED_LIMITS.items()},
    **{f"right_{name}": limit for name, limit in _SIDED_LIMITS.items()},
}
#: Angles that change sign in a mirror.
_SIGNED = {"roll", "spine_side", "spine_twist", "head_tilt", "head_turn"}


@dataclass(frozen=True)
class Family:
    """A kind of pose.

    Attributes:
        weight: share among all families.
        angles: angle -> mean and standard deviation. A name without its side stands for both
            sides, drawn together with a little difference; names left out stay relaxed.
    """

    weight: float
    angles: Mapping[str, Spread]


def _family(weight: float, /, **angles: Spread) -> Family:
    return Family(weight, angles)


_ANY = (0.0, 200.0)  # wraps around: every direction alike
_ARMS_UP = {"arm_raise": (165.0, 12.0), "arm_plane": (40.0, 35.0), "elbow": (14.0, 14.0)}
_ARMS_FREE = {"arm_raise": (85.0, 45.0), "arm_plane": (40.0, 45.0), "elbow": (45.0, 40.0),
              "arm_twist": (0.0, 40.0)}  # fmt: skip
_ARMS_SWING = {"left_arm_plane": (-80.0, 10.0), "right_arm_plane": (80.0, 12.0)}

FAMILIES: dict[str, Family] = {
    "stand": _family(14, arm_raise=(10, 7), arm_plane=(20, 40), elbow=(16, 13), knee=(4, 5)),
    "gesture": _family(7, left_arm_raise=(50, 40), right_arm_raise=(50, 40), arm_plane=(60, 35),
                       left_elbow=(70, 40), right_elbow=(70, 40), arm_twist=(0, 35)),
    "hands_on_hips": _family(3, arm_raise=(42, 6), arm_plane=(-10, 10), elbow=(98, 10),
                             arm_twist=(-72, 8), hip_spread=(8, 4)),
    "walk": _family(8, left_hip_flex=(24, 8), right_hip_flex=(-16, 6), left_knee=(12, 8),
                    right_knee=(32, 15), left_arm_raise=(22, 9), right_arm_raise=(25, 9),
                    elbow=(25, 14), right_ankle=(20, 10), **_ARMS_SWING),
    "run": _family(8, left_hip_flex=(60, 20), left_knee=(75, 25), right_hip_flex=(-18, 12),
                   right_knee=(50, 35), left_arm_raise=(45, 15), right_arm_raise=(38, 15),
                   elbow=(95, 15), pitch=(8, 6), spine_bend=(10, 7), right_ankle=(25, 15),
                   **_ARMS_SWING),
    "sit": _family(6, hip_flex=(88, 8), knee=(82, 16), hip_spread=(9, 8), spine_bend=(10, 10),
                   arm_raise=(35, 15), arm_plane=(80, 15), elbow=(60, 30)),
    "squat": _family(4, hip_flex=(112, 14), knee=(122, 16), pitch=(18, 10), ankle=(-25, 6),
                     hip_spread=(16, 10), arm_raise=(60, 25), arm_plane=(80, 20), elbow=(40, 30)),
    "lunge": _family(4, left_hip_flex=(78, 14), left_knee=(85, 16), right_hip_flex=(-20, 10),
                     right_knee=(30, 20), right_ankle=(-10, 15), **_ARMS_FREE),
    "bend": _family(5, pitch=(22, 12), hip_flex=(55, 25), spine_bend=(40, 18), knee=(18, 18),
                    arm_raise=(75, 28), arm_plane=(88, 12), elbow=(22, 22)),
    "arms_up": _family(6, hip_spread=(8, 7), left_knee=(10, 12), right_knee=(10, 12), **_ARMS_UP),
    "jump": _family(6, left_hip_flex=(22, 32), right_hip_flex=(22, 32), left_knee=(52, 42),
                    right_knee=(52, 42), left_arm_raise=(105, 45), right_arm_raise=(105, 45),
                    arm_plane=(40, 40), elbow=(30, 25), ankle=(40, 15), pitch=(8, 18)),
    "star": _family(4, hip_spread=(34, 9), arm_raise=(118, 24), arm_plane=(4, 12), elbow=(8, 8)),
    "kick": _family(4, left_hip_flex=(80, 30), left_knee=(20, 20), right_knee=(10, 10),
                    pitch=(-10, 12), **_ARMS_FREE),
    "handstand": _family(5, roll=(180, 14), pitch=(0, 14), left_hip_flex=(20, 30),
                         right_hip_flex=(0, 25), left_knee=(12, 18), right_knee=(12, 18),
                         head_nod=(-20, 15), wrist=(-45, 15), ankle=(45, 15), **_ARMS_UP),
    "cartwheel": _family(4, roll=(130, 55), hip_spread=(45, 12), arm_raise=(150, 20),
                         arm_plane=(15, 20), elbow=(8, 10), knee=(10, 14), ankle=(35, 20)),
    "somersault": _family(6, pitch=_ANY, roll=(0, 30), hip_flex=(85, 45), left_knee=(70, 50),
                          right_knee=(70, 50), spine_bend=(25, 25), ankle=(45, 12), **_ARMS_FREE),
    "lie": _family(4, pitch=(-90, 9), left_hip_flex=(18, 26), right_hip_flex=(18, 26),
                   left_knee=(30, 34), right_knee=(30, 34), **_ARMS_FREE),
    "crawl": _family(3, pitch=(82, 10), left_hip_flex=(82, 22), right_hip_flex=(82, 22),
                     left_knee=(88, 18), right_knee=(88, 18), ankle=(45, 12), arm_raise=(82, 15),
                     arm_plane=(88, 12), elbow=(14, 16), head_nod=(-22, 16)),
    "random": Family(7, {name: ((low + high) / 2, (high - low) / 4)
                         for name, (low, high) in LIMITS.items()}),
}  # fmt: skip


def draw_pose(rng: np.random.Generator, families: Sequence[str] | None = None) -> Pose:
    """A random pose within `LIMITS`.

    Args:
        rng: source of randomness.
        families: names to draw from; None for all, by weight.
    """
    names = list(families or FAMILIES)
    weights = np.array([FAMILIES[name].weight for name in names])
    family = FAMILIES[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
    pose = _draw_angles(rng, family)
    return mirror_pose(pose) if rng.random() < 0.5 else pose


def mirror_pose(pose: Mapping[str, float]) -> Pose:
    """The pose as a mirror shows it: left and right swapped."""
    swap = {"left": "right", "right": "left"}
    mirrored = {}
    for name, angle in pose.items():
        side, _, rest = name.partition("_")
        key = f"{swap[side]}_{rest}" if side in swap else name
        mirrored[key] = -angle if name in _SIGNED else angle
    return mirrored


_RELAXED: dict[str, Spread] = {
    "pitch": (0, 3), "roll": (0, 3), "spine_bend": (3, 6), "spine_side": (0, 5),
    "spine_twist": (0, 8), "head_nod": (4, 12), "head_tilt": (0, 7), "head_turn": (0, 24),
    "arm_raise": (12, 8), "arm_plane": (30, 35), "arm_twist": (0, 20), "elbow": (18, 14),
    "wrist": (8, 14), "hip_flex": (3, 5), "hip_spread": (4, 4), "hip_twist": (8, 9),
    "knee": (6, 6), "ankle": (0, 8),
}  # fmt: skip
_SIDE_DIFFERENCE = 0.45  # share of an angle's spread that differs between the sides


def _draw_angles(rng: np.random.Generator, family: Family) -> Pose:
    noise = iter(rng.standard_normal(len(LIMITS) + len(_RELAXED)))
    together = {name: next(noise) for name in _RELAXED}
    pose = {}
    for name, (low, high) in LIMITS.items():
        side, _, rest = name.partition("_")
        own = float(next(noise))
        if name in family.angles:
            mean, spread = family.angles[name]
        elif side in ("left", "right"):
            mean, spread = family.angles.get(rest, _RELAXED[rest])
            own = _SIDE_DIFFERENCE * own + (1 - _SIDE_DIFFERENCE**2) ** 0.5 * together[rest]
        else:
            mean, spread = _RELAXED[name]
        angle = mean + spread * own
        whole_turn = high - low == 360
        pose[name] = float((angle + 180) % 360 - 180 if whole_turn else np.clip(angle, low, high))
    return pose
