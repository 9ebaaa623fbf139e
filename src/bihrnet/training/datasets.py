"""The people that a recipe names, for training and for validation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import overload

from bihrnet.data import find_dataset, load_dataset
from bihrnet.data.people import PeopleDataset, Person
from bihrnet.data.top_down import TopDownDataset
from bihrnet.errors import BihrnetError
from bihrnet.training.recipe import DataSection


def load_training_data(section: DataSection, root: Path | None, seed: int) -> TopDownDataset:
    """Augmented samples of all data sets in `train`, one after the other.

    An entry is the name of a data set, or NAME/FOLDER: a data set that is read from that folder of
    `root`, so that several of one format can be trained on together ("coco/people", "coco/lspet").

    Args:
        section: of the recipe.
        root: folder of the data set; where the recipe names several on disk, the folder that holds
            one folder for each, named as the data set unless the entry says otherwise. Not needed
            for data sets that are drawn: with the joints of the others, or those of the section.
        seed: of the augmentation.

    Raises:
        BihrnetError: no folder given, data that cannot be read, or unlike skeletons.
    """
    parts = [_load(section, name, root, "train") for name in section.train if _on_disk(name)]
    skeleton = parts[0].skeleton if parts else section.skeleton
    parts += [
        load_dataset(name, split="train", skeleton=skeleton)
        for name in section.train
        if not _on_disk(name)
    ]
    first = parts[0]
    for part in parts[1:]:
        if part.skeleton != first.skeleton:
            raise BihrnetError(
                f"{first.name} ({first.skeleton.name}) and {part.name} ({part.skeleton.name}) have "
                "different skeletons and cannot be trained on together"
            )
    people = first.people if len(parts) == 1 else _Chain([part.people for part in parts])
    name = "+".join(part.name for part in parts)
    together = PeopleDataset(name, first.split, first.skeleton, people)
    return TopDownDataset(together, section.input_size, section.sigma, section.augmentation, seed)


def load_validation_data(section: DataSection, root: Path | None) -> TopDownDataset:
    """Samples of `val`, each person's own crop."""
    if _on_disk(section.val):
        dataset = _load(section, section.val, root, None)
    else:
        drawn = load_dataset(section.val, skeleton=section.skeleton)
        # Every evaluation reads each person three times; they are small enough to keep.
        dataset = replace(drawn, people=list(drawn.people))
    return TopDownDataset(dataset, section.input_size, section.sigma)


def _on_disk(entry: str) -> bool:
    return find_dataset(entry.partition("/")[0]).on_disk


def _load(section: DataSection, entry: str, root: Path | None, split: str | None) -> PeopleDataset:
    if root is None:
        raise BihrnetError(f"the recipe needs {entry}: give its folder with --data")
    name, _, folder = entry.partition("/")
    if not folder and sum(map(_on_disk, {*section.train, section.val})) > 1:
        folder = name
    dataset = load_dataset(name, root / folder, split=split, skeleton=section.skeleton)
    return replace(dataset, name=entry) if folder not in ("", name) else dataset


class _Chain(Sequence[Person]):
    """Several sequences one after the other; people that are drawn lazily stay lazy."""

    def __init__(self, parts: Sequence[Sequence[Person]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> Person: ...
    @overload
    def __getitem__(self, index: slice) -> list[Person]: ...
    def __getitem__(self, index: int | slice) -> Person | list[Person]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(index)
        part = bisect_right(self._ends, position)
        return self._parts[part][position - (self._ends[part - 1] if part else 0)]
