"""What is read from an optimizer's state, and that of other optimizers the script says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from bihrnet.training.optimization import build_optimizer
from bihrnet.training.recipe import OptimizerSection

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check_training.py"


def checkpoint(folder: Path, name: str) -> Path:
    """Of a run of two steps that reach the weights but not the two biases."""
    network = nn.Linear(5, 2)
    optimizer = build_optimizer(network, OptimizerSection(name=name, lr=0.1))
    for _ in range(2):
        network.weight.grad = torch.full_like(network.weight, 1e-8)
        network.bias.grad = torch.zeros_like(network.bias)
        optimizer.step()
    path = folder / "last.ckpt"
    torch.save({"optimizer_states": [optimizer.state_dict()]}, path)
    return path


def check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_parameters_without_gradient_and_small_gradients_show(tmp_path, name):
    done = check(checkpoint(tmp_path, name))
    assert done.returncode == 0, done.stderr
    assert "never reached: 1 of 2 parameters, 16.7 % of all weights" in done.stdout
    assert "share of Adam's step: 50 %" in done.stdout


def test_another_optimizer_is_refused_in_one_sentence(tmp_path):
    path = checkpoint(tmp_path, "rmsprop")
    done = check(path)
    assert done.returncode == 2
    assert done.stderr == f"{path}: keeps no moments of Adam; its run has another optimizer\n"


def test_weights_alone_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "best.ckpt"
    torch.save({"state_dict": {}}, path)
    done = check(path)
    assert done.returncode == 2
    assert done.stderr == f"{path}: keeps no optimizer; a run's last.ckpt does\n"
