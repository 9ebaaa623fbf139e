"""A training run from recipe to files: builds all parts and passes them to Lightning."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerStatus

from bihrnet import nn
from bihrnet.data.people import PeopleDataset
from bihrnet.data.top_down import TopDownDataset
from bihrnet.errors import BihrnetError, quoted
from bihrnet.evaluation.protocols import score_predictions
from bihrnet.nn.registry import find
from bihrnet.skeleton import Skeleton
from bihrnet.training.batches import TrainBatches, default_workers, validation_batches
from bihrnet.training.datasets import load_training_data, load_validation_data
from bihrnet.training.distributed import synchronize_batch_norm
from bihrnet.training.history import Row, draw_curves
from bihrnet.training.module import PoseTraining
from bihrnet.training.options import RunOptions
from bihrnet.training.process import choose_precision, silence_lightning
from bihrnet.training.progress import ProgressBar, ProgressReport
from bihrnet.training.recipe import Recipe
from bihrnet.training.run_callback import RunCallback, StopRequested
from bihrnet.training.run_folder import RunFolder
from bihrnet.training.state import AtomicCheckpointIO
from bihrnet.training.teacher import Teacher, load_teacher, start_from

log = logging.getLogger(__name__)

_DEFAULTS = RunOptions()


def train(recipe: Recipe, options: RunOptions = _DEFAULTS) -> Path:
    """Train as a recipe says, or resume a run that was stopped or killed.

    Args:
        recipe: what to compute; the result is the same on one process and on several.
        options: where the files are and how fast the run goes.

    Returns:
        The run's folder, see `RunFolder`.

    Raises:
        BihrnetError: an error in recipe, data or folder, a full disk, a loss that is not finite.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the last complete step is saved.
    """
    logging.getLogger("bihrnet").setLevel(logging.INFO if _is_main_process() else logging.WARNING)
    silence_lightning()
    _check_networks(recipe)
    folder = RunFolder(options.out, recipe)
    folder.check(recipe, options.resume)
    checkpoint = folder.last if options.resume and folder.last.is_file() else None
    resume_command = folder.resume_command(options)
    options = _resolve_processes(options)
    pl.seed_everything(recipe.seed, verbose=False)

    callback = RunCallback(folder, options.save_every_minutes)
    trainer = _trainer(recipe, folder, callback, options)
    samples, validation = _load_data(recipe, options.data)
    batches, evaluation = _loaders(recipe, samples, validation, trainer, options)
    network = _build_network(recipe, samples.dataset.skeleton, trainer, fresh=checkpoint is None)
    teacher = _load_teacher(recipe, samples.dataset.skeleton, options.teacher_answers)
    module = PoseTraining(
        recipe, network, len(batches), validation.dataset, teacher, compile=options.compile
    )
    if _is_main_process():
        folder.open(recipe, options.resume)
    with _log_file(folder.log, trainer.is_global_zero):
        _log_start(recipe, folder, trainer, options, checkpoint)
        try:
            with _errors_of_a_run(trainer, folder, resume_command, options.nodes):
                trainer.fit(module, batches, evaluation, ckpt_path=checkpoint)
        finally:
            if trainer.is_global_zero and callback.history.rows:
                _draw_curves(callback.history.rows, recipe, folder.curves)
    return folder.path


def _check_networks(recipe: Recipe) -> None:
    """Check what the schema cannot, because it does not know the networks."""
    names = [recipe.architecture]
    if recipe.teacher is not None:
        names.append(recipe.teacher.architecture)
    for name in names:
        find(name).check_size(recipe.data.input_size)


def _load_data(recipe: Recipe, data: Path | None) -> tuple[TopDownDataset, TopDownDataset]:
    """Training and validation samples, which fit each other and the recipe's metric."""
    log.info("reading %s", " and ".join(dict.fromkeys([*recipe.data.train, recipe.data.val])))
    samples = load_training_data(recipe.data, data, recipe.seed)
    validation = load_validation_data(recipe.data, data)
    _check_validation(validation.dataset, samples.dataset.skeleton, recipe.evaluation.metric)
    log.info("%d people for training, %d for validation", len(samples), len(validation))
    return samples, validation


def _check_validation(validation: PeopleDataset, skeleton: Skeleton, metric: str) -> None:
    """Report before the first epoch, not after it, what could not be evaluated."""
    if validation.skeleton != skeleton:
        raise BihrnetError(
            f"the training data has the joints of {skeleton.name}, but {validation.name} those of "
            f"{validation.skeleton.name}"
        )
    nothing = np.zeros((len(validation), len(skeleton), 3), dtype=np.float32)
    known = score_predictions(validation, nothing).metrics
    if metric not in known:
        raise BihrnetError(
            f"evaluation.metric: {validation.name} has no {quoted(metric)}, but {', '.join(known)}"
        )


