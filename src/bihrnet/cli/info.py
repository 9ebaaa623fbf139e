"""`bihrnet info`: the size of a network and the operations of one image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from bihrnet.cli.output import check_writable, parse_size, result_console, write_json
from bihrnet.errors import BihrnetError

#: Input size and keypoints of COCO, for an architecture given by its name.
_DEFAULT_SIZE, _DEFAULT_JOINTS = (256, 192), 17


def info(
    model: Annotated[
        str, typer.Argument(help="An architecture, a bundled name, a .bhr or a checkpoint file.")
    ],
    size: Annotated[
        str | None,
        typer.Option(help="Input, height x width. Default: the file's, else 256x192."),
    ] = None,
    joints: Annotated[
        int | None, typer.Option(help="Number of keypoints. Default: the file's, else 17.")
    ] = None,
    json: Annotated[
        str | None, typer.Option("--json", help="Write the counts; - for standard output.")
    ] = None,
) -> None:
    """Count parameters, weights and operations of MODEL for one image."""
    from bihrnet.zoo import ENGINE_SUFFIX, model_cards

    bundled = {card.name: card.path for card in model_cards()}
    path = bundled.get(model, Path(model))
    count = _count_file if path.suffix.lower() == ENGINE_SUFFIX else _count_network
    check_writable(json, [path])
    report = {"model": model, **count(path, parse_size(size) if size else None, joints)}
    write_json(report, json)
    result_console(json).print(_table(report))


def _count_file(path: Path, size: tuple[int, int] | None, joints: int | None) -> dict[str, Any]:
    """Counts of a `.bhr` file, without torch."""
    from bihrnet.engine.counting import count_graph, count_ternary_adds
    from bihrnet.engine.model_file import read_model

    file = read_model(path)
    _check_joints(path, joints, len(file.spec.skeleton))
    size = size or file.spec.input_size
    real_macs, binary_macs = count_graph(file.graph, file.constants, size)
    report = {
        "size": list(size),
        "joints": len(file.spec.skeleton),
        "params": file.counts["params"],
        "real_macs": real_macs,
        "binary_macs": binary_macs,
        "ops": binary_macs / 64 + real_macs,
        "binary_weights": file.counts["binary_weights"],
        "real_weights": file.counts["real_weights"],
    }
    return _with_ternary_adds(report, count_ternary_adds(file.graph, file.constants, size))


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
    report = {
        "size": list(size),
        "joints": joints,
        "params": counts.params,
        "real_macs": counts.real_macs,
        "binary_macs": counts.binary_macs,
        "ops": counts.ops,
        "binary_weights": counts.binary_weights,
        "real_weights": counts.real_weights,
    }
    return _with_ternary_adds(report, counts.ternary_adds)


def _with_ternary_adds(report: dict[str, Any], adds: int) -> dict[str, Any]:
    """The report with the additions of ternary filters, where the network has any."""
    return {**report, "ternary_adds": adds} if adds else report


def _check_joints(path: Path, asked: int | None, found: int) -> None:
    if asked not in (None, found):
        raise BihrnetError(f"{path} has {found} joints, not the {asked} of --joints")


def _table(report: dict[str, Any]) -> Table:
    """Counts in the two units that papers use: 10^9, and 2^30 as in HRNet's tool."""
    height, width = report["size"]
    # A Text, because brackets in a file name are not markup.
    title = Text(f"{report['model']}, {height}x{width}, {report['joints']} joints", "table.title")
    table = Table(title=title)
    table.add_column()
    for unit in ("count", "/ 10⁹", "/ 2³⁰", "megabytes"):
        table.add_column(unit, justify="right")
    operations = [
        ("real MACs", "real_macs"),
        ("binary MACs", "binary_macs"),
        ("OPs = binary / 64 + real", "ops"),
    ]
    if "ternary_adds" in report:
        operations.append(("additions of ternary filters", "ternary_adds"))
    for label, key in operations:
        value = report[key]
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
        value = report[key]
        table.add_row(label, f"{value:,}", "", "", f"{value * bits / 8e6:.2f}")
    return table
