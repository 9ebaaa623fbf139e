"""A training run from recipe to files: builds all parts and hands them to Lightning."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerStatus

from bihrnet import nn
from bihrnet.data.people import PeopleDataset
from bihrnet.errors import BihrnetError
from bihrnet.evaluation.protocols import score_predictions
from bihrnet.skeleton import Skeleton
from bihrnet.training.batches import TrainBatches, default_workers, validation_batches
from bihrnet.training.checkpoint import AtomicCheckpointIO
from bihrnet.training.curves import draw_curves
from bihrnet.training.datasets import load_training_data, load_validation_data
from bihrnet.training.distributed import synchronize_batch_norm
from bihrnet.training.history import Row
from bihrnet.training.initial_weights import load_teacher, start_from
from bihrnet.training.module import PoseTraining
from bihrnet.training.quiet import quieten_lightning
from bihrnet.training.recipe import Recipe
from bihrnet.training.run_callback import RunCallback, StopRequested
from bihrnet.training.run_folder import RunFolder

log = logging.getLogger(__name__)


def train(
    recipe: Recipe,
    data: Path | None = None,
    *,
    out: Path = Path("runs"),
    resume: bool = False,
    devices: int = 1,
    nodes: int = 1,
    workers: int | None = None,
    compile: bool = False,
    tensorboard: bool = False,
    teacher_answers: Path | None = None,
    save_every_minutes: float = 10.0,
) -> Path:
    """Train by a recipe, or go on where a stopped or killed run was.

    Args:
        recipe: what to compute; the run is the same on one process and on several.
        data: folder of the dataset(s), see `load_training_data`.
        out: folder of all runs.
        resume: go on from the run's last checkpoint; without one, begin.
        devices: processes on this machine, each on a GPU of its own or sharing the CPU. Started by
            torchrun, its process count is taken instead.
        nodes: machines; started by torchrun on each.
        workers: processes that prepare batches, per training process; None suits the machine.
        compile: spend some minutes at the start on torch.compile, to take steps faster.
        tensorboard: also write TensorBoard events.
        teacher_answers: folder that keeps the teacher's answers for further runs, see
            `KeptAnswers`.
        save_every_minutes: how often a long epoch is saved in between.

    Returns:
        the run's folder, see `RunFolder`.

    Raises:
        BihrnetError: a mistake in recipe, data or folder, a full disk, a loss that is not a number.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the last whole step is saved.
    """
    folder = RunFolder(out, recipe)
    folder.check(recipe, resume)
    checkpoint = folder.last if resume and folder.last.is_file() else None
    devices, nodes = _process_counts(devices, nodes)
    go_on = folder.resume_command(
        {
            "data": data,
            "devices": devices if devices > 1 else None,
            "nodes": nodes if nodes > 1 else None,
            "workers": workers,
            "compile": compile,
            "tensorboard": tensorboard,
            "teacher-answers": teacher_answers,
        }
    )
    workers = default_workers(devices) if workers is None else workers
    quieten_lightning()
    pl.seed_everything(recipe.seed, verbose=False)

    callback = RunCallback(folder, save_every_minutes)
    trainer = _trainer(recipe, folder, callback, devices, nodes, tensorboard)
    samples = load_training_data(recipe.data, data, recipe.seed)
    validation = load_validation_data(recipe.data, data)
    _check_validation(validation.dataset, samples.dataset.skeleton, recipe.evaluation.metric)
    rank, processes = trainer.global_rank, trainer.world_size
    batches = TrainBatches(
        samples,
        recipe.batch_size,
        recipe.seed,
        lambda: trainer.global_step,
        rank=rank,
        processes=processes,
        workers=workers,
    )
    network = nn.build(recipe.architecture, len(samples.dataset.skeleton), **recipe.options)
    if recipe.initialize_from is not None and checkpoint is None:
        start_from(network, Path(recipe.initialize_from))
    if processes > 1:
        network = synchronize_batch_norm(network, trainer.strategy.root_device)
    teacher = None
    if recipe.teacher is not None:
        teacher = load_teacher(recipe.teacher, samples.dataset.skeleton, teacher_answers)
    if _is_main_process():
        folder.open(recipe, resume)
    with _log_file(folder.log, trainer.is_global_zero):
        if resume and checkpoint is None:
            log.info("there is nothing to resume in %s: a new run begins", folder.path)
        else:
            log.info("%s %s", "training" if checkpoint is None else "resuming", folder.path)
        try:
            trainer.fit(
                PoseTraining(
                    recipe, network, len(batches), validation.dataset, teacher, compile=compile
                ),
                batches,
                validation_batches(
                    validation, recipe.batch_size, rank=rank, processes=processes, workers=workers
                ),
                ckpt_path=checkpoint,
            )
        except StopRequested:
            where = ", by torchrun on each machine," if nodes > 1 else ""
            log.info("stopped and saved; go on%s with: %s", where, go_on)
            raise KeyboardInterrupt from None
        except SystemExit:
            # So Lightning ends when a second Ctrl-C comes.
            if trainer.state.status != TrainerStatus.INTERRUPTED:
                raise
            raise KeyboardInterrupt from None
        except BihrnetError as error:
            # One from a loader process comes wrapped in that process's traceback.
            sentence = str(error).strip().rpartition("BihrnetError: ")[2]
            raise BihrnetError(f"{sentence}; {folder.what_is_left()}") from error
        finally:
            if trainer.is_global_zero and callback.history.rows:
                _draw_curves(callback.history.rows, recipe, folder.curves)
    return folder.path


def _check_validation(validation: PeopleDataset, skeleton: Skeleton, metric: str) -> None:
    """Find out before the first epoch, not after it, that nothing could be judged."""
    if validation.skeleton != skeleton:
        raise BihrnetError(
            f"training has the joints of {skeleton.name}, but {validation.name} those of "
            f"{validation.skeleton.name}"
        )
    nothing = np.zeros((len(validation), len(skeleton), 3), dtype=np.float32)
    known = score_predictions(validation, nothing).metrics
    if metric not in known:
        raise BihrnetError(
            f"evaluation.metric: {validation.name} has no {metric!r}, but {', '.join(known)}"
        )


def _draw_curves(rows: list[Row], recipe: Recipe, path: Path) -> None:
    try:
        draw_curves(rows, recipe.evaluation.metric, recipe.model_name, path)
    except BihrnetError as error:  # a full disk must not hide how the run itself ended
        log.warning("%s", error)


def _trainer(
    recipe: Recipe,
    folder: RunFolder,
    callback: RunCallback,
    devices: int,
    nodes: int,
    tensorboard: bool,
) -> pl.Trainer:
    callbacks: list[pl.Callback] = [callback]
    terminal = sys.stderr.isatty()
    if terminal:
        callbacks.append(RichProgressBar(console_kwargs={"stderr": True}))
    # Buffers are equal on all processes already: batch normalization is synchronized.
    several = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
    events = TensorBoardLogger(folder.path, name="", version="tensorboard") if tensorboard else None
    return pl.Trainer(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy=several if devices * nodes > 1 else "auto",
        precision="bf16-mixed" if recipe.precision == "bf16" else "32-true",
        max_epochs=recipe.epochs,
        check_val_every_n_epoch=recipe.evaluation.every,
        num_sanity_val_steps=0,
        logger=events or False,
        log_every_n_steps=10,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        enable_checkpointing=False,  # Lightning's own callback; ours is RunCallback
        enable_progress_bar=terminal,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder.path,
    )


def _is_main_process() -> bool:
    """Whether this is the only process, or the first of several (torchrun's or Lightning's)."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def _process_counts(devices: int, nodes: int) -> tuple[int, int]:
    """Devices and nodes; torchrun's own where it started this process."""
    if not torch.distributed.is_torchelastic_launched():
        return devices, nodes
    local, total = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    return local, total // local


@contextmanager
def _log_file(path: Path, main_process: bool) -> Iterator[None]:
    """Keep the lines of this run, with their time, in a file too; other processes are silent."""
    logger = logging.getLogger("bihrnet")
    logger.setLevel(logging.INFO if main_process else logging.WARNING)
    handler: logging.Handler = logging.NullHandler()
    if main_process:
        handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
