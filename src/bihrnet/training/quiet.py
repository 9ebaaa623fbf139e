"""Silence for what Lightning and torch say although nobody can act on it."""

from __future__ import annotations

import logging
import warnings

_NOT_NEWS = (
    # A run has as many workers as `--workers` says; the advice does not know the machine's load.
    r".*does not have many workers.*",
    # Batches follow from the optimizer step (batches.py): resuming anywhere is exact.
    r".*your dataloader is not resumable.*",
    # The run's folder is meant to be used again: it was checked before.
    r".*Checkpoint directory .* exists and is not empty.*",
    # Small data sets have short epochs.
    r".*is smaller than the logging interval.*",
    # Said about torch's own calls inside Lightning.
    r".*isinstance\(treespec, LeafSpec\).* is deprecated.*",
    # Its successor does not exist in the oldest torch that works here.
    r".*`broadcast_buffers` is deprecated.*",
    # The last, smaller validation batch; its size is known to the validation step.
    r".*Trying to infer the `batch_size` from an ambiguous collection.*",
)


def quieten_lightning() -> None:
    """Hide Lightning's greetings (devices found, tips, summaries) and the warnings listed here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _NOT_NEWS:
        warnings.filterwarnings("ignore", message=message)
