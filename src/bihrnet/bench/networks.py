"""The models of a benchmark: what a name or a file on the command line stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bihrnet.bench.onnx_file import OnnxFile, read_onnx_file
from bihrnet.errors import BihrnetError
from bihrnet.model import ModelSpec
from bihrnet.skeleton import COCO
from bihrnet.zoo import CHECKPOINT_SUFFIXES, ENGINE_SUFFIX, model_cards

if TYPE_CHECKING:
    from bihrnet.nn.torch_model import TorchModel


@dataclass(frozen=True)
class BuildPlan:
    """What a network with random weights is built from: architecture, joints and options."""

    architecture: str
    joints: int
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Network:
    """A MODEL of the command line.

    Attributes:
        name: as it was asked for.
        size: (height, width) of the image.
        plan: to build it anew.
        bhr: the file, where the model is one.
        torch: gives the torch network, which is built when it is first needed.
    """

    name: str
    size: tuple[int, int]
    plan: BuildPlan
    bhr: Path | None
    torch: Callable[[], TorchModel]


def find_network(model: str, size: tuple[int, int] | None) -> Network | OnnxFile:
    """Look up a bundled name, a `.bhr` file, a checkpoint, an ONNX file or an architecture.

    Args:
        model: its name or path.
        size: of the image; None for the model's own, 256x192 for an architecture.

    Raises:
        BihrnetError: there is no such model, its file is broken, or it does not take the size.
    """
    bundled = {card.name: card.path for card in model_cards()}
    path = bundled.get(model, Path(model))
    if path.suffix.lower() == ENGINE_SUFFIX:
        return _from_bhr(model, path, size)
    if path.suffix.lower() in CHECKPOINT_SUFFIXES:
        return _from_checkpoint(model, path, size)
    if path.suffix.lower() == ".onnx":
        return read_onnx_file(model, size)
    from bihrnet.nn.registry import find

    spec = ModelSpec(model, COCO, size or (256, 192))
    find(model, list(bundled)).check_size(spec.input_size)
    plan = BuildPlan(model, len(COCO))
    return Network(model, spec.input_size, plan, None, cache(lambda: _build(plan, spec)))


def _from_bhr(model: str, path: Path, size: tuple[int, int] | None) -> Network:
    """A file of the engine; other runtimes get the network of its recipe with random weights."""
    from bihrnet.engine.model_file import read_model

    file = read_model(path)
    spec = replace(file.spec, input_size=size or file.spec.input_size)
    options = file.recipe.get("options", {})
    if not isinstance(options, dict):
        raise BihrnetError(f"{path}: the options of its recipe are {options!r}, not a mapping")
    architecture = spec.name.partition("@")[0]
    plan = BuildPlan(architecture, len(spec.skeleton), tuple(options.items()))

    @cache
    def torch() -> TorchModel:
        built = _build(plan, spec)
        _check_counts(built, file.counts)
        return built

    return Network(model, spec.input_size, plan, path, torch)


def _from_checkpoint(model: str, path: Path, size: tuple[int, int] | None) -> Network:
    from bihrnet.nn.checkpoint import read_checkpoint
    from bihrnet.nn.registry import find
    from bihrnet.nn.torch_model import TorchModel

    content = read_checkpoint(path)
    chosen = size or content.input_size
    find(content.architecture).check_size(chosen)
    options = tuple(content.options.items())
    plan = BuildPlan(content.architecture, len(content.skeleton), options)
    spec = replace(content.spec, input_size=chosen)
    return Network(model, chosen, plan, None, cache(lambda: TorchModel(content.build(), spec)))


def _build(plan: BuildPlan, spec: ModelSpec) -> TorchModel:
    from bihrnet.nn.registry import build, find
    from bihrnet.nn.torch_model import TorchModel

    find(plan.architecture).check_size(spec.input_size)
    return TorchModel(build(plan.architecture, plan.joints, **dict(plan.options)), spec)


def _check_counts(model: TorchModel, expected: Mapping[str, int]) -> None:
    """Refuse a network whose counts are not those of the file that it was built for."""
    from bihrnet.nn.counting import count

    found = asdict(count(model.module, model.spec.input_size))
    for key, number in expected.items():
        if found[key] != number:
            raise BihrnetError(
                f"the network of its recipe has {found[key]} {key.replace('_', ' ')}, the file has "
                f"{number}; other runtimes would be timed with a different network"
            )
