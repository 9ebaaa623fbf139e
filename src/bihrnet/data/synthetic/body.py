"""A jointed body: proportions, forward kinematics, and every labeled point by name.

Lengths are in units of the stature (head to sole of an upright adult is 1), after Drillis and
Contini's body segment lengths. Each part has a right-handed frame whose axes are the person's left
(x), up (y) and front (z) while standing; a person who looks along +z looks at the camera.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, radians, sin
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError
from bihrnet.skeleton import Skeleton

Array: TypeAlias = NDArray[np.float64]

#: Both sides of the body and the sign of their x.
SIDES = (("left", 1.0), ("right", -1.0))
#: Segments of the spine between pelvis and thorax.
SPINE_SEGMENTS = 8


@dataclass(frozen=True)
class Build:
    """Proportions of one person.

    Attributes:
        girth: factor on all thicknesses.
        head, arm, leg, torso, shoulders, hips: factors on these lengths and widths.
    """

    girth: float = 1.0
    head: float = 1.0
    arm: float = 1.0
    leg: float = 1.0
    torso: float = 1.0
    shoulders: float = 1.0
    hips: float = 1.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Build:
        """A random person."""
        girth, *factors = np.clip(rng.standard_normal(7), -2, 2)
        return cls(float(np.exp(0.13 * girth)), *(float(1 + 0.05 * factor) for factor in factors))

    @property
    def lengths(self) -> dict[str, float]:
        """Bone lengths and half widths between joint centers."""
        return {
            "thigh": 0.245 * self.leg,
            "shank": 0.243 * self.leg,
            "upper_arm": 0.172 * self.arm,
            "forearm": 0.152 * self.arm,
            "hand": 0.092 * self.arm,
            "foot": 0.145 * self.leg,
            "torso": 0.272 * self.torso,
            "neck": 0.048,
            "head": 0.140 * self.head,
            "half_shoulders": 0.106 * self.shoulders,
            "half_hips": 0.062 * self.hips,
        }


@dataclass(frozen=True)
class Body:
    """A body in a pose.

    Attributes:
        build: its proportions.
        joints: name -> (3,) position; the pelvis is the origin, y is up, z is towards the camera.
        frames: part -> (3, 3) rotation whose columns are the part's left, up and front axes.
        spine: (SPINE_SEGMENTS + 1, 3) positions from pelvis to thorax.
        spine_frames: (SPINE_SEGMENTS + 1, 3, 3) rotations along the spine.
        head_center: (3,) middle of the skull.
    """

    build: Build
    joints: dict[str, Array]
    frames: dict[str, Array]
    spine: Array
    spine_frames: Array
    head_center: Array

    @property
    def head_scale(self) -> float:
        """Half the height of the skull, chin to top."""
        return 0.49 * self.build.lengths["head"]

    def intersects_itself(self) -> bool:
        """Whether a hand, an elbow, a knee or a foot lies inside the torso or the head."""
        limbs = np.array([self.joints[name] for name in _LIMB_ENDS])
        trunk = np.linalg.norm(limbs[:, None] - self.spine[None, 2:], axis=2).min(axis=1)
        head = np.linalg.norm(limbs - self.head_center, axis=1)
        thick = 0.062 * self.build.girth
        return bool((trunk < thick).any() or (head < 1.15 * self.head_scale).any())


_LIMB_ENDS = tuple(
    f"{side}_{joint}" for side, _ in SIDES for joint in ("elbow", "wrist", "hand", "knee", "ankle")
)

#: Face points in the head's frame, in units of `Body.head_scale` from the middle of the skull.
FACE = {
    "nose": (0.0, -0.20, 1.02),
    "left_eye": (0.30, 0.06, 0.80),
    "right_eye": (-0.30, 0.06, 0.80),
    "left_ear": (0.74, -0.05, -0.05),
    "right_ear": (-0.74, -0.05, -0.05),
}

#: Every point that can be labeled.
KNOWN_JOINTS = (
    *FACE, "head_top", "neck", "thorax", "spine", "pelvis",
    *(f"{side}_{joint}" for side, _ in SIDES for joint in (
        "shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "heel", "big_toe")),
)  # fmt: skip


def check_known(skeleton: Skeleton) -> None:
    """Raise `BihrnetError` for a skeleton with a joint that a synthetic person cannot label."""
    for joint in skeleton.keypoints:
        if joint not in KNOWN_JOINTS:
            known = ", ".join(sorted(KNOWN_JOINTS))
            raise BihrnetError(
                f"synthetic people have no joint {joint!r} of skeleton {skeleton.name!r};"
                f" known joints: {known}"
            )


def turn(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Array:
    """Rotation by degrees about x, then y, then z: (3, 3)."""
    (cx, sx), (cy, sy), (cz, sz) = ((cos(radians(a)), sin(radians(a))) for a in (x, y, z))
    return np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ]
    )


def pose_body(build: Build, pose: Mapping[str, float], facing: float = 0.0) -> Body:
    """Forward kinematics.

    Args:
        build: proportions.
        pose: every angle of `poses.LIMITS`, in degrees.
        facing: direction of the whole body about the vertical: 0 looks at the camera, 180 away.
    """
    length = build.lengths
    pelvis = turn(y=facing) @ turn(z=pose["roll"]) @ turn(x=pose["pitch"])

    spine, spine_frames = [np.zeros(3)], [pelvis]
    for segment in range(SPINE_SEGMENTS):
        part = (segment + 1) / SPINE_SEGMENTS
        frame = pelvis @ turn(
            part * pose["spine_bend"], part * pose["spine_twist"], part * pose["spine_side"]
        )
        middle = (spine_frames[-1][:, 1] + frame[:, 1]) / 2
        spine.append(spine[-1] + middle * length["torso"] / SPINE_SEGMENTS)
        spine_frames.append(frame)
    thorax, chest = spine[-1], spine_frames[-1]

    half_head = turn(pose["head_nod"] / 2, pose["head_turn"] / 2, pose["head_tilt"] / 2)
    neck_frame = chest @ half_head
    head = neck_frame @ half_head
    neck = thorax + neck_frame @ (0, length["neck"], 0.12 * length["neck"])
    scale = 0.49 * length["head"]
    head_center = neck + head @ (0, 1.04 * scale, 0.30 * scale)

    joints = {
        "pelvis": spine[0],
        "spine": spine[SPINE_SEGMENTS // 2],
        "thorax": thorax,
        "neck": neck,
        "head_top": head_center + head @ (0, scale, -0.1 * scale),
    }
    for name, place in FACE.items():
        joints[name] = head_center + head @ (scale * np.array(place))
    frames = {"pelvis": pelvis, "chest": chest, "neck": neck_frame, "head": head}
    for side, sign in SIDES:
        _pose_arm(side, sign, pose, length, joints, frames)
        _pose_leg(side, sign, pose, length, joints, frames)
    return Body(build, joints, frames, np.array(spine), np.array(spine_frames), head_center)


def _pose_arm(
    side: str,
    sign: float,
    pose: Mapping[str, float],
    length: Mapping[str, float],
    joints: dict[str, Array],
    frames: dict[str, Array],
) -> None:
    raised, plane = pose[f"{side}_arm_raise"], pose[f"{side}_arm_plane"]
    # The collarbone lifts the shoulder of a raised arm and brings it forward with a crossing one.
    lift = max(0.0, (raised - 60) / 120)
    forward = 0.025 * sin(radians(plane)) * sin(radians(raised))
    reach = sign * (length["half_shoulders"] - 0.022 * lift)
    shoulder = joints["thorax"] + frames["chest"] @ (reach, 0.042 * lift, forward)
    # Lifted in a vertical plane: 0 to the side, 90 to the front.
    swing = turn(y=-sign * plane) @ turn(z=sign * raised) @ turn(y=sign * plane)
    upper = frames["chest"] @ swing @ turn(y=sign * pose[f"{side}_arm_twist"])
    lower = upper @ turn(x=-pose[f"{side}_elbow"])
    hand = lower @ turn(x=-pose[f"{side}_wrist"])
    elbow = shoulder - length["upper_arm"] * upper[:, 1]
    wrist = elbow - length["forearm"] * lower[:, 1]
    frames |= {f"{side}_upper_arm": upper, f"{side}_forearm": lower, f"{side}_hand": hand}
    joints |= {
        f"{side}_shoulder": shoulder,
        f"{side}_elbow": elbow,
        f"{side}_wrist": wrist,
        f"{side}_hand": wrist - 0.5 * length["hand"] * hand[:, 1],
    }


def _pose_leg(
    side: str,
    sign: float,
    pose: Mapping[str, float],
    length: Mapping[str, float],
    joints: dict[str, Array],
    frames: dict[str, Array],
) -> None:
    pelvis = frames["pelvis"]
    hip = joints["pelvis"] + pelvis @ (sign * length["half_hips"], 0, 0)
    thigh = (
        pelvis
        @ turn(x=-pose[f"{side}_hip_flex"])
        @ turn(z=sign * pose[f"{side}_hip_spread"])
        @ turn(y=sign * pose[f"{side}_hip_twist"])
    )
    shank = thigh @ turn(x=pose[f"{side}_knee"])
    foot = shank @ turn(x=pose[f"{side}_ankle"])
    knee = hip - length["thigh"] * thigh[:, 1]
    ankle = knee - length["shank"] * shank[:, 1]
    frames |= {f"{side}_thigh": thigh, f"{side}_shank": shank, f"{side}_foot": foot}
    joints |= {
        f"{side}_hip": hip,
        f"{side}_knee": knee,
        f"{side}_ankle": ankle,
        f"{side}_heel": ankle + length["foot"] * (foot @ (0, -0.20, -0.25)),
        f"{side}_big_toe": ankle + length["foot"] * (foot @ (-sign * 0.08, -0.24, 0.72)),
    }
