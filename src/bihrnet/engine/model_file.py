"""`.bhr` files: one network with all that is needed to run and evaluate it, as safetensors.

The fields are described in `docs/engine-format.md`. Reading trusts nothing: what passes is a graph
whose constants exist and fit, so a runtime only has to follow it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors.numpy import save

from bihrnet.engine.checksum import KEY as CHECKSUM
from bihrnet.engine.checksum import checksum
from bihrnet.engine.golden import Golden
from bihrnet.engine.graph import Graph
from bihrnet.engine.graph_json import graph_from_json, graph_to_json
from bihrnet.engine.validation import MAX_SIDE, infer_sizes
from bihrnet.errors import BihrnetError
from bihrnet.files import replacing
from bihrnet.heatmap import Decoding
from bihrnet.model import ModelSpec
from bihrnet.skeleton import Skeleton

FORMAT = 1
MAX_HEADER_BYTES = 1 << 24
MAX_FILE_BYTES = 1 << 30
MAX_CAUSE = 400
MAX_SIGMA = 64
PRECISIONS = ("fp32", "int8")
COUNTS = ("params", "binary_weights", "real_weights")
COUNT_END = 1 << 63

_DTYPES: dict[str, np.dtype[Any]] = {
    "U64": np.dtype("<u8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I8": np.dtype("i1"),
}
_MODEL_FIELDS = {
    *("name", "skeleton", "input_size", "stride", "decoding", "flip_test", "sigma"),
    *("precision", "licence", "recipe", "metrics", "counts"),
}


@dataclass(frozen=True)
class ModelFile:
    """The content of a `.bhr` file.

    Attributes:
        spec: name, skeleton, input size, decoding and flip test.
        graph: the op graph.
        constants: arrays by name, C-contiguous.
        precision: "fp32" or "int8", of the real-valued convolutions.
        golden: input seed and output digest at `spec.input_size`.
        counts: params, binary_weights and real_weights of the torch module, as `bihrnet info` has
            them; operations follow from the graph.
        licence: SPDX identifier of the weights' licence, empty where none is stated.
        recipe: the training recipe as it was, empty for a network that was not trained.
        metrics: measured values, with the data that they were measured on.
    """

    spec: ModelSpec
    graph: Graph
    constants: Mapping[str, NDArray[Any]]
    precision: str
    golden: Golden
    counts: Mapping[str, int]
    licence: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


def write_model(model: ModelFile, path: str | Path) -> None:
    """Write a `.bhr` file, whole or not at all: an older file of that name survives a failure.

    Raises:
        BihrnetError: the model is not valid, or the file cannot be written.
    """
    path = Path(path)
    content = to_bytes(model)
    from_bytes(content, path)  # what is written can be read
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_model(path: str | Path) -> ModelFile:
    """Read and check a `.bhr` file.

    Raises:
        BihrnetError: the file is missing, unreadable or malformed; the sentence says how.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
                raise BihrnetError(f"{path}: is larger than 1 GiB")
            content = file.read()
    except OSError as error:
        raise BihrnetError(f"{path}: cannot be read: {error.strerror or error}") from error
    return from_bytes(content, path)


def to_bytes(model: ModelFile) -> bytes:
    """The file's content."""
    spec = model.spec
    description = {
        "name": spec.name,
        "skeleton": spec.skeleton.to_dict(),
        "input_size": list(spec.input_size),
        "stride": spec.stride,
        "decoding": spec.decoding,
        "flip_test": spec.flip_test,
        "sigma": spec.sigma,
        "precision": model.precision,
        "licence": model.licence,
        "recipe": dict(model.recipe),
        "metrics": dict(model.metrics),
        "counts": dict(model.counts),
    }
    values = {
        "bihrnet.format": FORMAT,
        "bihrnet.graph": graph_to_json(model.graph),
        "bihrnet.model": description,
        "bihrnet.golden": asdict(model.golden),
    }
    metadata = {key: json.dumps(value, separators=(",", ":")) for key, value in values.items()}
    constants = {name: np.ascontiguousarray(array) for name, array in model.constants.items()}
    data = _data(save(constants))
    return save(constants, metadata | {CHECKSUM: str(checksum(metadata, data))})


def from_bytes(content: bytes, name: str | Path) -> ModelFile:
    """Inverse of `to_bytes`; `name` is for the sentence of an error."""
    try:
        metadata = _metadata(content)
        constants = _constants(content)
        return _model(metadata, constants)
    except BihrnetError as error:
        # Causes may quote the file, which may hold anything.
        cause = " ".join(str(error).split())
        raise BihrnetError(f"{name}: {cause[:MAX_CAUSE]}") from error


