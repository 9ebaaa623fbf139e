"""`bihrnet info`: count the parameters and operations of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bihrnet.cli.output import busy, check_writable, parse_size, result_console, write_json
from bihrnet.errors import BihrnetError

#: Input size and keypoints of COCO, for an architecture given by its name.
_DEFAULT_SIZE, _DEFAULT_JOINTS = (256, 192), 17


def info(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="An architecture, a bundled name, a .bhr file or a checkpoint."
        ),
    ],
    size: Annotated[
        str | None,
        typer.Option(
            metavar="HxW", help="Input size, height x width. Default: the file's, or 256x192."
        ),
    ] = None,
    joints: Annotated[
        int | None, typer.Option(help="Number of keypoints. Default: the file's, else 17.")
    ] = None,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the counts; - for standard output."),
    ] = None,
) -> None:
    """Count parameters, weights and operations of MODEL for one image."""
    from bihrnet.zoo import CHECKPOINT_SUFFIXES, ENGINE_SUFFIX, find_model, list_models

    path, files = Path(model), (ENGINE_SUFFIX, *CHECKPOINT_SUFFIXES)
    if model in list_models() or path.suffix.lower() in files:
        path = find_model(model)  # before the import of PyTorch, which takes seconds
    count = _count_file if path.suffix.lower() == ENGINE_SUFFIX else _count_network
    check_writable(json, [path])
    wanted = parse_size(size) if size else None
    with busy(f"counting {model}"):
        document = {"model": model, **count(path, wanted, joints)}
    write_json(document, json)
    result_console(json).print(_table(document))


def _count_file(path: Path, size: tuple[int, int] | None, joints: int | None) -> dict[str, Any]:
    """Counts of a `.bhr` file, without PyTorch."""
    from bihrnet.engine.counting import count_graph, count_ternary_adds
    from bihrnet.engine.model_file import read_model

    file = read_model(path)
    _check_joints(path, joints, len(file.spec.skeleton))
    size = size or file.spec.input_size
    real_macs, binary_macs = count_graph(file.graph, file.constants, size)
    counts = {
        **file.counts,
        "real_macs": real_macs,
        "binary_macs": binary_macs,
        "ternary_adds": count_ternary_adds(file.graph, file.constants, size),
    }
    return _document(size, len(file.spec.skeleton), counts)


def _count_network(path: Path, size: tuple[int, int] | None, joints: int | None) -> dict[str, Any]:
    """Counts of a checkpoint's network or of an architecture."""
    try:
        import torch
    except ModuleNotFoundError:
        raise BihrnetError(
            f"counting {str(path)!r} needs PyTorch, which is missing: pip install 'bihrnet[train]'"
        ) from None

    from bihrnet.nn.checkpoint import read_checkpoint
    from bihrnet.nn.counting import count
    from bihrnet.nn.registry import find
    from bihrnet.zoo import CHECKPOINT_SUFFIXES, list_models

    with torch.device("meta"):  # counting needs shapes only
        if path.suffix.lower() in CHECKPOINT_SUFFIXES:
            checkpoint = read_checkpoint(path)
            _check_joints(path, joints, len(checkpoint.skeleton))
            joints = len(checkpoint.skeleton)
            architecture = find(checkpoint.architecture)
            module = checkpoint.build()
            size = size or checkpoint.input_size
        else:
            architecture = find(str(path), list_models())
            joints = _DEFAULT_JOINTS if joints is None else joints
            module = architecture.build(joints)
            size = size or _DEFAULT_SIZE
        architecture.check_size(size)
        counts = count(module, size)
    return _document(size, joints, asdict(counts))


def _document(size: tuple[int, int], joints: int, counts: Mapping[str, int]) -> dict[str, Any]:
    """The JSON document of `bihrnet info` but for the model's name.

    Args:
        size: (height, width) of the input.
        joints: number of keypoints.
        counts: the fields of `nn.counting.Counts`.
    """
    document = {
        "size": list(size),
        "joints": joints,
        "params": counts["params"],
        "real_macs": counts["real_macs"],
        "binary_macs": counts["binary_macs"],
        "ops": counts["binary_macs"] / 64 + counts["real_macs"],
        "binary_weights": counts["binary_weights"],
        "real_weights": counts["real_weights"],
    }
    if counts["ternary_adds"]:
        document["ternary_adds"] = counts["ternary_adds"]
    return document


def _check_joints(path: Path, asked: int | None, found: int) -> None:
    if asked not in (None, found):
        raise BihrnetError(f"{path} has {found} joints, not the {asked} of --joints")


def _table(document: Mapping[str, Any]) -> Table:
    """Counts in the two units that papers use: 10^9, and 2^30 as in HRNet's tool."""
    height, width = document["size"]
    # As Text, because brackets in a file name are not markup.
    title = Text(
        f"{document['model']}, {height}x{width}, {document['joints']} joints", "table.title"
    )
    table = Table(title=title)
    table.add_column()
    for unit in ("count", "/ 10⁹", "/ 2³⁰", "megabytes"):
        table.add_column(unit, justify="right")
    operations = [
        ("real MACs", "real_macs"),
        ("binary MACs", "binary_macs"),
        ("OPs = binary / 64 + real", "ops"),
    ]
    if "ternary_adds" in document:
        operations.append(("additions of ternary filters", "ternary_adds"))
    for label, key in operations:
        value = document[key]
        table.add_row(
            label,
            f"{value:,.0f}",
            f"{value / 1e9:.3f}",
            f"{value / 2**30:.3f}",
        )
    table.add_section()
    for label, key, bits in (
        ("parameters at 32 bits", "params", 32),
        ("binary weights at 1 bit", "binary_weights", 1),
        ("real weights at 32 bits", "real_weights", 32),
    ):
        value = document[key]
        table.add_row(label, f"{value:,}", "", "", f"{value * bits / 8e6:.2f}")
    return table
