"""The callback that keeps a run's folder: checkpoints, metrics.csv, one line per epoch."""

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

from bihrnet.training.history import History
from bihrnet.training.module import PoseTraining
from bihrnet.training.run_folder import RunFolder

log = logging.getLogger(__name__)


class StopRequested(Exception):  # noqa: N818  (nothing went wrong)
    """Ctrl-C or SIGTERM came; everything up to the last whole step is saved."""


class RunCallback(pl.Callback):
    """Records and saves; `last.ckpt` resumes exactly, `best.ckpt` holds weights only.

    Args:
        folder: of the run, opened.
        save_every_minutes: how often `last.ckpt` is renewed inside a long epoch.
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
        """From here on the first Ctrl-C or SIGTERM waits for the step to end.

        Lightning's own handlers, registered before, would stop in the middle of a step.
        """
        self._saved_at = self._epoch_began_at = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old_handlers[number] = signal.signal(number, self._request_stop)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Give signals back to whom they belonged."""
        self._restore_handlers()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        """Note the learning rate of this step: at its end Lightning has set the next one's."""
        self._rate = optimizer.param_groups[-1]["lr"]

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Record the losses; save when it is time; stop when asked. All processes agree on both."""
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
            shown = ", ".join(
                f"{name} {value:.5g}"
                for name, value in row.items()
                if name.startswith("train_") or name in ("val_loss", section.metric)
            )
            epoch, epochs = int(row["epoch"]), pl_module.recipe.epochs
            log.info("epoch %d/%d: %s, %.0f s", epoch, epochs, shown, seconds)
        if self._stop_agreed:
            raise StopRequested
        self._epoch_began_at = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Part of every resumable checkpoint."""
        return self.history.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the table of the run that is resumed."""
        self.history.load_state_dict(state_dict)

    def _save_last(self, trainer: pl.Trainer) -> None:
        trainer.save_checkpoint(self._folder.last)
        self._saved_at = time.monotonic()

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        """First signal: note it. The next one acts at once, as if this handler were not here."""
        self._stop = True
        self._restore_handlers()
        log.warning("stopping after this step; once more stops at once, without saving")

    def _restore_handlers(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers = {}
