"""Answers of a network on disk, so that runs which ask the same do not compute them again."""

from __future__ import annotations

import hashlib
import logging
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bihrnet import __version__
from bihrnet.errors import BihrnetError
from bihrnet.files import WriteError
from bihrnet.nn.torch_file import read_torch_file, write_torch_file

log = logging.getLogger(__name__)


class KeptAnswers(nn.Module):
    """A frozen network that looks an answer up before it computes it.

    An answer is found by a digest of the weights, of what computes and how, and of the crops
    themselves, so it can only ever be given to the question that it was computed for: to runs that
    share seed, data, augmentation, batch size and number of processes, at the same step.

    Answers are a convenience, so nothing about their files ends a run: one that is of no use is
    computed anew and replaced, and once one cannot be written no more are kept. Either is told
    once.

    Args:
        network: in eval mode, maps (N, 3, h, w) to (N, K, h/4, w/4); its weights must not change
            any more.
        folder: is made with the first answer; one file for each batch.
    """

    def __init__(self, network: nn.Module, folder: Path) -> None:
        super().__init__()
        self._network = network
        self._folder = folder
        self._keeps = True
        self._has_warned_of_unusable = False
        # Options can make another network of the same weights: the modules count as well.
        digest = hashlib.blake2b(str(network).encode())
        # Not the state: it leaves out buffers that are no part of checkpoints, as fixed filters.
        for name, weight in chain(network.named_parameters(), network.named_buffers()):
            digest.update(name.encode())
            digest.update(_bytes(weight))
        self._identity = digest.digest()

    def forward(self, crops: Tensor) -> Tensor:
        """The network's answer to (N, 3, h, w) crops."""
        path = self._path(crops)
        kept = self._read(path, crops)
        if kept is not None:
            return kept.to(crops.device)
        answer: Tensor = self._network(crops)
        if self._keeps:
            self._write(answer, path)
        return answer

    def _path(self, crops: Tensor) -> Path:
        digest = hashlib.blake2b(self._identity, digest_size=16)
        digest.update(_circumstances(crops.device.type).encode())
        digest.update(f"{crops.dtype} {tuple(crops.shape)}".encode())
        digest.update(_bytes(crops))
        name = digest.hexdigest()
        # Folders of many thousand files are slow to list and to delete.
        return self._folder / name[:2] / f"{name[2:]}.pt"

    def _read(self, path: Path, crops: Tensor) -> Tensor | None:
        """The answer in a file; None where there is none, or one that answers no such crops."""
        try:
            if not path.is_file():
                return None
            content = read_torch_file(path)
        except (BihrnetError, OSError) as error:
            self._warn_of_unusable(str(error))
            return None
        if not _answers(content, crops):
            self._warn_of_unusable(f"{path}: it holds no heatmaps of these crops")
            return None
        kept: Tensor = content
        return kept

    def _write(self, answer: Tensor, path: Path) -> None:
        try:
            write_torch_file(answer.cpu(), path)
        except WriteError as error:
            log.warning("%s; no more answers of the teacher are kept", error)
            self._keeps = False

    def _warn_of_unusable(self, reason: str) -> None:
        if not self._has_warned_of_unusable:
            log.warning("%s; answers of the teacher that are of no use are made anew", reason)
        self._has_warned_of_unusable = True


def _circumstances(device: str) -> str:
    """All besides the question that may change the last bits of an answer."""
    autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    parts: list[object] = [__version__, torch.__version__, device, autocast]
    if device == "cpu":
        parts += [torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()]
    return " ".join(map(str, parts))


def _answers(content: object, crops: Tensor) -> bool:
    """Whether it can be the heatmaps of these crops."""
    if not isinstance(content, Tensor) or not content.is_floating_point() or content.ndim != 4:
        return False
    count, _, height, width = crops.shape
    return content.shape[0] == count and content.shape[2:] == (height // 4, width // 4)


def _bytes(tensor: Tensor) -> memoryview:
    """Values in their logical order, whatever the tensor's layout."""
    values: NDArray[np.uint8] = (
        tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
    )
    return values.data
