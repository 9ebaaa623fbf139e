"""Batches whose content depends on (seed, optimizer step) only.

The number of processes or workers and a restart in the middle of an epoch do not change the batch
of a step: the position in the data is computed from the step, so no state of loaders is stored.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Subset

from bihrnet.cpu import available_cores
from bihrnet.data.top_down import TopDownDataset
from bihrnet.errors import BihrnetError

Batch = dict[str, torch.Tensor]


def default_workers(processes: int = 1) -> int:
    """Data-loading processes for each training process: half of its cores, 1 to 8."""
    return min(8, max(1, available_cores() // processes // 2))


class TrainBatches:
    """An epoch's batches for one process: a fresh iteration starts at the current step.

    Process r of n takes every n-th sample of the same global batch, beginning with the r-th. An
    incomplete last batch is dropped.

    Args:
        dataset: samples; its randomness must follow from (seed, epoch, index).
        batch_size: of all processes together.
        seed: of the order of samples.
        position: returns the number of optimizer steps done so far.
        rank: of this process.
        processes: how many train together; must divide `batch_size`.
        workers: loader processes.

    Raises:
        BihrnetError: fewer samples than one batch, or a batch that cannot be divided equally.
    """

    def __init__(
        self,
        dataset: TopDownDataset,
        batch_size: int,
        seed: int,
        position: Callable[[], int],
        *,
        rank: int = 0,
        processes: int = 1,
        workers: int = 0,
    ) -> None:
        if len(dataset) < batch_size:
            raise BihrnetError(
                f"batch_size {batch_size} is more than the {len(dataset)} people to train on"
            )
        if batch_size % processes:
            raise BihrnetError(
                f"batch_size {batch_size} cannot be divided equally among {processes} processes"
            )
        self._dataset = dataset
        self._batch_size = batch_size
        self._seed = seed
        self._position = position
        self._rank = rank
        self._processes = processes
        self._workers = workers

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return len(self._dataset) // self._batch_size

    def indices(self, epoch: int) -> list[list[int]]:
        """The sample indices that this process takes in every step of an epoch."""
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._dataset))
        batches = order[: len(self) * self._batch_size].reshape(len(self), self._batch_size)
        return [batch[self._rank :: self._processes].tolist() for batch in batches]

    def __iter__(self) -> Iterator[Batch]:
        epoch, done = divmod(self._position(), len(self))
        self._dataset.set_epoch(epoch)  # before the workers copy the dataset
        return iter(_loader(self._dataset, self._workers, batch_sampler=self.indices(epoch)[done:]))


def validation_batches(
    dataset: TopDownDataset, batch_size: int, *, rank: int, processes: int, workers: int
) -> DataLoader[Batch]:
    """Every n-th sample once, in order; processes may get different numbers of batches."""
    share = Subset(dataset, range(rank, len(dataset), processes))
    return _loader(share, workers, batch_size=max(1, batch_size // processes))


def _loader(dataset: Any, workers: int, **arguments: Any) -> DataLoader[Batch]:
    return DataLoader(
        dataset,
        num_workers=workers,
        worker_init_fn=_prepare_worker,
        pin_memory=torch.cuda.is_available(),
        # Without its own generator every iteration would advance torch's global one.
        generator=torch.Generator(),
        **arguments,
    )


def _prepare_worker(_worker: int) -> None:
    # Workers already fill the cores; OpenCV's own threads would compete with them.
    cv2.setNumThreads(0)
    # Ctrl-C goes to the whole process group, and a batch system's SIGTERM to every process of the
    # job. The trainer finishes its step first and needs the workers for that; they end with it in
    # any case.
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
