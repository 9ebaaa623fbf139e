"""Keypoint sets: names, mirror pairs, limbs, OKS sigmas.

Sigmas are a required field on purpose: an OKS computed with somebody else's sigmas is a number
without meaning. COCO and CrowdPose sigmas are the official ones. MPII and LSP publish none; theirs
are taken from the COCO or CrowdPose joint of the same kind (pelvis as hip; thorax as neck).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bihrnet.errors import BihrnetError, quoted, shortened
from bihrnet.yaml_files import read_yaml


@dataclass(frozen=True)
class Skeleton:
    """A named keypoint set. Joint indices everywhere refer to the order of `keypoints`.

    Attributes:
        name: short identifier, for instance "coco-17".
        keypoints: K joint names.
        flip_pairs: pairs of joints that swap when the image is mirrored.
        limbs: pairs of joints joined by a line when the skeleton is drawn.
        sigmas: K OKS constants, half of COCO's k_i.
        upper_body: joints of the upper half; the others form the lower half (half-body crops).
    """

    name: str
    keypoints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    limbs: tuple[tuple[int, int], ...]
    sigmas: tuple[float, ...]
    upper_body: tuple[int, ...]

    def __post_init__(self) -> None:
        count = len(self.keypoints)
        if count == 0:
            raise BihrnetError(f"skeleton {quoted(self.name)} has no keypoints")
        if len(set(self.keypoints)) != count:
            raise BihrnetError(f"skeleton {quoted(self.name)} names a keypoint twice")
        if len(self.sigmas) != count or not all(0 < sigma < 1 for sigma in self.sigmas):
            raise BihrnetError(
                f"skeleton {quoted(self.name)} needs one sigma between 0 and 1 for each of its "
                f"{count} keypoints"
            )
        used = [joint for pair in (*self.flip_pairs, *self.limbs) for joint in pair]
        if any(not 0 <= joint < count for joint in (*used, *self.upper_body)):
            raise BihrnetError(
                f"skeleton {quoted(self.name)} refers to a keypoint that it does not have"
            )
        flipped = [joint for pair in self.flip_pairs for joint in pair]
        if len(set(flipped)) != len(flipped):
            raise BihrnetError(f"skeleton {quoted(self.name)} has a keypoint in two flip pairs")

    def __len__(self) -> int:
        return len(self.keypoints)

    def index(self, keypoint: str) -> int:
        """Index of a joint by name; `BihrnetError` where the skeleton lacks it."""
        try:
            return self.keypoints.index(keypoint)
        except ValueError:
            raise BihrnetError(
                f"skeleton {quoted(self.name)} has no keypoint {quoted(keypoint)}"
            ) from None

    @property
    def flip_permutation(self) -> NDArray[np.intp]:
        """(K,) joint order after mirroring: ``mirrored = joints[flip_permutation]``."""
        order = np.arange(len(self))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return order

    @property
    def lower_body(self) -> tuple[int, ...]:
        """Joints that are not in `upper_body`."""
        return tuple(joint for joint in range(len(self)) if joint not in self.upper_body)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, for JSON, YAML and checkpoints."""
        return {
            key: [list(item) if isinstance(item, tuple) else item for item in value]
            if isinstance(value, tuple)
            else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Skeleton:
        """Inverse of `to_dict`; limbs and flip pairs may also be given by joint names.

        Raises:
            BihrnetError: a field is missing, unknown or of the wrong kind.
        """
        known = set(cls.__dataclass_fields__)
        if not isinstance(fields, Mapping) or set(fields) != known:
            found = list(fields) if isinstance(fields, Mapping) else fields
            raise BihrnetError(
                f"a skeleton needs exactly the fields {sorted(known)}, not {quoted(found, 120)}"
            )
        try:
            keypoints = tuple(str(name) for name in fields["keypoints"])
            position = {name: joint for joint, name in enumerate(keypoints)}

            def joint(value: str | int) -> int:
                if isinstance(value, float) and not math.isfinite(value):
                    raise ValueError(f"joint {value} is not a finite number")
                return position[value] if isinstance(value, str) else int(value)

            def sigma(value: float) -> float:
                if not math.isfinite(number := float(value)):
                    raise ValueError(f"sigma {value} is not a finite number")
                return number

            def pairs(values: Sequence[Sequence[str | int]]) -> tuple[tuple[int, int], ...]:
                return tuple((joint(first), joint(second)) for first, second in values)

            return cls(
                name=str(fields["name"]),
                keypoints=keypoints,
                flip_pairs=pairs(fields["flip_pairs"]),
                limbs=pairs(fields["limbs"]),
                sigmas=tuple(sigma(value) for value in fields["sigmas"]),
                upper_body=tuple(joint(value) for value in fields["upper_body"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BihrnetError(f"skeleton cannot be read: {shortened(str(error), 120)}") from error


_SIGMA = {
    "nose": 0.026, "eye": 0.025, "ear": 0.035, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062,
    "hip": 0.107, "knee": 0.087, "ankle": 0.089, "top": 0.079, "neck": 0.079, "thorax": 0.079,
    "pelvis": 0.107,
}  # fmt: skip
_LOWER = {"hip", "knee", "ankle", "pelvis"}


def _standard(name: str, keypoints: str, limbs: str) -> Skeleton:
    """Build a published skeleton; sigmas, mirror pairs and halves follow from the joint names."""
    names = tuple(keypoints.split())
    kinds = [joint.split("_")[-1] for joint in names]
    pairs = [
        (names.index(joint), names.index(joint.replace("left_", "right_")))
        for joint in names
        if joint.startswith("left_")
    ]
    lines = [limb.split("-") for limb in limbs.split()]
    return Skeleton(
        name=name,
        keypoints=names,
        flip_pairs=tuple(pairs),
        limbs=tuple((names.index(first), names.index(second)) for first, second in lines),
        sigmas=tuple(_SIGMA[kind] for kind in kinds),
        upper_body=tuple(joint for joint, kind in enumerate(kinds) if kind not in _LOWER),
    )


_ARMS_AND_LEGS = " ".join(
    f"{side}_{first}-{side}_{second}"
    for side in ("left", "right")
    for first, second in (
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
        ("hip", "knee"),
        ("knee", "ankle"),
    )
)

COCO = _standard(
    "coco-17",
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow"
    " right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle"
    " right_ankle",
    "nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear"
    " left_shoulder-right_shoulder left_shoulder-left_hip right_shoulder-right_hip"
    f" left_hip-right_hip {_ARMS_AND_LEGS}",
)
MPII = _standard(
    "mpii-16",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax neck head_top"
    " right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist",
    "head_top-neck neck-thorax thorax-pelvis thorax-left_shoulder thorax-right_shoulder"
    f" pelvis-left_hip pelvis-right_hip {_ARMS_AND_LEGS}",
)
LSP = _standard(
    "lsp-14",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow"
    " right_shoulder left_shoulder left_elbow left_wrist neck head_top",
    "head_top-neck neck-left_shoulder neck-right_shoulder left_shoulder-left_hip"
    f" right_shoulder-right_hip left_hip-right_hip {_ARMS_AND_LEGS}",
)
CROWDPOSE = _standard(
    "crowdpose-14",
    "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip"
    " left_knee right_knee left_ankle right_ankle head_top neck",
    "head_top-neck neck-left_shoulder neck-right_shoulder left_shoulder-left_hip"
    f" right_shoulder-right_hip left_hip-right_hip {_ARMS_AND_LEGS}",
)

SKELETONS = {skeleton.name: skeleton for skeleton in (COCO, MPII, LSP, CROWDPOSE)}


def load_skeleton(source: str | Path) -> Skeleton:
    """A published skeleton by name ("coco-17", ...) or one's own from a YAML file.

    The YAML holds the fields of `Skeleton`; see docs/data.md for an example.

    Raises:
        BihrnetError: no such name or file, or a malformed file (the sentence names it).
    """
    if str(source) in SKELETONS:
        return SKELETONS[str(source)]
    path = Path(source)
    if not os.path.isfile(path):  # unlike Path.is_file, also False where the name is too long
        raise BihrnetError(
            f"no skeleton {quoted(str(source))}: neither a YAML file nor one of "
            f"{', '.join(sorted(SKELETONS))}"
        )
    fields = read_yaml(path)
    try:
        return Skeleton.from_dict(fields)
    except BihrnetError as error:
        raise BihrnetError(f"{path}: {error}") from error