def _loaders(
    recipe: Recipe,
    samples: TopDownDataset,
    validation: TopDownDataset,
    trainer: pl.Trainer,
    options: RunOptions,
) -> tuple[TrainBatches, torch.utils.data.DataLoader[dict[str, torch.Tensor]]]:
    """Batches of this process for training and for evaluation."""
    rank, processes = trainer.global_rank, trainer.world_size
    workers = options.workers
    if workers is None:
        workers = default_workers(options.devices)
    batches = TrainBatches(
        samples,
        recipe.batch_size,
        recipe.seed,
        lambda: trainer.global_step,
        rank=rank,
        processes=processes,
        workers=workers,
    )
    return batches, validation_batches(
        validation, recipe.batch_size, rank=rank, processes=processes, workers=workers
    )


def _build_network(
    recipe: Recipe, skeleton: Skeleton, trainer: pl.Trainer, *, fresh: bool
) -> torch.nn.Module:
    """The network with its initial weights, unless a checkpoint replaces them anyway."""
    log.info("building %s", recipe.architecture)
    network = nn.build(recipe.architecture, len(skeleton), **recipe.options)
    if recipe.initialize_from is not None and fresh:
        start_from(network, Path(recipe.initialize_from))
    if trainer.world_size > 1:
        network = synchronize_batch_norm(network, trainer.strategy.root_device)
    return network


def _load_teacher(recipe: Recipe, skeleton: Skeleton, cache: Path | None) -> Teacher | None:
    if recipe.teacher is None:
        return None
    log.info("loading the teacher %s", recipe.teacher.architecture)
    return load_teacher(recipe.teacher, skeleton, cache)


def _log_start(
    recipe: Recipe,
    folder: RunFolder,
    trainer: pl.Trainer,
    options: RunOptions,
    checkpoint: Path | None,
) -> None:
    if options.resume and checkpoint is None:
        log.info("nothing to resume in %s: starting a new run", folder.path)
    else:
        log.info("%s %s", "training" if checkpoint is None else "resuming", folder.path)
    precision = choose_precision(recipe.precision)
    reason = " (chosen for this machine)" if recipe.precision == "auto" else ""
    processes = f"{trainer.world_size} processes" if trainer.world_size > 1 else "one process"
    device = trainer.strategy.root_device.type
    log.info("precision %s%s, %s on the %s", precision, reason, processes, device)


@contextmanager
def _errors_of_a_run(
    trainer: pl.Trainer, folder: RunFolder, resume_command: str, nodes: int
) -> Iterator[None]:
    """Convert the ways in which Lightning ends a run to those that `train` documents."""
    try:
        yield
    except StopRequested:
        where = ", by torchrun on each machine," if nodes > 1 else ""
        log.info("stopped and saved; resume%s with: %s", where, resume_command)
        raise KeyboardInterrupt from None
    except SystemExit:
        # Lightning exits in this way at a second Ctrl-C.
        if trainer.state.status != TrainerStatus.INTERRUPTED:
            raise
        raise KeyboardInterrupt from None
    except BihrnetError as error:
        # An error of a loader process is wrapped in that process's traceback.
        sentence = str(error).strip().rpartition("BihrnetError: ")[2]
        raise BihrnetError(f"{sentence}; {folder.describe_saved()}") from error


def _draw_curves(rows: list[Row], recipe: Recipe, path: Path) -> None:
    try:
        draw_curves(rows, recipe.evaluation.metric, recipe.model_name, path)
    except BihrnetError as error:  # a full disk must not hide how the run itself ended
        log.warning("%s", error)


def _trainer(
    recipe: Recipe, folder: RunFolder, callback: RunCallback, options: RunOptions
) -> pl.Trainer:
    report = ProgressReport()
    callbacks: list[pl.Callback] = [callback, report]
    terminal = sys.stderr.isatty()
    if terminal:
        callbacks.append(ProgressBar(report))
    # Buffers are equal on all processes already: batch normalization is synchronized.
    several = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
    events = (
        TensorBoardLogger(folder.path, name="", version="tensorboard")
        if options.tensorboard
        else False
    )
    return pl.Trainer(
        accelerator="cuda" if torch.cuda.is_available() else "cpu",
        devices=options.devices,
        num_nodes=options.nodes,
        strategy=several if options.devices * options.nodes > 1 else "auto",
        precision="bf16-mixed" if choose_precision(recipe.precision) == "bf16" else "32-true",
        max_epochs=recipe.epochs,
        check_val_every_n_epoch=recipe.evaluation.every,
        num_sanity_val_steps=0,
        logger=events,
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


def _resolve_processes(options: RunOptions) -> RunOptions:
    """Options with torchrun's numbers of devices and nodes, if it started this process."""
    if not torch.distributed.is_torchelastic_launched():
        return options
    local, total = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])
    return replace(options, devices=local, nodes=total // local)


@contextmanager
def _log_file(path: Path, main_process: bool) -> Iterator[None]:
    """Also write the main process's log lines to a file, with date and time."""
    handler = logging.FileHandler(path, encoding="utf-8") if main_process else logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    logger = logging.getLogger("bihrnet")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
