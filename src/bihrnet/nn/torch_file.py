"""Read and write PyTorch files without ever running code from them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bihrnet.errors import BihrnetError
from bihrnet.files import replacing

# mmpose stores constants of the skeleton as NumPy arrays beside the weights. These names only build
# arrays; files name both the old and the new location of `_reconstruct`.
_reconstruct = np.ones(1).__reduce__()[0]
_HARMLESS: list[Any] = [
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in ("?", "u1", "i4", "i8", "f2", "f4", "f8")},
    (_reconstruct, "numpy.core.multiarray._reconstruct"),
    (_reconstruct, "numpy._core.multiarray._reconstruct"),
]


def read_torch_file(path: str | Path) -> Any:
    """Content of a file written by `torch.save`: tensors on the CPU and plain values.

    Raises:
        BihrnetError: the file is missing, empty or damaged, or holds objects that would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise BihrnetError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise BihrnetError(f"{path}: the file is empty")
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_HARMLESS):
            warnings.simplefilter("ignore")  # PyTorch warns about files of other formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make the unpickler raise anything
        # "Unsupported operand" means that the bytes are not a pickle.
        if "Unsupported" in str(error) and "Unsupported operand" not in str(error):
            reason = "it holds Python objects, which are not loaded because they could run code"
        elif isinstance(error, OSError):
            reason = error.strerror or str(error)
        else:
            reason = "not a PyTorch checkpoint, or damaged"
        raise BihrnetError(f"{path}: {reason}") from error


def write_torch_file(content: Any, path: str | Path) -> None:
    """Write a file atomically: an old file stays until the new one is complete.

    Raises:
        BihrnetError: the file cannot be written, for instance because the disk is full.
    """
    with replacing(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # the zip writer of PyTorch reports a full disk this way
            raise OSError(0, str(error)) from error
