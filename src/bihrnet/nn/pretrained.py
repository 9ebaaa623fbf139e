"""Weights of other projects: checkpoints of HRNet, of SimpleBaseline and of mmpose."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from bihrnet.errors import BihrnetError
from bihrnet.nn.torch_file import read_torch_file

ChannelOrder = Literal["rgb", "bgr"]

# Prefixes that wrappers put before the names of the public code: DataParallel, trainers (here:
# "network."), mmpose.
_PREFIXES = ("module.", "model.", "network.", "backbone.", "keypoint_head.", "head.")
_HEAD = ("final_layer.", "deconv_layers.")


def load_hrnet_weights(
    model: nn.Module,
    path: str | Path,
    *,
    channel_order: ChannelOrder = "rgb",
    backbone_only: bool = False,
) -> None:
    """Load a public checkpoint into an HRNet or a network with SimpleBaseline's head.

    Accepted are state dicts with the names of the official code, as they are or under
    "state_dict", with the prefixes of DataParallel ("module.") and of trainers ("model."), and
    mmpose's ("backbone.", "keypoint_head.", "head."). Half precision is
    converted to float32.

    Args:
        model: receives the weights; its names and shapes must be those of the file.
        path: the file.
        channel_order: of the pixels that the weights were trained on. The official checkpoints and
            mmpose's take RGB, as networks here do. For "bgr" the input channels of the first
            convolution are reversed, which makes the network equivalent on RGB input, provided that
            it was trained with the mean and standard deviation of ImageNet in the order of its
            channels.
        backbone_only: whether to leave the head unchanged and to ignore everything else in the
            file: for ImageNet checkpoints, and for other keypoints.

    Raises:
        BihrnetError: the file cannot be read, or names or shapes do not fit; the message lists
            the first of them.
    """
    found = {plain_name(name): tensor for name, tensor in _state_dict(path).items()}
    wanted = {plain_name(name): tensor for name, tensor in model.state_dict(keep_vars=True).items()}
    if backbone_only:
        wanted = {name: value for name, value in wanted.items() if not name.startswith(_HEAD)}
    else:
        _refuse(path, "has weights that the network lacks", sorted(found.keys() - wanted.keys()))
    # Old checkpoints lack the counters of BatchNorm, which are not used here.
    missing = {name for name in wanted.keys() - found.keys() if not name.endswith("_tracked")}
    _refuse(path, "lacks weights that the network needs", sorted(missing))
    _refuse(
        path,
        "has weights of another shape",
        [
            f"{name} is {_size(found[name])}, not {_size(tensor)}"
            for name, tensor in wanted.items()
            if name in found and found[name].shape != tensor.shape
        ],
    )
    if channel_order == "bgr":
        first = next(name for name, tensor in wanted.items() if tensor.ndim == 4)
        found[first] = found[first].flip(1)
    with torch.no_grad():
        for name in wanted.keys() & found.keys():
            wanted[name].copy_(found[name])


def _state_dict(path: str | Path) -> dict[str, Tensor]:
    content = read_torch_file(path)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if isinstance(content, dict):
        tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
        if tensors:
            return tensors
    raise BihrnetError(f"{path}: no weights in this file")


def plain_name(name: str) -> str:
    """Name of a weight in the official code, without the prefixes of wrappers and trainers."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _refuse(path: str | Path, reason: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise BihrnetError(f"{path} {reason}: {', '.join(names[:3])}{more}")


def _size(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