def _metadata(content: bytes) -> dict[str, Any]:
    """The JSON values of `__metadata__`."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= length <= len(content) - 8:
        raise BihrnetError("is no safetensors file, or was cut off")
    if length > MAX_HEADER_BYTES:
        raise BihrnetError(f"its header of {length} bytes is larger than 16 MiB")
    header = _json(content[8 : 8 + length], "the header")
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or "bihrnet.format" not in metadata:
        raise BihrnetError("is not a bihrnet model: its safetensors header has no bihrnet.format")
    if metadata["bihrnet.format"] != str(FORMAT):
        found = str(metadata["bihrnet.format"])[:20]
        raise BihrnetError(f"has format version {found}; this bihrnet reads version {FORMAT}")
    wanted = {*(f"bihrnet.{key}" for key in ("format", "graph", "model", "golden")), CHECKSUM}
    if set(metadata) != wanted:
        wrong = min(wanted ^ set(metadata))
        raise BihrnetError(f"its metadata misses or should not have the field {wrong[:80]!r}")
    if not all(isinstance(value, str) for value in metadata.values()):
        raise BihrnetError("its metadata holds what is not text")
    if metadata[CHECKSUM] != str(checksum(metadata, _data(content))):
        raise BihrnetError("is damaged: its checksum is not that of its content")
    return {key: _json(value, key) for key, value in metadata.items()}


def _data(content: bytes) -> memoryview:
    """What follows the header: the constants."""
    return memoryview(content)[8 + int.from_bytes(content[:8], "little") :]


def _json(text: str | bytes, where: str) -> Any:
    def refuse(constant: str) -> None:
        raise BihrnetError(f"{where} holds {constant}")

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise BihrnetError(f"{where} is not valid JSON: {error}") from error


def _constants(content: bytes) -> dict[str, NDArray[Any]]:
    try:
        entries: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise BihrnetError(f"is not a valid safetensors file: {error}") from error
    arrays = {}
    for name, entry in entries:
        dtype = _DTYPES.get(entry["dtype"])
        if dtype is None:
            raise BihrnetError(f"constant {name[:80]!r} has the unknown type {entry['dtype']}")
        # The library has checked that shape and bytes agree.
        arrays[name] = np.frombuffer(entry["data"], dtype).reshape(entry["shape"])
    return arrays


def _model(metadata: Mapping[str, Any], constants: Mapping[str, NDArray[Any]]) -> ModelFile:
    graph = graph_from_json(metadata["bihrnet.graph"])
    description = metadata["bihrnet.model"]
    if not isinstance(description, dict) or set(description) != _MODEL_FIELDS:
        raise BihrnetError(f"bihrnet.model needs exactly the fields {sorted(_MODEL_FIELDS)}")
    spec = _spec(description)
    counts = description["counts"]
    plain = all(isinstance(description[key], dict) for key in ("recipe", "metrics", "counts"))
    if not plain or set(counts) != set(COUNTS) or not all(map(_is_count, counts.values())):
        raise BihrnetError(
            f"recipe and metrics must be objects, counts the integers {COUNTS}, none below 0 and "
            "all below 2^63"
        )
    if description["precision"] not in PRECISIONS or not isinstance(description["licence"], str):
        raise BihrnetError("precision must be fp32 or int8, licence a text")
    sizes = infer_sizes(graph, constants, spec.input_size)
    joints = len(spec.skeleton)
    height, width = sizes[graph.output]
    channels = {tensor.name: tensor.channels for tensor in graph.tensors}[graph.output]
    if channels != joints:
        raise BihrnetError(f"its graph has {channels} outputs, its skeleton {joints} keypoints")
    if (height * spec.stride, width * spec.stride) != spec.input_size:
        raise BihrnetError(f"its output of {height} x {width} does not have stride {spec.stride}")
    return ModelFile(
        spec=spec,
        graph=graph,
        constants=constants,
        precision=description["precision"],
        golden=Golden.from_json(metadata["bihrnet.golden"], joints),
        licence=description["licence"],
        recipe=description["recipe"],
        metrics=description["metrics"],
        counts=counts,
    )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < COUNT_END


def _spec(description: Mapping[str, Any]) -> ModelSpec:
    size, stride = description["input_size"], description["stride"]
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
        raise BihrnetError("input_size must be two integers")
    if not all(1 <= side <= MAX_SIDE for side in size) or type(stride) is not int or stride < 1:
        raise BihrnetError(f"input size {size} or stride {str(stride)[:20]} is out of range")
    if description["decoding"] not in get_args(Decoding):
        raise BihrnetError(f"decoding must be one of {', '.join(get_args(Decoding))}")
    if type(description["flip_test"]) is not bool or not isinstance(description["name"], str):
        raise BihrnetError("flip_test must be true or false, name a text")
    sigma = description["sigma"]
    if type(sigma) not in (int, float) or not 0 < sigma <= MAX_SIGMA:
        raise BihrnetError(f"sigma must be a number above 0, at most {MAX_SIGMA}")
    try:
        skeleton = Skeleton.from_dict(description["skeleton"])
    except (OverflowError, AttributeError) as error:
        raise BihrnetError(f"the skeleton cannot be read: {error}") from error
    return ModelSpec(
        name=description["name"],
        skeleton=skeleton,
        input_size=(size[0], size[1]),
        stride=stride,
        decoding=description["decoding"],
        flip_test=description["flip_test"],
        sigma=sigma,
    )
