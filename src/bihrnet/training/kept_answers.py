"""Answers of a network on disk, so that runs which ask the same do not compute them again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bihrnet.nn.torch_file import read_torch_file, write_torch_file


class KeptAnswers(nn.Module):
    """A frozen network that looks an answer up before it computes it.

    An answer is found by a digest of the weights, the precision and the crops themselves, so it
    can only ever be given to the question that it was computed for: to runs that share seed, data,
    augmentation and batch size, at the same step.

    Args:
        network: in eval mode; its weights must not change any more.
        folder: is made with the first answer; one file for each batch.
    """

    def __init__(self, network: nn.Module, folder: Path) -> None:
        super().__init__()
        self._network = network
        self._folder = folder
        # Options can make another network of the same weights: the modules count as well.
        digest = hashlib.blake2b(str(network).encode())
        for name, weight in network.state_dict().items():
            digest.update(name.encode())
            digest.update(_bytes(weight))
        self._identity = digest.digest()

    def forward(self, crops: Tensor) -> Tensor:
        """The network's answer to (N, 3, h, w) crops.

        Raises:
            BihrnetError: a kept answer cannot be read, or a new one not written.
        """
        path = self._path(crops)
        if path.is_file():
            kept: Tensor = read_torch_file(path)
            return kept.to(crops.device)
        answer: Tensor = self._network(crops)
        write_torch_file(answer.cpu(), path)
        return answer

    def _path(self, crops: Tensor) -> Path:
        kind = crops.device.type
        autocast = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind)
        digest = hashlib.blake2b(self._identity, digest_size=16)
        digest.update(f"{autocast} {crops.dtype} {tuple(crops.shape)}".encode())
        digest.update(_bytes(crops))
        name = digest.hexdigest()
        # Folders of many thousand files are slow to list and to delete.
        return self._folder / name[:2] / f"{name[2:]}.pt"


def _bytes(tensor: Tensor) -> memoryview:
    """Values in their logical order, whatever the tensor's layout."""
    values: NDArray[np.uint8] = (
        tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    )
    return values.data
