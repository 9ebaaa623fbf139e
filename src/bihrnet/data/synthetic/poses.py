"""Poses: joint limits, the families that poses are drawn from, and mirroring.

A pose is a mapping from the names in `LIMITS` to degrees. Zero everywhere is standing upright with
hanging arms. `pitch` leans the whole body forward, `roll` to its right; which way the body faces is
the scene's matter and no part of a pose.
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
#: Angles below the waist, taken together when two poses are combined.
_LOWER = ("pitch", "roll", "hip", "knee", "ankle")


@dataclass(frozen=True)
class Family:
    """A kind of pose.

    Attributes:
        weight: share among all families.
        grounded: whether the lowest point stands on the floor (a jump is in the air).
        angles: angle -> mean and standard deviation. A name without its side stands for both
            sides, drawn together with a little difference; names left out stay relaxed.
    """

    weight: float
    grounded: bool
    angles: Mapping[str, Spread]


def _standing(weight: float, /, **angles: Spread) -> Family:
    return Family(weight, grounded=True, angles=angles)


def _airborne(weight: float, /, **angles: Spread) -> Family:
    return Family(weight, grounded=False, angles=angles)


_ANY = (0.0, 200.0)  # wraps around: every direction alike
_ARMS_UP = {"arm_raise": (165.0, 12.0), "arm_plane": (40.0, 35.0), "elbow": (14.0, 14.0)}
_ARMS_FREE = {"arm_raise": (85.0, 45.0), "arm_plane": (40.0, 45.0), "elbow": (45.0, 40.0),
              "arm_twist": (0.0, 40.0)}  # fmt: skip
_ARMS_SWING = {"left_arm_plane": (-80.0, 10.0), "right_arm_plane": (80.0, 12.0)}
_ON_HANDS = {"arm_raise": (168.0, 10.0), "arm_plane": (60.0, 25.0), "elbow": (7.0, 8.0),
             "wrist": (-45.0, 15.0), "head_nod": (-20.0, 15.0), "ankle": (45.0, 15.0)}  # fmt: skip

FAMILIES: dict[str, Family] = {
    # Everyday.
    "stand": _standing(14, arm_raise=(10, 7), arm_plane=(20, 40), elbow=(16, 13), knee=(4, 5)),
    "gesture": _standing(7, left_arm_raise=(50, 40), right_arm_raise=(50, 40), arm_plane=(60, 35),
                       left_elbow=(70, 40), right_elbow=(70, 40), arm_twist=(0, 35)),
    "hands_on_hips": _standing(3, arm_raise=(42, 6), arm_plane=(-10, 10), elbow=(98, 10),
                             arm_twist=(-72, 8), hip_spread=(8, 4)),
    "arms_crossed": _standing(2, arm_raise=(32, 7), arm_plane=(60, 10), elbow=(105, 10),
                            arm_twist=(-55, 10)),
    "walk": _standing(8, left_hip_flex=(24, 8), right_hip_flex=(-16, 6), left_knee=(12, 8),
                    right_knee=(32, 15), left_arm_raise=(22, 9), right_arm_raise=(25, 9),
                    elbow=(25, 14), right_ankle=(20, 10), **_ARMS_SWING),
    "run": _standing(8, left_hip_flex=(60, 20), left_knee=(75, 25), right_hip_flex=(-18, 12),
                   right_knee=(50, 35), left_arm_raise=(45, 15), right_arm_raise=(38, 15),
                   elbow=(95, 15), pitch=(8, 6), spine_bend=(10, 7), right_ankle=(25, 15),
                   **_ARMS_SWING),
    "sit": _standing(6, hip_flex=(88, 8), knee=(82, 16), hip_spread=(9, 8), spine_bend=(10, 10),
                   arm_raise=(35, 15), arm_plane=(80, 15), elbow=(60, 30)),
    "sit_on_floor": _standing(3, hip_flex=(95, 15), left_knee=(60, 45), right_knee=(60, 45),
                            pitch=(-14, 12), spine_bend=(20, 14), hip_spread=(14, 12),
                            arm_raise=(45, 20), arm_plane=(60, 40), elbow=(35, 30)),
    "cross_legged": _standing(2, hip_flex=(98, 8), hip_spread=(42, 8), hip_twist=(38, 8),
                            knee=(122, 10), arm_raise=(35, 12), arm_plane=(60, 20),
                            elbow=(50, 25)),
    "squat": _standing(4, hip_flex=(112, 14), knee=(122, 16), pitch=(18, 10), ankle=(-25, 6),
                     hip_spread=(16, 10), arm_raise=(60, 25), arm_plane=(80, 20), elbow=(40, 30)),
    "lunge": _standing(4, left_hip_flex=(78, 14), left_knee=(85, 16), right_hip_flex=(-20, 10),
                     right_knee=(30, 20), right_ankle=(-10, 15), **_ARMS_FREE),
    "kneel": _standing(3, left_hip_flex=(20, 22), right_hip_flex=(20, 22), knee=(102, 16),
                     ankle=(40, 15), arm_raise=(35, 25), arm_plane=(70, 30), elbow=(50, 35)),
    "bend": _standing(5, pitch=(22, 12), hip_flex=(55, 25), spine_bend=(40, 18), knee=(18, 18),
                    arm_raise=(75, 28), arm_plane=(88, 12), elbow=(22, 22)),
    # Sport.
    "arms_up": _standing(5, hip_spread=(8, 7), left_knee=(10, 12), right_knee=(10, 12), **_ARMS_UP),
    "jump": _airborne(6, left_hip_flex=(22, 32), right_hip_flex=(22, 32), left_knee=(52, 42),
                    right_knee=(52, 42), left_arm_raise=(105, 45), right_arm_raise=(105, 45),
                    arm_plane=(40, 40), elbow=(30, 25), ankle=(40, 15), pitch=(8, 18)),
    "star": _airborne(3, hip_spread=(34, 9), arm_raise=(118, 24), arm_plane=(4, 12),
                    elbow=(8, 9), roll=(0, 14)),
    "throw": _standing(4, right_arm_raise=(108, 20), right_arm_plane=(10, 22), right_elbow=(80, 30),
                     right_arm_twist=(55, 20), left_arm_raise=(70, 25), left_arm_plane=(75, 25),
                     left_hip_flex=(40, 20), left_knee=(25, 20), right_hip_flex=(-12, 10),
                     right_knee=(30, 20), spine_twist=(-20, 12), spine_side=(-8, 8)),
    "kick": _standing(3, left_hip_flex=(80, 25), left_knee=(18, 20), right_hip_flex=(-5, 8),
                    right_knee=(12, 12), pitch=(-10, 12), **_ARMS_FREE),
    "balance": _standing(3, pitch=(52, 22), left_hip_flex=(-38, 14), right_hip_flex=(48, 20),
                       left_knee=(15, 22), right_knee=(8, 8), ankle=(25, 25), arm_raise=(95, 30),
                       arm_plane=(30, 40), elbow=(10, 10), spine_bend=(-8, 12)),
    "split_leap": _airborne(3, left_hip_flex=(88, 18), right_hip_flex=(-48, 10),
                          left_knee=(8, 10), right_knee=(14, 18), ankle=(50, 8),
                          arm_raise=(115, 35), arm_plane=(20, 30), elbow=(10, 10), pitch=(5, 14)),
    "straddle": _airborne(2, hip_flex=(70, 22), hip_spread=(58, 10), knee=(5, 6),
                        ankle=(50, 8), arm_raise=(80, 40), arm_plane=(40, 40), elbow=(12, 12)),
    "hang": _airborne(4, left_hip_flex=(30, 38), right_hip_flex=(30, 38),
                    left_knee=(28, 34), right_knee=(28, 34), ankle=(35, 20), pitch=(0, 22),
                    **_ARMS_UP),
    "climb": _standing(3, left_hip_flex=(75, 25), left_knee=(85, 25), right_knee=(25, 22),
                     left_arm_raise=(120, 30), right_arm_raise=(150, 22), arm_plane=(70, 25),
                     left_elbow=(55, 35), right_elbow=(40, 35), pitch=(10, 18)),
    # Upside down, lying, turning in the air.
    "handstand": _standing(5, roll=(180, 14), pitch=(0, 14), left_hip_flex=(5, 14),
                         right_hip_flex=(5, 14), left_knee=(12, 18), right_knee=(12, 18),
                         hip_spread=(8, 10), spine_bend=(-6, 10), **_ON_HANDS),
    "handstand_split": _standing(3, roll=(180, 18), pitch=(0, 18), left_hip_flex=(60, 25),
                               right_hip_flex=(-35, 15), left_knee=(25, 30),
                               right_knee=(35, 35), spine_bend=(-8, 12), **_ON_HANDS),
    "cartwheel": _standing(4, roll=(130, 55), hip_spread=(45, 12), arm_raise=(150, 20),
                         arm_plane=(15, 20), elbow=(8, 10), knee=(10, 14), ankle=(35, 20)),
    "tuck": _airborne(5, pitch=_ANY, roll=(0, 20), hip_flex=(115, 16), knee=(122, 18),
                    spine_bend=(42, 16), head_nod=(25, 15), arm_raise=(55, 15), hip_spread=(8, 8),
                    arm_plane=(85, 12), elbow=(50, 30), ankle=(40, 15)),
    "pike": _airborne(3, pitch=_ANY, roll=(0, 20), hip_flex=(108, 20), knee=(6, 8),
                    spine_bend=(25, 15), arm_raise=(80, 35), arm_plane=(85, 15), elbow=(10, 12),
                    ankle=(50, 10)),
    "layout": _airborne(4, pitch=_ANY, roll=(0, 50), spine_bend=(-14, 14), hip_flex=(-6, 12),
                      left_knee=(10, 16), right_knee=(10, 16), ankle=(48, 10), **_ARMS_FREE),
    "arch": _airborne(3, pitch=_ANY, roll=(0, 25), spine_bend=(-36, 8), hip_flex=(-24, 10),
                    knee=(35, 25), head_nod=(-28, 12), arm_raise=(160, 18), arm_plane=(70, 25),
                    elbow=(10, 12), ankle=(35, 20)),
    "bridge": _standing(2, pitch=(-105, 12), spine_bend=(-40, 5), hip_flex=(-28, 10), knee=(75, 15),
                      head_nod=(-35, 8), arm_raise=(170, 8), arm_plane=(80, 15), elbow=(8, 8)),
    "lie": _standing(4, pitch=(-90, 9), left_hip_flex=(18, 26), right_hip_flex=(18, 26),
                   left_knee=(30, 34), right_knee=(30, 34), **_ARMS_FREE),
    "lie_prone": _standing(2, pitch=(86, 8), hip_flex=(-4, 8), left_knee=(22, 28),
                         right_knee=(22, 28), head_nod=(-25, 15), spine_bend=(-12, 12),
                         arm_raise=(120, 40), arm_plane=(40, 40), elbow=(55, 40)),
    "plank": _standing(2, pitch=(74, 10), hip_flex=(4, 8), knee=(5, 6), arm_raise=(78, 10),
                     arm_plane=(88, 8), elbow=(16, 22), head_nod=(-20, 15), ankle=(-15, 10)),
    "crawl": _standing(3, pitch=(82, 10), left_hip_flex=(82, 22), right_hip_flex=(82, 22),
                     left_knee=(88, 18), right_knee=(88, 18), ankle=(45, 12), arm_raise=(82, 15),
                     arm_plane=(88, 12), elbow=(14, 16), head_nod=(-22, 16)),
    # Anything within the limits.
    "random": _airborne(7),
}  # fmt: skip


def draw_pose(
    rng: np.random.Generator, families: Sequence[str] | None = None
) -> tuple[Pose, Family]:
    """A random pose within `LIMITS`, and its family.

    Args:
        rng: source of randomness.
        families: names to draw from; None for all, by weight.
    """
    names = list(families or FAMILIES)
    weights = np.array([FAMILIES[name].weight for name in names])
    family = FAMILIES[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
    pose = _random_pose(rng) if not family.angles else _family_pose(family, rng)
    if families is None and rng.random() < 0.12:
        # One pose above the waist and another below make combinations that no family has.
        other = FAMILIES[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
        upper = _family_pose(other, rng)
        pose = {
            name: pose[name] if any(part in name for part in _LOWER) else upper[name]
            for name in pose
        }
    return (mirror_pose(pose) if rng.random() < 0.5 else pose), family


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


def _family_pose(family: Family, rng: np.random.Generator) -> Pose:
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
        pose[name] = _wrap(angle) if high == 180 == -low else float(np.clip(angle, low, high))
    return pose


def _random_pose(rng: np.random.Generator) -> Pose:
    pose = {
        name: float(rng.triangular(low, _mode(low, high), high))
        for name, (low, high) in LIMITS.items()
    }
    if rng.random() < 0.5:
        pose["pitch"], pose["roll"] = (float(a) for a in 12 * rng.standard_normal(2))
    return pose


def _mode(low: float, high: float) -> float:
    """Most likely angle of a random pose: between the relaxed one and the middle of the limits."""
    return 0.5 * min(max(0.0, low), high) + 0.25 * (low + high)


def _wrap(angle: float) -> float:
    return float((angle + 180) % 360 - 180)
