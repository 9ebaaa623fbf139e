"""Settings of the training process: warnings, memory, precision, and checks of compiled code."""

from __future__ import annotations

import ctypes
import logging
import sys
import warnings
from typing import Literal

import torch
from torch import nn

from bihrnet.errors import BihrnetError
from bihrnet.training.recipe import Precision

_IRRELEVANT_WARNINGS = (
    # A run has as many workers as `--workers` says; the advice does not know the machine's load.
    r".*does not have many workers.*",
    # Batches follow from the optimizer step (batches.py): resuming anywhere is exact.
    r".*your dataloader is not resumable.*",
    # The run's folder is meant to be used again, and was checked before.
    r".*Checkpoint directory .* exists and is not empty.*",
    # Small data sets have short epochs.
    r".*is smaller than the logging interval.*",
    # About torch's own calls inside Lightning.
    r".*isinstance\(treespec, LeafSpec\).* is deprecated.*",
    # Its successor does not exist in the oldest supported torch.
    r".*`broadcast_buffers` is deprecated.*",
    # The last, smaller validation batch; its size is known to the validation step.
    r".*Trying to infer the `batch_size` from an ambiguous collection.*",
)

# Parameters of mallopt(3).
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_LARGEST = 2**31 - 1


def silence_lightning() -> None:
    """Hide Lightning's greetings (devices, tips, summaries) and warnings that need no action."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _IRRELEVANT_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next step.

    A step on the CPU allocates and frees hundreds of activations of the same sizes. glibc returns
    blocks of that size to the system, which has to clear and map every page again in the next step.
    Applies to the whole process; does nothing with other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        mallopt(_M_TRIM_THRESHOLD, _LARGEST)


def choose_precision(asked: Precision) -> Literal["bf16", "fp32"]:
    """Resolve "auto": bf16 where the hardware computes in bfloat16, otherwise fp32.

    Processors without such instructions emulate bfloat16, which is slower than float32.
    """
    if asked != "auto":
        return asked
    return "bf16" if _computes_bfloat16() else "fp32"


def _computes_bfloat16() -> bool:
    """Whether the GPU, or without one the processor (AVX512_BF16 or AMX), has bfloat16."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)  # not in older versions
    if get_capabilities is not None:
        capabilities = get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(probe is not None and probe())


def check_gradients(network: nn.Module) -> None:
    """Check that the first backward pass of compiled code has reached every parameter.

    torch.compile has produced passes whose gradients were exactly 0 where eager ones were not
    (`bihrnet.nn.layers.upsample`). Training would continue while most of the network never learns.

    Raises:
        BihrnetError: a parameter has no gradient, or one that is 0 everywhere.
    """
    lost = [
        name
        for name, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    if lost:
        raise BihrnetError(
            f"the compiled pass gives no gradient to {len(lost)} parameters, {lost[0]} the first; "
            "train without --compile"
        )
