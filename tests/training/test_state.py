"""Checkpoint files, random states and the moving average of the weights."""

from __future__ import annotations

import os
import random
import resource
import signal

import numpy as np
import pytest
import torch
from torch import nn

from bihrnet.errors import BihrnetError
from bihrnet.training.state import (
    AtomicCheckpointIO,
    MovingAverage,
    random_states,
    remove_incomplete,
    restore_random_states,
)


@pytest.fixture
def small_disk():
    """No file may grow beyond 64 KiB: what a full disk is to the writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, old)


def test_a_checkpoint_comes_back(tmp_path):
    path = tmp_path / "new" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weight": torch.arange(3), "step": 7}, path)
    loaded = AtomicCheckpointIO().load_checkpoint(path)
    assert loaded["weight"].tolist() == [0, 1, 2]
    assert loaded["step"] == 7
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, small_disk):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)
    with pytest.raises(BihrnetError, match=r"last\.ckpt: cannot be written: File too large"):
        AtomicCheckpointIO().save_checkpoint({"weight": torch.zeros(100_000)}, path)
    assert AtomicCheckpointIO().load_checkpoint(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_failing_rename_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(BihrnetError, match="No space left on device"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    monkeypatch.undo()
    assert AtomicCheckpointIO().load_checkpoint(path) == {"step": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["last.ckpt"]


def test_code_is_never_loaded(tmp_path):
    path = tmp_path / "evil.ckpt"
    torch.save({"callback": os.system}, path)
    with pytest.raises(Exception, match="Weights only load failed"):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)


def test_leftovers_of_killed_writers_are_removed(tmp_path):
    killed = tmp_path / f".{'0123456789abcdef' * 2}.ckpt"
    kept = [tmp_path / "last.ckpt", tmp_path / ".notes"]
    for path in (killed, *kept):
        path.touch()
    remove_incomplete(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_random_states_come_back(tmp_path):
    def draw() -> tuple[float, float, float]:
        return torch.rand(1).item(), float(np.random.rand()), random.random()

    np.random.standard_normal()  # leaves half a pair of deviates in the state
    path = tmp_path / "states.ckpt"
    torch.save(random_states(), path)
    first = draw()
    restore_random_states(torch.load(path, weights_only=True))
    assert draw() == first


def network(value: float) -> nn.Module:
    module = nn.BatchNorm1d(2)
    nn.init.constant_(module.weight, value)
    return module


def test_the_average_begins_as_a_copy_and_trails():
    module = network(1.0)
    average = MovingAverage(module, decay=0.9)
    nn.init.constant_(module.weight, 2.0)
    assert average.network.weight.tolist() == [1, 1]
    average.update(module, step=1000)
    assert average.network.weight.tolist() == pytest.approx([1.1, 1.1])


def test_the_random_start_is_forgotten_soon():
    module = network(1.0)
    average = MovingAverage(module, decay=0.9)
    nn.init.constant_(module.weight, 2.0)
    average.update(module, step=0)
    assert average.network.weight.tolist() == pytest.approx([1.9, 1.9])


def test_statistics_are_averaged_and_counters_copied():
    module = network(1.0)
    average = MovingAverage(module, decay=0.5)
    module(torch.randn(8, 2))
    average.update(module, step=1000)
    assert average.network.num_batches_tracked.item() == 1
    middle = (1 + module.running_var) / 2
    assert torch.allclose(average.network.running_var, middle)


def test_the_average_is_never_trained():
    average = MovingAverage(network(1.0), decay=0.5)
    assert not average.network.training
    assert not any(parameter.requires_grad for parameter in average.network.parameters())
