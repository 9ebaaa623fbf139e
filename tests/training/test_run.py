"""Whole runs, on a tiny network: killed, stopped, resumed, shared by two processes, gone wrong."""

from __future__ import annotations

import csv
import math
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
import tiny_run
import torch
from tiny_run import tiny_recipe
from typer.testing import CliRunner

from bihrnet.cli import app as cli
from bihrnet.errors import BihrnetError
from bihrnet.nn import checkpoint
from bihrnet.nn.checkpoint import read_checkpoint
from bihrnet.nn.registry import find
from bihrnet.training import run
from bihrnet.training.history import History
from bihrnet.training.module import PoseTraining
from bihrnet.training.options import RunOptions
from bihrnet.training.process import choose_precision
from bihrnet.training.run import train

NAME = "tiny@tiny"


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_run.use_tiny(monkeypatch.setattr)


def train_here(out: Path, resume: bool = False, workers: int = 0, **recipe: object) -> Path:
    options = RunOptions(data=Path(), out=out, resume=resume, workers=workers, save_every_minutes=0)
    return train(tiny_recipe(**recipe), options)


def interrupted(out: Path, step: int, number: int) -> int:
    """Exit code of a run that gets a signal in the middle of a step."""
    return in_child(out, lambda: tiny_run.at_step(step, lambda: os.kill(os.getpid(), number)))


def in_child(out: Path, prepare: Callable[[], None], workers: int = 0) -> int:
    """Exit code of a run in a process of its own, where `prepare` is called first."""

    def run() -> None:
        prepare()
        try:
            train_here(out, workers=workers, ema_decay=0.9)
        except KeyboardInterrupt:
            os._exit(130)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def load(path: Path) -> dict:
    return torch.load(path, weights_only=True)


