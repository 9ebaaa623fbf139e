"""Registry of data sets: a name leads to one decorated loader.

`bihrnet.data` imports every file that registers one, so a new data set is its own file and a line
there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from bihrnet.data.people import MetricProtocol, PeopleDataset
from bihrnet.errors import BihrnetError, quoted
from bihrnet.skeleton import Skeleton

_P = ParamSpec("_P")


@dataclass(frozen=True)
class DatasetEntry:
    """What is known about a data set before it is loaded.

    Attributes:
        name: as recipes and commands call it.
        splits: the one for evaluation first.
        skeleton: of its people, unless another is given.
        loader: called as ``loader(root, split)``, or ``loader(split)`` where nothing is on disk,
            with the keywords ``boxes`` and ``skeleton`` where the two fields below allow them.
        protocol: how predictions are scored.
        own_skeleton: whether people with other joints can be loaded, given their skeleton.
        detections: whether a file of detections can replace the ground-truth boxes.
        on_disk: whether it is read from a folder.
    """

    name: str
    splits: tuple[str, ...]
    skeleton: Skeleton
    loader: Callable[..., PeopleDataset]
    protocol: MetricProtocol = "pck"
    own_skeleton: bool = False
    detections: bool = False
    on_disk: bool = True

    def load(
        self,
        root: str | Path | None = None,
        split: str | None = None,
        boxes: str | Path | None = None,
        skeleton: Skeleton | None = None,
    ) -> PeopleDataset:
        """See `bihrnet.data.load_dataset`."""
        split = split or self.splits[0]
        if split not in self.splits:
            raise BihrnetError(
                f"data set {self.name!r} has no split {quoted(split)}, only "
                f"{', '.join(self.splits)}"
            )
        options: dict[str, Any] = {}
        if boxes is not None:
            if not self.detections:
                raise BihrnetError(
                    f"data set {self.name!r} is evaluated on its own boxes, not on {boxes}"
                )
            options["boxes"] = Path(boxes)
        if skeleton is not None:
            if not self.own_skeleton:
                raise BihrnetError(
                    f"data set {self.name!r} has a skeleton of its own, not {skeleton.name!r}"
                )
            options["skeleton"] = skeleton
        if not self.on_disk:
            return self.loader(split, **options)
        if root is None or not Path(root).exists():
            problem = "none was given" if root is None else f"{root} does not exist"
            raise BihrnetError(f"data set {self.name!r} needs the folder it is in, but {problem}")
        return self.loader(Path(root), split, **options)


_DATASETS: dict[str, DatasetEntry] = {}


def register(
    name: str,
    *,
    splits: tuple[str, ...],
    skeleton: Skeleton,
    protocol: MetricProtocol = "pck",
    own_skeleton: bool = False,
    detections: bool = False,
    on_disk: bool = True,
) -> Callable[[Callable[_P, PeopleDataset]], Callable[_P, PeopleDataset]]:
    """Make a loader known under `name`; the arguments are explained at `DatasetEntry`.

    The decorated loader sets the protocol of what it loads.
    """

    def decorate(loader: Callable[_P, PeopleDataset]) -> Callable[_P, PeopleDataset]:
        @wraps(loader)
        def load(*arguments: _P.args, **options: _P.kwargs) -> PeopleDataset:
            return replace(loader(*arguments, **options), protocol=protocol)

        if name in _DATASETS:
            raise ValueError(f"data set {name!r} is registered twice")
        _DATASETS[name] = DatasetEntry(
            name, splits, skeleton, load, protocol, own_skeleton, detections, on_disk
        )
        return load

    return decorate


def datasets() -> dict[str, DatasetEntry]:
    """All data sets by name."""
    return dict(_DATASETS)


def find_dataset(name: str) -> DatasetEntry:
    """The data set of a name; `BihrnetError` listing all of them where there is none."""
    if name not in _DATASETS:
        raise BihrnetError(f"no data set {quoted(name)}; known: {', '.join(_DATASETS)}")
    return _DATASETS[name]
