"""The teacher of a distillation, its cached heatmaps, and weights that a run starts from."""

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
from bihrnet.nn.checkpoint import read_checkpoint
from bihrnet.nn.pretrained import load_hrnet_weights, plain_name
from bihrnet.nn.registry import build
from bihrnet.nn.torch_file import read_torch_file, write_torch_file
from bihrnet.skeleton import Skeleton
from bihrnet.training.recipe import TeacherSection

log = logging.getLogger(__name__)


class Teacher:
    """A frozen network in eval mode that computes heatmaps without gradients.

    It is not an `nn.Module`, so that it stays out of the student's parameters, checkpoints and
    `train()` calls.

    Args:
        network: maps (N, 3, h, w) normalized crops to (N, K, h/4, w/4) heatmaps.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network.eval().requires_grad_(False)

    def to(self, device: torch.device) -> None:
        """Move to the device of the student, in the memory layout of the student's crops."""
        self._network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, crops: Tensor) -> Tensor:
        """(N, K, h/4, w/4) float32 heatmaps of (N, 3, h, w) normalized crops."""
        heatmaps: Tensor = self._network(crops)
        return heatmaps.float()


class CachedHeatmaps(nn.Module):
    """A frozen network that reads its heatmaps from a folder if they were computed before.

    The key is a digest of the weights, the environment, the precision and the crops, so that an
    entry is never used for a different input. It is found by runs that share seed, data,
    augmentation, batch size and number of processes, at the same step.

    The cache never ends a run: a damaged entry is computed again and replaced, and once an entry
    cannot be written no more are stored. Each is logged once.

    Args:
        network: in eval mode, maps (N, 3, h, w) to (N, K, h/4, w/4); its weights must not change
            any more.
        folder: created with the first entry; one file for each batch.
    """

    def __init__(self, network: nn.Module, folder: Path) -> None:
        super().__init__()
        self._network = network
        self._folder = folder
        self._is_writable = True
        self._has_warned_of_damage = False
        # Options can make another network of the same weights: the modules count as well.
        digest = hashlib.blake2b(str(network).encode())
        # Not the state dict: it lacks buffers that are not part of checkpoints, as fixed filters.
        for name, weight in chain(network.named_parameters(), network.named_buffers()):
            digest.update(name.encode())
            digest.update(_bytes(weight))
        self._identity = digest.digest()

    def forward(self, crops: Tensor) -> Tensor:
        """Heatmaps (N, K, h/4, w/4) of (N, 3, h, w) crops."""
        path = self._path(crops)
        cached = self._read(path, crops)
        if cached is not None:
            return cached.to(crops.device)
        heatmaps: Tensor = self._network(crops)
        if self._is_writable:
            self._write(heatmaps, path)
        return heatmaps

    def _path(self, crops: Tensor) -> Path:
        digest = hashlib.blake2b(self._identity, digest_size=16)
        digest.update(_environment(crops.device.type).encode())
        digest.update(f"{crops.dtype} {tuple(crops.shape)}".encode())
        digest.update(_bytes(crops))
        name = digest.hexdigest()
        # Folders of many thousand files are slow to list and to delete.
        return self._folder / name[:2] / f"{name[2:]}.pt"

    def _read(self, path: Path, crops: Tensor) -> Tensor | None:
        """The heatmaps in a file; None if there is none, or if it does not fit the crops."""
        try:
            if not path.is_file():
                return None
            content = read_torch_file(path)
        except (BihrnetError, OSError) as error:
            self._warn_of_damage(str(error))
            return None
        if not _fits(content, crops):
            self._warn_of_damage(f"{path}: not the heatmaps of these crops")
            return None
        heatmaps: Tensor = content
        return heatmaps

    def _write(self, heatmaps: Tensor, path: Path) -> None:
        try:
            write_torch_file(heatmaps.cpu(), path)
        except WriteError as error:
            log.warning("%s; no more heatmaps of the teacher are cached", error)
            self._is_writable = False

    def _warn_of_damage(self, reason: str) -> None:
        if not self._has_warned_of_damage:
            log.warning("%s; damaged entries of the teacher's cache are computed again", reason)
        self._has_warned_of_damage = True


def load_teacher(section: TeacherSection, skeleton: Skeleton, cache: Path | None = None) -> Teacher:
    """The recipe's teacher with its weights, from a checkpoint of this project or an official one.

    Args:
        section: of the recipe.
        skeleton: of the student's data.
        cache: folder of `CachedHeatmaps`; None computes all heatmaps.

    Raises:
        BihrnetError: no checkpoint was given, or it has another skeleton or architecture.
    """
    network = _teacher_network(section, skeleton).eval()
    return Teacher(network if cache is None else CachedHeatmaps(network, cache))


def start_from(network: nn.Module, path: Path) -> None:
    """Copy the weights whose names and shapes occur in a checkpoint; leave the others unchanged.

    A network can start from ImageNet weights, from weights for other keypoints, from a real-valued
    teacher or from an earlier stage of its own training. Prefixes such as "backbone." are ignored,
    so torchvision's ImageNet files fit the backbones of the same names.

    Raises:
        BihrnetError: the file cannot be read or shares no weight with the network.
    """
    found = {plain_name(name): weight for name, weight in _weights(path).items()}
    state = {plain_name(name): weight for name, weight in network.state_dict().items()}
    shared = [name for name in state if name in found and found[name].shape == state[name].shape]
    if not shared:
        raise BihrnetError(f"{path}: no weight has the name and shape of a weight of the network")
    with torch.no_grad():
        for name in shared:
            state[name].copy_(found[name])
    log.info("initialized from %s: %d of %d tensors", path, len(shared), len(state))


def _teacher_network(section: TeacherSection, skeleton: Skeleton) -> nn.Module:
    if section.checkpoint is None:
        raise BihrnetError(
            f"the recipe distills from {section.architecture}: give its checkpoint with --teacher"
        )
    path = Path(section.checkpoint)
    if not _is_own(path):
        network = build(section.architecture, len(skeleton), **section.options)
        load_hrnet_weights(network, path, channel_order=section.channels)
        return network
    checkpoint = read_checkpoint(path)
    if checkpoint.architecture != section.architecture:
        raise BihrnetError(
            f"{path} is a {checkpoint.architecture}, but the recipe's teacher is a "
            f"{section.architecture}"
        )
    if checkpoint.skeleton.keypoints != skeleton.keypoints:
        raise BihrnetError(
            f"{path} estimates {checkpoint.skeleton.name}, but the data is {skeleton.name}"
        )
    # With the options of its training: some make another network of the same weights.
    return checkpoint.build()


def _is_own(path: Path) -> bool:
    content = read_torch_file(path)
    return isinstance(content, dict) and "bihrnet" in content


def _weights(path: Path) -> dict[str, Tensor]:
    if _is_own(path):
        return read_checkpoint(path).weights
    content = read_torch_file(path)
    inner = content.get("state_dict", content) if isinstance(content, dict) else {}
    return {name: value for name, value in inner.items() if isinstance(value, Tensor)}


def _environment(device: str) -> str:
    """Everything besides weights and crops that may change the last bits of the heatmaps."""
    autocast = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device)
    parts: list[object] = [__version__, torch.__version__, device, autocast]
    if device == "cpu":
        parts += [torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()]
    return " ".join(map(str, parts))


def _fits(content: object, crops: Tensor) -> bool:
    """Whether the content of a file can be the heatmaps of these crops."""
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
