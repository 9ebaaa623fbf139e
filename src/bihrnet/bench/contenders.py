"""From the names that are asked for to files that each runtime can open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bihrnet.errors import BihrnetError
from bihrnet.model import ModelSpec
from bihrnet.skeleton import COCO
from bihrnet.zoo import CHECKPOINT_SUFFIXES, ENGINE_SUFFIX, model_cards

if TYPE_CHECKING:
    from bihrnet.nn.torch_model import TorchModel

#: Runtimes that the engine can be compared with.
PEERS = ("onnxruntime", "openvino", "torch")


@dataclass(frozen=True)
class Architecture:
    """What a network is built from, with random weights: name, joints and options."""

    name: str
    joints: int
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Contender:
    """One row of a benchmark: a network in one runtime. Equals no other, not even in all fields.

    Attributes:
        model: as it was asked for.
        runtime: "engine", "onnxruntime", "openvino" or "torch".
        precision: of the real-valued layers.
        size: (height, width) of the image.
        path: what the runtime opens; for torch none, it builds `architecture` anew.
        architecture: to build it from.
        ops: binary MACs / 64 + real MACs.
    """

    model: str
    runtime: str
    precision: str
    size: tuple[int, int]
    path: Path
    architecture: Architecture
    ops: float


@dataclass(frozen=True)
class _Network:
    """A MODEL of the command line: a `.bhr`, a torch network, or both."""

    name: str
    size: tuple[int, int]
    architecture: Architecture
    bhr: Path | None
    session: Callable[[], TorchModel]


def prepare(
    models: Sequence[str],
    peers: Sequence[str],
    size: tuple[int, int] | None,
    folder: Path,
    warn: Callable[[str], None],
) -> list[Contender]:
    """Every model in every runtime, the engine first.

    Args:
        models: bundled names, `.bhr` files, checkpoints or architectures (with random weights,
            which take the same time).
        peers: some of `PEERS`.
        size: of the image; by default the model's own, 256x192 for an architecture.
        folder: where converted networks are written.
        warn: gets a sentence for everything that a runtime cannot run.

    Raises:
        BihrnetError: an unknown model or runtime, or a size that a network does not take.
    """
    for peer in peers:
        if peer not in PEERS:
            raise BihrnetError(f"no runtime {peer!r} to compare with, only {', '.join(PEERS)}")
    contenders: list[Contender] = []
    for number, network in enumerate([_find(model, size) for model in models]):
        place = folder / str(number)
        place.mkdir()
        for writer in (_engine, *(_WRITERS[peer] for peer in peers)):
            contenders.extend(_written(writer, network, place, warn))
    if not contenders:
        raise BihrnetError("nothing is left to measure")
    return contenders


def _written(
    writer: Callable[[_Network, Path], Iterator[Contender]],
    network: _Network,
    folder: Path,
    warn: Callable[[str], None],
) -> list[Contender]:
    try:
        return list(writer(network, folder))
    except BihrnetError as error:
        warn(f"{network.name}: {error}")
        return []


def _find(model: str, size: tuple[int, int] | None) -> _Network:
    bundled = {card.name: card.path for card in model_cards()}
    path = bundled.get(model, Path(model))
    if path.suffix.lower() == ENGINE_SUFFIX:
        return _file(model, path, size)
    if path.suffix.lower() in CHECKPOINT_SUFFIXES:
        return _checkpoint(model, path, size)
    from bihrnet.nn.registry import find

    spec = ModelSpec(model, COCO, size or (256, 192))
    find(model, list(bundled)).check_size(spec.input_size)
    architecture = Architecture(model, len(COCO))
    return _Network(model, spec.input_size, architecture, None, lambda: _fresh(architecture, spec))


def _file(model: str, path: Path, size: tuple[int, int] | None) -> _Network:
    """A `.bhr`; its peers are the network that its recipe describes, with random weights."""
    from bihrnet.engine.model_file import read_model

    file = read_model(path)
    spec = replace(file.spec, input_size=size or file.spec.input_size)
    options = file.recipe.get("options", {})
    if not isinstance(options, dict):
        raise BihrnetError(f"{path}: its recipe has {options!r} as options")
    name = spec.name.partition("@")[0]
    architecture = Architecture(name, len(spec.skeleton), tuple(options.items()))

    def session() -> TorchModel:
        fresh = _fresh(architecture, spec)
        _check_counts(fresh, file.counts)
        return fresh

    return _Network(model, spec.input_size, architecture, path, session)


def _checkpoint(model: str, path: Path, size: tuple[int, int] | None) -> _Network:
    from bihrnet.nn.checkpoint import read_checkpoint
    from bihrnet.nn.registry import find
    from bihrnet.nn.torch_model import TorchModel

    content = read_checkpoint(path)
    chosen = size or content.input_size
    find(content.architecture).check_size(chosen)
    options = tuple(content.options.items())
    architecture = Architecture(content.architecture, len(content.skeleton), options)
    spec = replace(content.spec, input_size=chosen)
    return _Network(model, chosen, architecture, None, lambda: TorchModel(content.build(), spec))


def _fresh(architecture: Architecture, spec: ModelSpec) -> TorchModel:
    from bihrnet.nn.registry import build, find
    from bihrnet.nn.torch_model import TorchModel

    find(architecture.name).check_size(spec.input_size)
    module = build(architecture.name, architecture.joints, **dict(architecture.options))
    return TorchModel(module, spec)


def _check_counts(session: TorchModel, expected: Mapping[str, int]) -> None:
    """Refuse a network that is not the one of which a file has these counts."""
    from bihrnet.nn.counting import count

    found = asdict(count(session.module, session.spec.input_size))
    for key, number in expected.items():
        if found[key] != number:
            raise BihrnetError(
                f"peers would be another network: {found[key]} {key.replace('_', ' ')} in place of "
                f"the file's {number}"
            )


def _ops(session: TorchModel) -> float:
    from bihrnet.nn.counting import count

    return count(session.module, session.spec.input_size).ops


def _row(network: _Network, runtime: str, precision: str, path: Path, ops: float) -> Contender:
    return Contender(
        network.name, runtime, precision, network.size, path, network.architecture, ops
    )


def _engine(network: _Network, folder: Path) -> Iterator[Contender]:
    """The file itself, or both precisions of a torch network."""
    from bihrnet.engine.counting import count_graph
    from bihrnet.engine.model_file import read_model, write_model

    if network.bhr is not None:
        model = read_model(network.bhr)
        real, binary = count_graph(model.graph, model.constants, network.size)
        yield _row(network, "engine", model.precision, network.bhr, binary / 64 + real)
        return
    from bihrnet.export.bhr.export import to_bhr

    session = network.session()
    # Noise will do to calibrate: ranges do not change the time.
    noise = np.random.default_rng(0).integers(0, 256, (2, *network.size, 3), np.uint8)
    for model in (to_bhr(session, "fp32"), to_bhr(session, "int8", noise)):
        path = folder / f"{model.precision}.bhr"
        write_model(model, path)
        yield _row(network, "engine", model.precision, path, _ops(session))


def _onnx(network: _Network, folder: Path) -> Path:
    from bihrnet.export.onnx import write_onnx

    path = folder / "network.onnx"
    if not path.exists():
        write_onnx(network.session(), path)
    return path


def _onnxruntime(network: _Network, folder: Path) -> Iterator[Contender]:
    path = _onnx(network, folder)
    yield _row(network, "onnxruntime", "fp32", path, _ops(network.session()))


def _openvino(network: _Network, folder: Path) -> Iterator[Contender]:
    """In float32 and bfloat16; binary convolutions as OpenVINO's own BinaryConvolution."""
    from bihrnet.nn.registry import find

    if find(network.architecture.name).binary:
        from bihrnet.bench.openvino_graph import write_openvino

        path = folder / "network.xml"
        write_openvino(network.session(), path)
    else:
        path = _onnx(network, folder)
    for precision in ("fp32", "bf16"):
        yield _row(network, "openvino", precision, path, _ops(network.session()))


def _torch(network: _Network, folder: Path) -> Iterator[Contender]:
    yield _row(network, "torch", "fp32", folder, _ops(network.session()))


_WRITERS = {"onnxruntime": _onnxruntime, "openvino": _openvino, "torch": _torch}
