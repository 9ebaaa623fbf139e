"""Training on CIFAR: it learns, resumes exactly, and refuses what cannot be."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from bihrnet.training.cifar import CifarSettings, augment, train_classifier
from cifar_layout import write_cifar10

from bihrnet.errors import BihrnetError
from bihrnet.nn.checkpoint import read_checkpoint
from bihrnet.training import cifar


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cifar")
    write_cifar10(folder, 160, 60)
    return folder


def settings(**changes: object) -> CifarSettings:
    fields = {"options": {"expansion": 1}, "epochs": 2, "batch_size": 40, "lr": 0.05}
    return CifarSettings("resnet-lbb-56", **{**fields, **changes})


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_network_of_ternary_filters_learns(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)  # of no consequence: the run seeds itself
    folder = train_classifier(settings(epochs=6, batch_size=16), data, out=tmp_path)
    assert folder == tmp_path / "resnet-lbb-56@cifar-10"
    table = rows(folder)
    assert [row["epoch"] for row in table] == list("123456")
    assert float(table[-1]["train_loss"]) < 0.7 * float(table[0]["train_loss"])
    assert float(table[-1]["test_accuracy"]) > 50  # by chance: 10
    assert [float(row["lr"]) for row in table] == [0.05] * 3 + [0.005] * 2 + [0.0005]


def test_a_stopped_run_goes_on_to_the_same_end(data: Path, tmp_path: Path, monkeypatch) -> None:
    whole = train_classifier(settings(), data, out=tmp_path / "whole")
    judge = cifar._Run.judge

    def stop(run: cifar._Run, *arguments: object) -> tuple[float, float]:
        if len(run.history.rows) == 1:
            raise KeyboardInterrupt
        return judge(run, *arguments)

    monkeypatch.setattr(cifar._Run, "judge", stop)
    with pytest.raises(KeyboardInterrupt):
        train_classifier(settings(), data, out=tmp_path / "stopped")
    monkeypatch.setattr(cifar._Run, "judge", judge)
    assert len(rows(tmp_path / "stopped" / whole.name)) == 1
    stopped = train_classifier(settings(), data, out=tmp_path / "stopped", resume=True)
    ends = [torch.load(folder / "last.ckpt", weights_only=True) for folder in (whole, stopped)]
    for name, tensor in ends[0]["state_dict"].items():
        assert torch.equal(tensor, ends[1]["state_dict"][name]), name
    assert not any("blocks.0.body.5" in name for name in ends[0]["state_dict"])  # ternary
    for one, other in zip(rows(whole), rows(stopped), strict=True):
        assert one.pop("seconds")
        assert other.pop("seconds")
        assert one == other
    with pytest.raises(BihrnetError, match="go on with --resume"):
        train_classifier(settings(), data, out=tmp_path / "whole")
    with pytest.raises(BihrnetError, match=r"began with lr 0\.05 and cannot go on with 0\.1"):
        train_classifier(settings(lr=0.1), data, out=tmp_path / "whole", resume=True)
    with pytest.raises(BihrnetError, match="resnet-lbb-56 estimates no poses"):
        read_checkpoint(whole / "last.ckpt")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_size": 161}, "batch_size 161 is more than the 160 images"),
        ({"options": {"density": 2.0}}, "density"),
        ({"lr": 1e30}, "the loss became nan|inf in epoch 1"),
    ],
)
def test_mistakes_are_told_in_training(data: Path, tmp_path: Path, changes, sentence: str) -> None:
    with pytest.raises(BihrnetError, match=sentence):
        train_classifier(settings(**changes), data, out=tmp_path)


def test_pose_networks_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BihrnetError, match="bihrnet train"):
        train_classifier(CifarSettings("hrnet-w16"), data, out=tmp_path)


def test_the_command(data: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["cifar", "resnet-lbb-56", *arguments])
        with pytest.raises(SystemExit) as caught:
            cifar.main()
        return int(caught.value.code or 0)

    short = ("--option", "expansion=1", "--epochs", "1", "--batch-size", "80")
    assert run("--data", str(data), "--out", str(tmp_path), *short) == 0
    folder = tmp_path / "resnet-lbb-56@cifar-10"
    assert len(rows(folder)) == 1
    assert run("--data", str(data), "--out", str(tmp_path), *short) == 2
    assert capsys.readouterr().err.endswith(
        f"bihrnet: {folder} holds a run already: go on with --resume\n"
    )


def test_augmentation_moves_and_mirrors() -> None:
    images = np.zeros((200, 32, 32, 3), dtype=np.uint8)
    images[:, 10, 12] = 255  # one white pixel, left of the middle
    moved = augment(images, np.random.default_rng(0))
    assert moved.shape == images.shape
    rows_, columns = np.nonzero(moved[..., 0])[1:]
    assert len(rows_) == 200  # never pushed out of the image
    assert set(rows_) == set(range(10 - 4, 10 + 5))
    assert set(columns) == {*range(12 - 4, 12 + 5), *range(31 - 12 - 4, 31 - 12 + 5)}
