"""Every model in every runtime, as a file that the runtime can open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bihrnet.bench.networks import BuildPlan, Network, find_network
from bihrnet.bench.onnx_file import OnnxFile
from bihrnet.errors import BihrnetError

if TYPE_CHECKING:
    from bihrnet.nn.torch_model import TorchModel

#: Runtimes that the engine can be compared with.
PEERS = ("onnxruntime", "openvino", "torch")


@dataclass(frozen=True, eq=False)
class Case:
    """One row of a benchmark: a network in one runtime. Two cases are never equal.

    Attributes:
        model: as it was asked for.
        runtime: "engine", "onnxruntime", "openvino" or "torch".
        precision: of the real-valued layers.
        size: (height, width) of the image.
        path: what the runtime opens; torch builds `plan` instead.
        plan: to build the network from; None for an ONNX file of others.
        ops: binary MACs / 64 + real MACs; None for an ONNX file of others.
        shape: of the input of an ONNX file of others; None for networks of bihrnet.
    """

    model: str
    runtime: str
    precision: str
    size: tuple[int, int]
    path: Path
    plan: BuildPlan | None
    ops: float | None
    shape: tuple[int, ...] | None = None


#: Writes a network into a folder for one runtime and yields the cases that can be run.
CaseFactory = Callable[[Network, Path], Iterator[Case]]


def prepare(
    models: Sequence[str],
    peers: Sequence[str],
    size: tuple[int, int] | None,
    folder: Path,
    warn: Callable[[str], None],
) -> list[Case]:
    """Make the cases: every model in the engine, then in each peer; ONNX files in ONNX Runtime.

    Args:
        models: bundled names, `.bhr` files, checkpoints, ONNX files or architectures (with random
            weights, which take the same time).
        peers: some of `PEERS`.
        size: (height, width) of the image; None for the model's own, 256x192 for an architecture.
        folder: where converted networks are written.
        warn: receives a message for each network that a runtime cannot run.

    Raises:
        BihrnetError: an unknown model or runtime, or a size that a network does not take.
    """
    for peer in peers:
        if peer not in PEERS:
            raise BihrnetError(f"unknown runtime {peer!r}; known: {', '.join(PEERS)}")
    cases: list[Case] = []
    for number, network in enumerate([find_network(model, size) for model in models]):
        if isinstance(network, OnnxFile):
            cases.append(_onnx_case(network))
            continue
        subfolder = folder / str(number)
        subfolder.mkdir()
        for runtime in ("engine", *peers):
            cases.extend(_make(_FACTORIES[runtime], network, subfolder, warn))
    if not cases:
        raise BihrnetError("there is nothing to measure")
    return cases


def _make(
    factory: CaseFactory, network: Network, folder: Path, warn: Callable[[str], None]
) -> list[Case]:
    try:
        return list(factory(network, folder))
    except BihrnetError as error:
        warn(f"{network.name}: {error}")
        return []


def _case(network: Network, runtime: str, precision: str, path: Path, ops: float) -> Case:
    return Case(network.name, runtime, precision, network.size, path, network.plan, ops)


def _onnx_case(file: OnnxFile) -> Case:
    path, shape = file.path, file.shape
    return Case(file.name, "onnxruntime", file.precision, file.size, path, None, None, shape)


def _ops(model: TorchModel) -> float:
    from bihrnet.nn.counting import count

    return count(model.module, model.spec.input_size).ops


def _engine(network: Network, folder: Path) -> Iterator[Case]:
    """The file itself, or a torch network in both precisions."""
    from bihrnet.engine.counting import count_graph
    from bihrnet.engine.model_file import read_model, write_model

    if network.bhr is not None:
        file = read_model(network.bhr)
        real, binary = count_graph(file.graph, file.constants, network.size)
        yield _case(network, "engine", file.precision, network.bhr, binary / 64 + real)
        return
    from bihrnet.export.bhr.export import to_bhr

    model = network.torch()
    # Noise is good enough to calibrate on: ranges do not change the time.
    noise = np.random.default_rng(0).integers(0, 256, (2, *network.size, 3), np.uint8)
    for file in (to_bhr(model, "fp32"), to_bhr(model, "int8", noise)):
        path = folder / f"{file.precision}.bhr"
        write_model(file, path)
        yield _case(network, "engine", file.precision, path, _ops(model))


def _onnx_file(network: Network, folder: Path) -> Path:
    from bihrnet.export.onnx import write_onnx

    path = folder / "network.onnx"
    if not path.exists():
        write_onnx(network.torch(), path)
    return path


def _onnxruntime(network: Network, folder: Path) -> Iterator[Case]:
    path = _onnx_file(network, folder)
    yield _case(network, "onnxruntime", "fp32", path, _ops(network.torch()))


def _openvino(network: Network, folder: Path) -> Iterator[Case]:
    """In float32 and bfloat16; binary networks with OpenVINO's own BinaryConvolution."""
    from bihrnet.nn.registry import find

    if find(network.plan.architecture).binary:
        from bihrnet.bench.openvino_graph import write_openvino

        path = folder / "network.xml"
        write_openvino(network.torch(), path)
    else:
        path = _onnx_file(network, folder)
    for precision in ("fp32", "bf16"):
        yield _case(network, "openvino", precision, path, _ops(network.torch()))


def _torch(network: Network, folder: Path) -> Iterator[Case]:
    yield _case(network, "torch", "fp32", folder, _ops(network.torch()))


_FACTORIES: dict[str, CaseFactory] = {
    "engine": _engine,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "torch": _torch,
}