def differences(one: object, other: object, place: str = "") -> list[str]:
    """Where two checkpoints differ; durations always may."""
    if place.endswith("/seconds"):
        return []
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [d for key in one for d in differences(one[key], other[key], f"{place}/{key}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [d for index, pair in pairs for d in differences(*pair, f"{place}/{index}")]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [place]
    return [] if one == other else [place]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        tiny_run.use_tiny(patch.setattr)
        return train_here(tmp_path_factory.mktemp("runs"), ema_decay=0.9)


def test_a_run_leaves_its_files(uninterrupted):
    files = {path.name for path in uninterrupted.iterdir()}
    assert files >= {"last.ckpt", "best.ckpt", "metrics.csv", "recipe.yaml", "curves.png"}
    assert "epoch 3/3: train_loss" in (uninterrupted / "train.log").read_text()
    with (uninterrupted / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert rows[0].keys() >= {"train_loss", "val_loss", "PCKh@0.5", "PCK@0.2", "lr"}


@pytest.mark.parametrize(
    ("schedule", "last_rates"),
    [
        ({"name": "multistep", "milestones": [1, 2]}, [1e-2, 1e-3, 1e-4]),
        # Cosine from step 0 to 15, at the last step of each epoch of 5.
        ({"name": "cosine"}, [0.01 * (1 + math.cos(math.pi * n / 15)) / 2 for n in (4, 9, 14)]),
    ],
)
def test_the_table_has_the_learning_rate_of_an_epochs_last_step(tmp_path, schedule, last_rates):
    folder = train_here(tmp_path, schedule=schedule)
    with (folder / "metrics.csv").open() as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert rates == pytest.approx(last_rates, rel=1e-5)


def test_a_checkpoint_is_a_model_of_its_own(uninterrupted):
    content = load(uninterrupted / "last.ckpt")
    assert content["bihrnet"]["metrics"].keys() >= {"PCKh@0.5", "val_loss"}
    assert content.keys() >= {"optimizer_states", "lr_schedulers", "random_states"}
    best = read_checkpoint(uninterrupted / "best.ckpt")
    assert (best.architecture, best.input_size) == ("tiny", (32, 32))
    assert best.skeleton.name == "lsp-14"
    assert best.recipe["name"] == "tiny"
    ema = load(uninterrupted / "best.ckpt")["bihrnet"]["ema"]
    assert torch.equal(best.weights["4.weight"], ema["4.weight"])
    assert "optimizer_states" not in load(uninterrupted / "best.ckpt")


# Of 15 steps, 5 an epoch: before the first save, inside an epoch, at its last step, in the next.
@pytest.mark.parametrize("step", [0, 3, 4, 5])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, uninterrupted, step):
    assert interrupted(tmp_path, step, signal.SIGKILL) == -signal.SIGKILL
    assert not (tmp_path / NAME / "curves.png").exists()
    folder = train_here(tmp_path, resume=True, ema_decay=0.9)
    assert differences(load(uninterrupted / "last.ckpt"), load(folder / "last.ckpt")) == []
    assert differences(load(uninterrupted / "best.ckpt"), load(folder / "best.ckpt")) == []


def test_killed_while_it_writes_a_checkpoint(tmp_path, uninterrupted):
    save = torch.save

    def die_writing(content: dict, file: BinaryIO) -> None:
        if content["global_step"] == 4:
            file.write(b"half a checkpoint")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        save(content, file)

    assert in_child(tmp_path, lambda: setattr(torch, "save", die_writing)) == -signal.SIGKILL
    left = {path.name for path in (tmp_path / NAME).iterdir()}
    assert len(left - {"last.ckpt", "recipe.yaml", "train.log", ".lock"}) == 1
    folder = train_here(tmp_path, resume=True, ema_decay=0.9)
    assert differences(load(uninterrupted / "last.ckpt"), load(folder / "last.ckpt")) == []
    assert {path.name for path in folder.iterdir()} == {p.name for p in uninterrupted.iterdir()}


def test_ctrl_c_saves_the_step_and_logs_how_to_resume(tmp_path, uninterrupted):
    assert interrupted(tmp_path, 6, signal.SIGINT) == 130
    assert "resume with: bihrnet train" in (tmp_path / NAME / "train.log").read_text()
    assert load(tmp_path / NAME / "last.ckpt")["global_step"] == 7
    folder = train_here(tmp_path, resume=True, ema_decay=0.9)
    assert differences(load(uninterrupted / "last.ckpt"), load(folder / "last.ckpt")) == []


def test_the_logged_command_resumes_with_the_same_options(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda learn, **_: compiled.append(learn) or learn)
    monkeypatch.setattr(checkpoint, "build", tiny_run.build_tiny)
    teacher = train_here(tmp_path, name="teacher", epochs=1) / "best.ckpt"
    recipe = tiny_recipe(teacher={"architecture": "tiny", "checkpoint": str(teacher)})
    options = RunOptions(
        data=Path(), out=tmp_path, workers=0, compile=True, tensorboard=True,
        teacher_answers=tmp_path / "an swers",
    )  # fmt: skip
    monkeypatch.setattr(PoseTraining, "training_step", PoseTraining.training_step)  # put back
    tiny_run.at_step(6, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train(recipe, options)
    _, _, command = (tmp_path / NAME / "train.log").read_text().strip().rpartition("resume with: ")
    asked: list[RunOptions] = []
    monkeypatch.setattr(run, "train", lambda recipe, options: asked.append(options))
    code = CliRunner().invoke(cli.app, shlex.split(command)[1:], catch_exceptions=False).exit_code
    assert code == 0
    assert asked == [replace(options, resume=True)]
    assert len(compiled) == 1


def test_a_stop_at_the_last_step_of_an_epoch_waits_for_its_evaluation(tmp_path, uninterrupted):
    assert interrupted(tmp_path, 4, signal.SIGTERM) == 130
    assert (tmp_path / NAME / "metrics.csv").read_text().count("\n") == 2
    folder = train_here(tmp_path, resume=True, ema_decay=0.9)
    assert differences(load(uninterrupted / "last.ckpt"), load(folder / "last.ckpt")) == []


def test_a_batch_system_stops_the_loaders_too(tmp_path):
    def stop_all() -> None:
        loaders = [str(process.pid) for process in multiprocessing.active_children()]
        assert loaders
        # From outside: a loader whose parent sends the signal ends quietly in any case.
        subprocess.run(["kill", "-TERM", *loaders, str(os.getpid())], check=True)

    assert in_child(tmp_path, lambda: tiny_run.at_step(6, stop_all), workers=1) == 130
    assert load(tmp_path / NAME / "last.ckpt")["global_step"] == 7


def test_two_processes_compute_what_one_does(tmp_path, monkeypatch):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    script = [sys.executable, tiny_run.__file__, str(tmp_path / "two"), "2", str(tmp_path / "2")]
    subprocess.run(script, check=True, capture_output=True, env=environment, timeout=240)
    monkeypatch.setattr(History, "add_step", History.add_step)  # put back what is changed below
    tiny_run.write_losses(tmp_path / "1")
    train_here(tmp_path / "one", architecture="tiny-real")
    losses = [[float(line) for line in (tmp_path / n).read_text().split()] for n in "12"]
    assert len(losses[0]) == 15
    assert losses[0][:5] == pytest.approx(losses[1][:5], abs=1e-5)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    tables = [tmp_path / n / "tiny-real@tiny" / "metrics.csv" for n in ("one", "two")]
    rows = [next(csv.DictReader(table.read_text().splitlines())) for table in tables]
    for name in ("train_loss", "val_loss", "PCKh@0.5"):
        assert float(rows[0][name]) == pytest.approx(float(rows[1][name]), rel=1e-4)


def test_the_log_states_what_is_loaded_and_the_precision(tmp_path, caplog):
    train_here(tmp_path, epochs=1, precision="auto", name="a")
    train_here(tmp_path, epochs=1, name="b")
    text = caplog.text
    assert text.index("reading dots") < text.index("44 people for training, 10 for validation")
    assert text.index("building tiny") < text.index("training " + str(tmp_path))
    chosen = choose_precision("auto")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert f"precision {chosen} (chosen for this machine), one process on the {device}" in text
    assert f"precision fp32, one process on the {device}" in text


@pytest.mark.parametrize(
    "recipe", [{"architecture": "hourglass-1"}, {"teacher": {"architecture": "hourglass-2"}}]
)
def test_an_input_size_that_a_network_cannot_take_is_reported_first(tmp_path, monkeypatch, recipe):
    monkeypatch.setattr(run, "find", lambda name: find(name.replace("tiny", "hrnet-w32")))
    with pytest.raises(BihrnetError, match="sides are multiples of 64, not 32x32"):
        train_here(tmp_path, **recipe)
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_never_overwritten(tmp_path):
    folder = train_here(tmp_path, epochs=1)
    before = load(folder / "last.ckpt")
    with pytest.raises(BihrnetError, match="holds a run already: continue it with --resume"):
        train_here(tmp_path, epochs=1)
    with pytest.raises(BihrnetError, match="has epochs 1, so the run cannot be resumed with 2"):
        train_here(tmp_path, resume=True, epochs=2)
    assert differences(before, load(folder / "last.ckpt")) == []


def test_a_finished_run_resumes_to_itself(tmp_path):
    folder = train_here(tmp_path, epochs=1)
    before = load(folder / "last.ckpt")
    train_here(tmp_path, resume=True, epochs=1)
    assert differences(before, load(folder / "last.ckpt")) == []


def test_a_failed_start_does_not_occupy_the_folder(tmp_path):
    with pytest.raises(BihrnetError, match="batch_size"):
        train_here(tmp_path, batch_size=1000)
    assert list(tmp_path.iterdir()) == []
    train_here(tmp_path, epochs=1)


def spoil(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make the loss NaN in the step after `step` whole ones."""
    training_step = PoseTraining.training_step

    def spoiled(self: PoseTraining, batch: dict, batch_idx: int) -> dict[str, torch.Tensor]:
        outputs = training_step(self, batch, batch_idx)
        if self.global_step == step:
            outputs["loss"] = outputs["loss"] * float("nan")
        return outputs

    monkeypatch.setattr(PoseTraining, "training_step", spoiled)


def test_a_loss_that_is_no_number_stops_before_it_does_harm(tmp_path, monkeypatch):
    spoil(monkeypatch, step=7)
    with pytest.raises(BihrnetError, match=r"nan at step 8 \(epoch 2\); the last good .*last.ckpt"):
        train_here(tmp_path)
    content = load(tmp_path / NAME / "last.ckpt")
    assert content["global_step"] == 7
    assert all(torch.isfinite(value).all() for value in content["state_dict"].values())


def test_a_full_disk_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    save = torch.save

    def fill(content: dict, file: object) -> None:
        if content["global_step"] == 7:
            raise OSError(28, "No space left on device")
        save(content, file)

    def fail(*_: object) -> None:
        raise BihrnetError("curves.png: cannot be written: No space left on device")

    monkeypatch.setattr(run, "draw_curves", fail)
    monkeypatch.setattr(torch, "save", fill)
    with pytest.raises(BihrnetError, match="No space left on device; the last good checkpoint is"):
        train_here(tmp_path)
    assert load(tmp_path / NAME / "last.ckpt")["global_step"] == 6


def test_a_metric_that_the_data_lacks_is_reported_before_the_first_epoch(tmp_path):
    with pytest.raises(BihrnetError, match=r"dots has no 'AP', but PCKh@0.5"):
        train_here(tmp_path, evaluation={"metric": "AP"})
    assert list(tmp_path.iterdir()) == []


def test_tensorboard_on_request(tmp_path):
    options = RunOptions(data=Path(), out=tmp_path, workers=0, tensorboard=True)
    folder = train(tiny_recipe(epochs=1), options)
    assert list((folder / "tensorboard").glob("events.*"))
