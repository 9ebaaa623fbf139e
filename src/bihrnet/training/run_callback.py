"""The callback that writes a run's folder: checkpoints, metrics.csv, one log line per epoch."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from torch.optim import Optimizer

from bihrnet.training.history import History, Row
from bihrnet.training.module import PoseTraining
from bihrnet.training.recipe import Recipe
from bihrnet.training.run_folder import RunFolder

log = logging.getLogger(__name__)


class StopRequested(Exception):  # noqa: N818  (not an error)
    """Ctrl-C or SIGTERM was received; everything up to the last complete step is saved."""


class RunCallback(pl.Callback):
    """Records losses and saves `last.ckpt`, which resumes exactly, and the weights in `best.ckpt`.

    Args:
        folder: of the run, opened.
        save_every_minutes: interval between two versions of `last.ckpt` inside a long epoch.
    """

    def __init__(self, folder: RunFolder, save_every_minutes: float) -> None:
        self.history = History()
        self._folder = folder
        self._save_every = save_every_minutes * 60
        self._stop = self._stop_agreed = False
        self._rate = 0.0
        self._old_handlers: dict[int, Any] = {}
        self._saved_at = self._epoch_began_at = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Let the first Ctrl-C or SIGTERM wait for the end of the step.

        Lightning's own handlers, registered before, would stop in the middle of a step.
        """
        self._saved_at = self._epoch_began_at = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old_handlers[number] = signal.signal(number, self._request_stop)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Restore the previous signal handlers."""
        self._restore_handlers()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Record the learning rate of this step; after it Lightning has set that of the next."""
        self._rate = optimizer.param_groups[-1]["lr"]

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record the losses; save or stop if it is time. All processes decide alike."""
        names = list(outputs)
        due = trainer.is_global_zero and time.monotonic() - self._saved_at >= self._save_every
        shared = torch.stack([outputs[name].detach().float() for name in names])
        shared = torch.cat([shared, shared.new_tensor([float(self._stop), float(due)])])
        if trainer.world_size > 1:
            torch.distributed.all_reduce(shared)
        *losses, stop, save = shared.tolist()
        means = {name: loss / trainer.world_size for name, loss in zip(names, losses, strict=True)}
        self.history.add_step(means)
        shown = {f"train/{name}": mean for name, mean in means.items()}
        pl_module.log_dict(shown, prog_bar=True, rank_zero_only=True)
        assert isinstance(pl_module, PoseTraining)
        if trainer.global_step % pl_module.steps_per_epoch == 0:
            # Saved at the end of the epoch, after its evaluation.
            self._stop_agreed = bool(stop)
        else:
            if stop or save:
                self._save_last(trainer)
            if stop:
                raise StopRequested

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Close the row of this epoch and save; runs after validation."""
        assert isinstance(pl_module, PoseTraining)
        section = pl_module.recipe.evaluation
        evaluated = (trainer.current_epoch + 1) % section.every == 0
        metrics = pl_module.metrics if evaluated else {}
        best = self.history.best(section.metric)
        seconds = time.monotonic() - self._epoch_began_at
        row = self.history.finish_epoch({**metrics, "lr": self._rate, "seconds": seconds})
        if evaluated and (best is None or metrics[section.metric] > best):
            trainer.save_checkpoint(self._folder.best, weights_only=True)
        self._save_last(trainer)
        if trainer.is_global_zero:
            self.history.write_csv(self._folder.table)
            self._log_epoch(row, pl_module.recipe)
        if self._stop_agreed:
            raise StopRequested
        self._epoch_began_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Part of every resumable checkpoint."""
        return self.history.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the table of the run that is resumed."""
        self.history.load_state_dict(state_dict)

    def _log_epoch(self, row: Row, recipe: Recipe) -> None:
        shown = ", ".join(
            f"{name} {value:.5g}"
            for name, value in row.items()
            if name.startswith("train_") or name in ("val_loss", recipe.evaluation.metric)
        )
        log.info("epoch %d/%d: %s, %.0f s", int(row["epoch"]), recipe.epochs, shown, row["seconds"])

    def _save_last(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._folder.last)
        self._saved_at = time.monotonic()

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        """Stop after this step; the next signal acts at once, as without this handler."""
        self._stop = True
        self._restore_handlers()
        log.warning("stopping after this step; a second signal stops at once, without saving")

    def _restore_handlers(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers = {}
