"""Checkpoints of this project: the weights of a network and how it was trained.

A file holds ``{"bihrnet": metadata, "state_dict": weights}``. The checkpoints of a training run
hold the training state as well; their weights have the prefix "network.", and a moving average is
preferred to them. Slim checkpoints are small, for distribution (`save_slim_checkpoint`).

Two properties of a network depend on its training and are read from the recipe in the metadata:
whether the weights of its binary layers are still real-valued (the first stage of reverse-order
initialization, ``binarization: {weights: real}``), and whether its outputs are logits
(``loss: bce``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bihrnet.errors import BihrnetError
from bihrnet.model import ModelSpec
from bihrnet.nn.layers.binary_conv import use_real_weights
from bihrnet.nn.logits import LOGIT_LOSS, SigmoidHeatmaps
from bihrnet.nn.registry import architectures, build
from bihrnet.nn.slim_weights import pack, unpack
from bihrnet.nn.torch_file import read_torch_file, write_torch_file
from bihrnet.nn.torch_model import TorchModel
from bihrnet.recipe_keys import with_new_keys
from bihrnet.skeleton import Skeleton

FORMAT = 1
_TRAINING_PREFIX = "network."
_MAX_MISMATCH = 300


@dataclass(frozen=True)
class Checkpoint:
    """A network as described by a file.

    Attributes:
        architecture: name in the registry.
        options: of the architecture.
        skeleton: keypoints of the heatmaps.
        input_size: (height, width) of the training crops.
        recipe: of the training run, as plain values; may be empty.
        metrics: measured after training, by name.
        weights: state dict of the network, float32.
        path: of the file, for error messages; None if there is none.
    """

    architecture: str
    options: dict[str, Any]
    skeleton: Skeleton
    input_size: tuple[int, int]
    recipe: dict[str, Any]
    metrics: dict[str, float]
    weights: dict[str, Tensor]
    path: Path | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """All fields except the weights and the path, as plain values."""
        return {
            "format": FORMAT,
            "architecture": self.architecture,
            "options": self.options,
            "skeleton": self.skeleton.to_dict(),
            "input_size": list(self.input_size),
            "recipe": self.recipe,
            "metrics": self.metrics,
        }

    @property
    def spec(self) -> ModelSpec:
        """Input and skeleton of the network; decoding and flip test as in its evaluation."""
        recipe_name = self.recipe.get("name")
        evaluation, data = self.recipe.get("evaluation", {}), self.recipe.get("data", {})
        return ModelSpec(
            name=f"{self.architecture}@{recipe_name}" if recipe_name else self.architecture,
            skeleton=self.skeleton,
            input_size=self.input_size,
            decoding=evaluation.get("decoding", "quarter"),
            flip_test=evaluation.get("flip_test", True),
            sigma=data.get("sigma", 2.0),
        )

    def build(self) -> torch.nn.Module:
        """The network with these weights.

        Raises:
            BihrnetError: the architecture is unknown, or the weights do not fit it; the message
                names the file.
        """
        try:
            with torch.device("meta"):  # its weights are replaced at once
                module = build(self.architecture, len(self.skeleton), **self.options)
            return self._restore(module)
        except BihrnetError as error:
            if self.path is None:
                raise
            raise BihrnetError(f"{self.path}: {error}") from error

    def _restore(self, network: torch.nn.Module) -> torch.nn.Module:
        """Load these weights into a network of this architecture.

        Returns:
            The network, ready for evaluation: with a sigmoid after it if it was trained on logits,
            and with real-valued convolutions if its binary layers had real-valued weights.

        Raises:
            BihrnetError: the weights do not fit the network.
        """
        if self.recipe.get("binarization", {}).get("weights") == "real":
            use_real_weights(network)
        try:
            network.load_state_dict(self.weights, assign=True)
        except RuntimeError as error:
            raise BihrnetError(
                f"the weights are not those of {self.architecture}: {_first_mismatch(error)}"
            ) from None
        return SigmoidHeatmaps(network) if self.recipe.get("loss") == LOGIT_LOSS else network


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a training or a slim checkpoint; tensors and plain values only, no code.

    Raises:
        BihrnetError: the file is missing or damaged, not a checkpoint of this project, or of a
            newer format.
    """
    content = read_torch_file(path)
    if not isinstance(content, dict) or not isinstance(content.get("bihrnet"), dict):
        raise BihrnetError(
            f"{path}: not a checkpoint of bihrnet, because it does not name its network; weights "
            "of other projects can be used as a teacher (`bihrnet train --teacher`)"
        )
    metadata = content["bihrnet"]
    if metadata.get("format") != FORMAT:
        raise BihrnetError(
            f"{path}: its format is {metadata.get('format')!r}; this version reads {FORMAT}"
        )
    try:
        height, width = (int(side) for side in metadata["input_size"])
        architecture = str(metadata["architecture"])
        if architecture in architectures():
            architectures()[architecture].check_size((height, width))
        return Checkpoint(
            architecture=architecture,
            options=dict(metadata["options"]),
            skeleton=Skeleton.from_dict(metadata["skeleton"]),
            input_size=(height, width),
            recipe=_recipe(metadata["recipe"]),
            metrics=dict(metadata["metrics"]),
            weights=_weights(content),
            path=Path(path),
        )
    except (KeyError, TypeError, ValueError, BihrnetError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise BihrnetError(f"{path}: broken checkpoint: {reason}") from error


def open_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> TorchModel:
    """A checkpoint as a model that is ready to run.

    Raises:
        BihrnetError: as `read_checkpoint`, or the weights do not fit the architecture.
    """
    checkpoint = read_checkpoint(path)
    return TorchModel(checkpoint.build(), checkpoint.spec, device)


def save_slim_checkpoint(
    path: str | Path, module: torch.nn.Module, metadata: Mapping[str, Any], *, half: bool = True
) -> None:
    """Write a network without its training state, atomically.

    Args:
        path: replaced once the new file is complete.
        module: the network.
        metadata: as `Checkpoint.metadata`.
        half: whether real-valued weights are stored in half precision and binary weights as bits
            (`slim_weights.pack`): at most a quarter of the size of float32, but unsuitable for
            further training. Otherwise the state dict is stored unchanged.

    Raises:
        BihrnetError: the file cannot be written.
    """
    state = module.state_dict()
    content = pack(module) if half else {name: tensor.cpu() for name, tensor in state.items()}
    write_torch_file({"bihrnet": dict(metadata), "state_dict": content}, path)


def _first_mismatch(error: RuntimeError) -> str:
    """The first mismatch in an error of `load_state_dict`, and the number of further ones.

    PyTorch writes one line per weight of a different size, but a single line for all missing and
    one for all unexpected weights.
    """
    mismatches: list[str] = []
    for line in str(error).split("\n\t")[1:]:
        what, _, keys = line.strip().rstrip(".").partition(" in state_dict: ")
        mismatches += [f"{what} {key}" for key in keys.split(", ")] if keys else [what]
    first = " ".join(mismatches[0].split())[:_MAX_MISMATCH]  # keys in a file may be of any length
    return f"{first} and {len(mismatches) - 1} more" if len(mismatches) > 1 else first


def _recipe(fields: Mapping[str, Any]) -> dict[str, Any]:
    recipe = with_new_keys(dict(fields))
    for section in ("data", "evaluation", "binarization"):
        if not isinstance(recipe.get(section, {}), dict):
            raise TypeError(f"its recipe has {recipe[section]!r} as {section}")
    return recipe


def _weights(content: dict[str, Any]) -> dict[str, Tensor]:
    state = content["bihrnet"].get("ema")
    if state is None:
        state = content["state_dict"]
        if any(name.startswith(_TRAINING_PREFIX) for name in state):
            state = {
                name.removeprefix(_TRAINING_PREFIX): tensor
                for name, tensor in state.items()
                if name.startswith(_TRAINING_PREFIX)
            }
    return unpack(state)
