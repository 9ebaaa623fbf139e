"""Speed of a run and the time it still needs, as log lines and on the progress bar."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import RichProgressBar

from bihrnet.training.module import PoseTraining

log = logging.getLogger(__name__)

#: Seconds until the first line, and between any two.
FIRST_REPORT, INTERVAL = 20.0, 50.0


class Speed:
    """Images per second and the remaining time, measured over optimizer steps.

    The first step after `start` is left out: it may wait for worker processes or a compiler.

    Args:
        batch_size: images of a step, of all processes together.
        clock: seconds.
    """

    def __init__(self, batch_size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._batch_size = batch_size
        self._clock = clock
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None

    def add(self, step: int) -> None:
        """Note that `step` optimizer steps of the run are done."""
        self._last = step, self._clock()
        if self._first is None:
            self._first = self._last

    @property
    def seconds_per_step(self) -> float | None:
        """Mean duration of a step, with the evaluations between; None before the second one."""
        if self._first is None or self._last is None or self._last[0] == self._first[0]:
            return None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])

    def describe(self, step: int, steps: int) -> str | None:
        """For instance "35.2 images/s, 1 h 20 min left" at `step` of `steps`."""
        seconds = self.seconds_per_step
        if seconds is None or seconds <= 0:
            return None
        left = format_duration(seconds * (steps - step))
        return f"{self._batch_size / seconds:.1f} images/s, {left} left"


def format_duration(seconds: float) -> str:
    """Two units at most: "45 s", "12 min", "3 h 05 min", "2 d 4 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


class ProgressReport(pl.Callback):
    """Logs position, speed and remaining time every minute, in training and in evaluation."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._speed: Speed | None = None
        self._steps = 0
        self._next_report = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start measuring."""
        assert isinstance(pl_module, PoseTraining)
        self._speed = Speed(pl_module.recipe.batch_size, self._clock)
        self._steps = pl_module.recipe.epochs * pl_module.steps_per_epoch
        self._next_report = self._clock() + FIRST_REPORT

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Report after a step if it is time."""
        assert self._speed is not None
        self._speed.add(trainer.global_step)
        if speed := self.describe(trainer.global_step):
            self._report(trainer, f"step {trainer.global_step}/{self._steps}: {speed}")

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Report during an evaluation if it is time."""
        done = (batch_idx + 1) / float(trainer.num_val_batches[0])
        self._report(trainer, f"evaluating: {100 * done:.0f} % done")

    def describe(self, step: int) -> str | None:
        """Speed and remaining time after `step` optimizer steps; None if not known yet."""
        return self._speed.describe(step, self._steps) if self._speed else None

    def _report(self, trainer: pl.Trainer, text: str) -> None:
        if self._clock() >= self._next_report:
            self._next_report = self._clock() + INTERVAL
            if trainer.is_global_zero:
                log.info(text)


class ProgressBar(RichProgressBar):
    """Lightning's bar of an epoch on standard error, with speed and remaining time of the run."""

    def __init__(self, report: ProgressReport) -> None:
        super().__init__(console_kwargs={"stderr": True})
        self._progress_report = report

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Losses, speed and remaining time."""
        metrics = super().get_metrics(trainer, pl_module)
        speed = self._progress_report.describe(trainer.global_step)
        return {**metrics, "speed": speed} if speed else metrics
