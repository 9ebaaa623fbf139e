"""The `synthetic` data set: people drawn on access, the same for the same seed, split and index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from bihrnet.crop import BOX_PADDING
from bihrnet.data.people import PeopleDataset, Person
from bihrnet.data.synthetic.body import check_known
from bihrnet.data.synthetic.scene import draw_scene
from bihrnet.errors import BihrnetError
from bihrnet.skeleton import LSP, Skeleton

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
        (person,) = scene.people
        points, visible = person.keypoints(self.skeleton)
        x, y, width, height = (float(value) for value in person.box)
        return Person(
            image=scene.image,
            image_id=position,
            instance_id=position,
            center=(x + width / 2, y + height / 2),
            size=(width * BOX_PADDING, height * BOX_PADDING),
            keypoints=points,
            visible=visible,
            box=person.box.astype(np.float32),
            head_size=person.head_size,
            image_size=(scene.image.shape[0], scene.image.shape[1]),
        )


def load_synthetic(
    split: str = "train", skeleton: Skeleton = LSP, seed: int = 0, count: int | None = None
) -> PeopleDataset:
    """People drawn by the project itself, with exact labels; nothing is read from disk.

    Args:
        split: "train" or "val".
        skeleton: any whose joint names are in `body.KNOWN_JOINTS`.
        seed: another seed draws other people.
        count: number of people; None for the split's own (`SPLITS`). The first people of a larger
            set are those of a smaller one.

    Raises:
        BihrnetError: unknown split or joint, a negative seed, fewer than one person.
    """
    if split not in SPLITS:
        raise BihrnetError(f"synthetic has no split {split!r}; it has {', '.join(SPLITS)}")
    count = SPLITS[split] if count is None else count
    if seed < 0 or count < 1:
        raise BihrnetError(f"synthetic needs a seed >= 0 and a count >= 1, not {seed} and {count}")
    check_known(skeleton)
    return PeopleDataset(
        "synthetic", split, skeleton, SyntheticPeople(split, skeleton, seed, count)
    )
