"""Keypoints of all people of a data set, each from the crop around its own box."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bihrnet.crop import Crop
from bihrnet.data.people import Person
from bihrnet.heatmap import Decoding
from bihrnet.model import HeatmapModel, predict_crops

#: Called with the number of people done and of all.
Progress: TypeAlias = Callable[[int, int], None]

#: Threads that read and warp the next batch while the model runs.
_READERS = 2


def predict_dataset(
    model: HeatmapModel,
    people: Sequence[Person],
    *,
    flip_test: bool | None = None,
    decoding: Decoding | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Estimate the keypoints of every person.

    Args:
        model: crops in, heatmaps out.
        people: of a data set.
        flip_test: average with the mirrored crop; None for the model's default.
        decoding: None for the model's default.
        batch_size: crops that go through the network at once.
        progress: called after every batch.

    Returns:
        (N, K, 3) float32: x, y in pixels of each person's image, and the height of the peak.

    Raises:
        BihrnetError: an image cannot be read (the sentence names it), or the model's heatmaps are
            not finite.
    """
    spec = model.spec
    flip_test = spec.flip_test if flip_test is None else flip_test
    predictions = np.empty((len(people), len(spec.skeleton), 3), dtype=np.float32)
    done = 0
    for crops, pixels in _batches(people, spec.input_size, batch_size):
        predictions[done : done + len(crops)] = predict_crops(
            model, crops, pixels, flip_test=flip_test, decoding=decoding, batch_size=batch_size
        )
        done += len(crops)
        if progress is not None:
            progress(done, len(people))
    return predictions


def _batches(
    people: Sequence[Person], size: tuple[int, int], batch_size: int
) -> Iterator[tuple[Sequence[Crop], Sequence[NDArray[np.uint8]]]]:
    """Crops and their pixels (height, width, 3); the next batch is read in the background."""

    def read(index: int) -> tuple[Crop, NDArray[np.uint8]]:
        person = people[index]
        crop = person.crop(size)
        return crop, crop.warp(person.read_image())

    def begin(start: int) -> list[Future[tuple[Crop, NDArray[np.uint8]]]]:
        indices = range(start, min(start + batch_size, len(people)))
        return [readers.submit(read, index) for index in indices]

    readers = ThreadPoolExecutor(_READERS)
    try:
        ahead = begin(0)
        for following in range(batch_size, len(people) + batch_size, batch_size):
            current, ahead = ahead, begin(following)
            crops, pixels = zip(*(future.result() for future in current), strict=True)
            yield crops, pixels
    finally:
        readers.shutdown(cancel_futures=True)
