"""Checkpoints that are whole or absent, and the random states they carry."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.plugins.io import CheckpointIO

from bihrnet.files import replacing


def remove_incomplete(folder: Path) -> None:
    """Delete what a process killed in the middle of a write left behind (see `replacing`)."""
    for leftover in folder.glob(f".{'[0-9a-f]' * 32}.*"):
        leftover.unlink(missing_ok=True)


class AtomicCheckpointIO(CheckpointIO):
    """Lightning's door to the disk: atomic writes, reads without unpickling code."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Replace `path` by the checkpoint, or raise `BihrnetError` and leave the old one."""
        with replacing(Path(path)) as temporary, temporary.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch's zip writer hides an OSError of the file behind its own words.
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
        """Read tensors and plain values only, whatever `weights_only` says."""
        return torch.load(path, map_location=map_location, weights_only=True)

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Delete a checkpoint if it is there."""
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
    """Inverse of `random_states`; GPU states are restored where as many GPUs are there."""
    torch.set_rng_state(states["torch"].cpu())
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    kind, keys, position, has_gauss, gauss = states["numpy"]
    np.random.set_state((kind, np.asarray(keys, dtype=np.uint32), position, has_gauss, gauss))
    version, internal, gauss_next = states["python"]
    random.setstate((version, tuple(internal), gauss_next))
