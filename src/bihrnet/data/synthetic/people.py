"""The `synthetic` data set: people drawn on access, the same for the same seed, split and index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np

from bihrnet.data.people import PeopleDataset, Person
from bihrnet.data.synthetic.body import check_known
from bihrnet.data.synthetic.scene import draw_scene
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import Skeleton

#: Splits and how many people each has unless told otherwise.
SPLITS = {"train": 10_000, "val": 1_000}
_STREAMS = {"train": 0, "val": 1}


@dataclass(frozen=True)
class SyntheticPeople(Sequence[Person]):
    """A sequence that draws its people on access, from (seed, split, index) alone.

    Attributes:
        split: one of `SPLITS`; no person is in two of them.
        skeleton: order of the joints.
        seed: of the whole data set, 0 or more.
        length: number of people.
    """

    split: str
    skeleton: Skeleton
    seed: int
    length: int

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> Person: ...
    @overload
    def __getitem__(self, index: slice) -> list[Person]: ...
    def __getitem__(self, index: int | slice) -> Person | list[Person]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self.length))]
        position = index + self.length if index < 0 else index
        if not 0 <= position < self.length:
            raise IndexError(f"person {index} of {self.length}")
        rng = np.random.default_rng((self.seed, _STREAMS[self.split], position))
        scene = draw_scene(rng)
        points, visible = scene.keypoints(self.skeleton)
        person = Person.from_box(
            scene.box,
            image=scene.image,
            image_id=position,
            instance_id=position,
            keypoints=points,
            visible=visible,
            image_size=(scene.image.shape[0], scene.image.shape[1]),
        )
        return replace(person, head_size=scene.head_size)


def draw_dataset(split: str, skeleton: Skeleton, seed: int, count: int | None) -> PeopleDataset:
    """As `load_synthetic`."""
    if split not in SPLITS:
        raise BihrnetError(f"synthetic has no split {split!r}; it has {', '.join(SPLITS)}")
    count = SPLITS[split] if count is None else count
    if seed < 0 or count < 1:
        raise BihrnetError(f"synthetic needs a seed >= 0 and a count >= 1, not {seed} and {count}")
    check_known(skeleton)
    return PeopleDataset(
        "synthetic", split, skeleton, SyntheticPeople(split, skeleton, seed, count)
    )
