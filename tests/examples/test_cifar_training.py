"""The CIFAR example: it learns, resumes exactly, and rejects wrong input."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cifar_layout import write_cifar10
from example_modules import ROOT, load_example

from bihrnet.errors import BihrnetError
from bihrnet.nn.checkpoint import read_checkpoint

*_, train = load_example("cifar", "cifar", "resnet", "train")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cifar")
    write_cifar10(folder, 160, 60)
    return folder


def settings(**changes: object):
    fields = {"expansion": 1, "epochs": 2, "batch_size": 40, "lr": 0.05}
    return train.Settings("resnet-lbb-56", **{**fields, **changes})


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_network_of_ternary_filters_learns(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)  # without effect: the run seeds itself
    folder = train.train(settings(epochs=6, batch_size=16), data, out=tmp_path)
    assert folder == tmp_path / "resnet-lbb-56@cifar-10"
    table = rows(folder)
    assert [row["epoch"] for row in table] == list("123456")
    assert float(table[-1]["train_loss"]) < 0.7 * float(table[0]["train_loss"])
    assert float(table[-1]["test_accuracy"]) > 50  # by chance: 10
    assert [float(row["lr"]) for row in table] == [0.05] * 3 + [0.005] * 2 + [0.0005]


def test_a_stopped_run_resumes_to_the_same_result(data: Path, tmp_path: Path, monkeypatch) -> None:
    whole = train.train(settings(), data, out=tmp_path / "whole")
    evaluate = train.Run.evaluate

    def stop(run, *arguments: object) -> tuple[float, float]:
        if len(run.rows) == 1:
            raise KeyboardInterrupt
        return evaluate(run, *arguments)

    monkeypatch.setattr(train.Run, "evaluate", stop)
    with pytest.raises(KeyboardInterrupt):
        train.train(settings(), data, out=tmp_path / "stopped")
    monkeypatch.setattr(train.Run, "evaluate", evaluate)
    assert len(rows(tmp_path / "stopped" / whole.name)) == 1
    stopped = train.train(settings(), data, out=tmp_path / "stopped", resume=True)
    ends = [torch.load(folder / "last.ckpt", weights_only=True) for folder in (whole, stopped)]
    for name, tensor in ends[0]["state_dict"].items():
        assert torch.equal(tensor, ends[1]["state_dict"][name]), name
    assert not any("blocks.0.body.5" in name for name in ends[0]["state_dict"])  # ternary
    for one, other in zip(rows(whole), rows(stopped), strict=True):
        assert one.pop("seconds")
        assert other.pop("seconds")
        assert one == other
    with pytest.raises(BihrnetError, match="continue it with --resume"):
        train.train(settings(), data, out=tmp_path / "whole")
    with pytest.raises(BihrnetError, match=r"was started with lr 0\.05, not 0\.1"):
        train.train(settings(lr=0.1), data, out=tmp_path / "whole", resume=True)
    with pytest.raises(BihrnetError, match="not a checkpoint of bihrnet"):
        read_checkpoint(whole / "last.ckpt")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 161}, "batch_size 161 exceeds the 160 training images"),
        ({"lr": 1e30}, "the loss became (nan|inf) in epoch 1"),
    ],
)
def test_mistakes_are_reported(data: Path, tmp_path: Path, changes, sentence: str) -> None:
    with pytest.raises(BihrnetError, match=sentence):
        train.train(settings(**changes), data, out=tmp_path)


def test_the_script(data: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "cifar" / "train.py"), "resnet-56", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    short = ("--data", str(data), "--out", str(tmp_path), "--expansion", "1", "--epochs", "1")
    done = run(*short, "--batch-size", "80")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("epoch 1/1: train loss ")
    folder = tmp_path / "resnet-56@cifar-10"
    assert len(rows(folder)) == 1
    again = run(*short, "--batch-size", "80")
    assert again.returncode != 0
    assert again.stderr == f"train.py: {folder} already holds a run; continue it with --resume\n"
    assert run(*short, "--density", "2").returncode == 2


def test_augmentation_moves_and_mirrors() -> None:
    images = np.zeros((200, 32, 32, 3), dtype=np.uint8)
    images[:, 10, 12] = 255  # one white pixel, left of the center
    moved = train.augment(images, np.random.default_rng(0))
    assert moved.shape == images.shape
    rows_, columns = np.nonzero(moved[..., 0])[1:]
    assert len(rows_) == 200  # never moved out of the image
    assert set(rows_) == set(range(10 - 4, 10 + 5))
    assert set(columns) == {*range(12 - 4, 12 + 5), *range(31 - 12 - 4, 31 - 12 + 5)}
