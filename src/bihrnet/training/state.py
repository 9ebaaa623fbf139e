"""State of a run: checkpoint files, random states, and the moving average of the weights."""

from __future__ import annotations

import copy
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from bihrnet.files import replacing


def remove_incomplete(folder: Path) -> None:
    """Delete temporary files of a process that was killed during a write (see `replacing`)."""
    for leftover in folder.glob(f".{'[0-9a-f]' * 32}.*"):
        leftover.unlink(missing_ok=True)


class AtomicCheckpointIO(CheckpointIO):
    """Checkpoint files for Lightning: atomic writes, reads without unpickling code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Replace `path` by the checkpoint, or raise `BihrnetError` and keep the old file."""
        with replacing(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch's zip writer hides an OSError of the file behind its own message.
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Any = "cpu",
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read tensors and plain values only, whatever `weights_only` is."""
        return torch.load(path, map_location=map_location, weights_only=True)

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Delete a checkpoint if it exists."""
        Path(path).unlink(missing_ok=True)


def random_states() -> dict[str, Any]:
    """States of torch's, NumPy's and Python's global generators as plain values and tensors."""
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [
            str(kind),
            np.asarray(keys).tolist(),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        "python": random.getstate(),
    }


def restore_random_states(states: dict[str, Any]) -> None:
    """Inverse of `random_states`; GPU states are restored if the number of GPUs is the same."""
    torch.set_rng_state(states["torch"].cpu())
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    kind, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))


class MovingAverage:
    """Exponential moving average of a network's floating-point weights and buffers.

    It is not an `nn.Module`, so that it stays out of the student's parameters and `train()` calls;
    checkpoints hold its weights through `network.state_dict()`.

    Args:
        network: the one that is trained; copied.
        decay: of the average per step. Early in a run min(decay, (1 + step) / (10 + step)) is used,
            so that the random initial weights are forgotten quickly.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the weights of `network` after optimizer step `step`, counted from 0."""
        averages, currents = [], []
        current_state = network.state_dict()
        for name, average in self.network.state_dict().items():
            if average.is_floating_point():
                averages.append(average)
                currents.append(current_state[name])
            else:
                average.copy_(current_state[name])
        decay = min(self._decay, (1 + step) / (10 + step))
        get_ema_multi_avg_fn(decay)(averages, currents, 0)
