"""The table of a run and the curves drawn from it."""

from __future__ import annotations

import csv

import cv2
import pytest

from bihrnet.training.history import History, draw_curves


def two_epochs() -> History:
    history = History()
    for loss in (4.0, 2.0):
        history.add_step({"loss": loss})
    history.finish_epoch({"val_loss": 2.5, "PCKh@0.5": 10.0, "seconds": 1.0})
    history.add_step({"loss": 1.0})
    history.finish_epoch({"seconds": 2.0})
    return history


def test_an_epochs_losses_are_averaged():
    rows = two_epochs().rows
    assert [row["train_loss"] for row in rows] == [3.0, 1.0]
    assert [row["epoch"] for row in rows] == [1, 2]


def test_the_best_epoch_may_not_be_the_last():
    history = two_epochs()
    history.finish_epoch({"PCKh@0.5": 9.0})
    assert history.best("PCKh@0.5") == 10
    assert history.best("AP") is None


def test_the_table_has_a_cell_for_every_column(tmp_path):
    two_epochs().write_csv(tmp_path / "metrics.csv")
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["PCKh@0.5"] for row in rows] == ["10", ""]
    assert [row["seconds"] for row in rows] == ["1", "2"]


def test_a_restored_history_goes_on_inside_an_epoch():
    history, restored = two_epochs(), History()
    history.add_step({"loss": 6.0})
    restored.load_state_dict(history.state_dict())
    for one in (history, restored):
        one.add_step({"loss": 2.0})
        one.finish_epoch({})
    assert restored.rows == history.rows
    assert restored.rows[-1]["train_loss"] == pytest.approx(4)


def test_curves_are_a_picture(tmp_path):
    path = tmp_path / "curves.png"
    draw_curves(two_epochs().rows, "PCKh@0.5", "title", path)
    picture = cv2.imread(str(path))
    assert picture.shape == (480, 1200, 3)
    assert picture.std() > 10
