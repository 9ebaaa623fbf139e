"""Weights that a run begins with: the teacher's, and those that the student starts from."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import Module

from bihrnet import nn
from bihrnet.errors import BihrnetError
from bihrnet.nn.checkpoint import read_checkpoint
from bihrnet.nn.pretrained import load_hrnet_weights, plain_name
from bihrnet.nn.torch_file import read_torch_file
from bihrnet.skeleton import Skeleton
from bihrnet.training.distillation import Teacher
from bihrnet.training.kept_answers import KeptAnswers
from bihrnet.training.recipe import TeacherSection

log = logging.getLogger(__name__)


def load_teacher(
    section: TeacherSection, skeleton: Skeleton, answers: Path | None = None
) -> Teacher:
    """The recipe's teacher with its weights, from a checkpoint of this project or an official one.

    Args:
        section: of the recipe.
        skeleton: of the student's data.
        answers: folder where its answers are kept, see `KeptAnswers`; None computes them all.

    Raises:
        BihrnetError: no checkpoint was given, or it is of other joints or another architecture.
    """
    network = _teacher_network(section, skeleton).eval()
    return Teacher(network if answers is None else KeptAnswers(network, answers))


def _teacher_network(section: TeacherSection, skeleton: Skeleton) -> Module:
    if section.checkpoint is None:
        raise BihrnetError(
            f"the recipe distils from {section.architecture}: give its checkpoint with --teacher"
        )
    path = Path(section.checkpoint)
    if not _is_own(path):
        network = nn.build(section.architecture, len(skeleton), **section.options)
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
    # With the options it was trained with: some make another network of the same weights.
    return checkpoint.build()


def start_from(network: Module, path: Path) -> None:
    """Copy the weights whose names and shapes occur in a checkpoint; leave the others fresh.

    So a network can start from ImageNet, from other joints, from a real-valued teacher or from an
    earlier stage of its own training. Prefixes such as "backbone." do not count: torchvision's
    ImageNet files fit the backbones that carry its names.

    Raises:
        BihrnetError: the file cannot be read or shares no weight with the network.
    """
    found = {plain_name(name): weight for name, weight in _weights(path).items()}
    state = {plain_name(name): weight for name, weight in network.state_dict().items()}
    shared = [name for name in state if name in found and found[name].shape == state[name].shape]
    if not shared:
        raise BihrnetError(f"{path}: no weight has a name and shape of the network's")
    with torch.no_grad():
        for name in shared:
            state[name].copy_(found[name])
    log.info("started from %s: %d of %d tensors", path, len(shared), len(state))


def _is_own(path: Path) -> bool:
    content = read_torch_file(path)
    return isinstance(content, dict) and "bihrnet" in content


def _weights(path: Path) -> dict[str, Tensor]:
    if _is_own(path):
        return read_checkpoint(path).weights
    content = read_torch_file(path)
    inner = content.get("state_dict", content) if isinstance(content, dict) else {}
    return {name: value for name, value in inner.items() if isinstance(value, Tensor)}
