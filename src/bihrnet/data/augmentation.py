"""HRNet's training augmentation: half-body, scale, rotation, flip; and a color jitter."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import Crop, grow_to_aspect
from bihrnet.data.people import FloatArray, Person
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import Skeleton

#: A half-body crop is this much larger than the box of its joints.
_HALF_BODY_PADDING = 1.5
#: Chance of the upper half where both are there: HRNet asks `randn() < 0.5`, a normal deviate.
_UPPER_HALF = 0.69
#: A half needs more joints than this, or the other one is taken.
_HALF_MINIMUM = 2


@dataclass(frozen=True)
class Augmentation:
    """How crops vary in training. Every default means no variation.

    HRNet's values for COCO are scale 0.35, rotation 45, rotation_probability 0.6,
    flip_probability 0.5, half_body_probability 0.3; for MPII 0.25, 30, 0.6, 0.5 and 0.

    Attributes:
        scale: s; the crop's size is multiplied by clip(1 + s N(0, 1), 1 - s, 1 + s).
        rotation: r in degrees; the crop turns by clip(r N(0, 1), -2r, 2r) ...
        rotation_probability: ... with this probability.
        flip_probability: of mirroring.
        half_body_probability: of cropping to the upper or lower half of the body, for people with
            more than `half_body_min_joints` labeled joints.
        half_body_min_joints: see above.
        color_jitter: j; each color channel is multiplied by a number from 1 - j to 1 + j.
    """

    scale: float = 0.0
    rotation: float = 0.0
    rotation_probability: float = 0.0
    flip_probability: float = 0.0
    half_body_probability: float = 0.0
    half_body_min_joints: int = 8
    color_jitter: float = 0.0

    def __post_init__(self) -> None:
        limits = {"scale": 0.99, "rotation": 180, "half_body_min_joints": 1000}
        for field in fields(self):
            value, limit = getattr(self, field.name), limits.get(field.name, 1)
            if not 0 <= value <= limit:
                raise BihrnetError(f"augmentation {field.name} is {value}, not from 0 to {limit}")


def augment(
    person: Person,
    skeleton: Skeleton,
    output: tuple[int, int],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Crop:
    """Draw one crop of a person for a network input of (height, width)."""
    crop = person.crop(output)
    if (
        rng.random() < augmentation.half_body_probability
        and person.visible.sum() > augmentation.half_body_min_joints
    ):
        crop = _half_body(person, skeleton, output, rng) or crop
    spread, turn = augmentation.scale, augmentation.rotation
    scale = np.clip(1 + spread * rng.standard_normal(), 1 - spread, 1 + spread)
    rotation = 0.0
    if rng.random() < augmentation.rotation_probability:
        rotation = float(np.clip(turn * rng.standard_normal(), -2 * turn, 2 * turn))
    mirror = bool(rng.random() < augmentation.flip_probability)
    return crop.augmented(float(scale), rotation, mirror)


def joints_in_crop(
    person: Person, skeleton: Skeleton, crop: Crop
) -> tuple[NDArray[np.float64], FloatArray, FloatArray]:
    """The joints as the crop shows them.

    Returns:
        keypoints (K, 2) in input pixels, visible (K,) and weights (K,); in a mirrored crop left and
        right joints are swapped, because a mirrored left hand is a right hand.
    """
    keypoints, visible = crop.to_input(person.keypoints), person.visible
    weights = np.ones_like(visible) if person.weights is None else person.weights
    if crop.mirror:
        order = skeleton.flip_permutation
        keypoints, visible, weights = keypoints[order], visible[order], weights[order]
    return keypoints, visible, weights


def jitter_colors(
    pixels: NDArray[np.uint8], amount: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Multiply each channel of (h, w, 3) pixels by a factor from 1 - amount to 1 + amount."""
    factors = rng.uniform(1 - amount, 1 + amount, size=3).astype(np.float32)
    return np.clip(pixels * factors + np.float32(0.5), 0, 255).astype(np.uint8)


def _half_body(
    person: Person, skeleton: Skeleton, output: tuple[int, int], rng: np.random.Generator
) -> Crop | None:
    """Crop around the labeled joints of one half; None where no half has enough of them."""
    upper, lower = (
        person.keypoints[[joint for joint in half if person.visible[joint] > 0]]
        for half in (skeleton.upper_body, skeleton.lower_body)
    )
    if (rng.random() < _UPPER_HALF and len(upper) > _HALF_MINIMUM) or len(lower) <= _HALF_MINIMUM:
        half = upper
    else:
        half = lower
    if len(half) < 2 or not np.ptp(half, axis=0).any():
        return None
    # HRNet centers on the mean of the joints, not on the middle of their box.
    x, y = half.mean(axis=0, dtype=np.float64)
    width, height = grow_to_aspect(tuple(np.ptp(half, axis=0).astype(float)), output)
    size = (width * _HALF_BODY_PADDING, height * _HALF_BODY_PADDING)
    return Crop((float(x), float(y)), size, output)
