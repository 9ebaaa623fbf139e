"""`bihrnet bench`: the time of one image in each model and runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from bihrnet.cli.output import check_writable, console, parse_size, result_console, write_json
from bihrnet.errors import BihrnetError


def bench(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Bundled names, .bhr files, checkpoints, architectures, or ONNX files of others, "
            "which ONNX Runtime runs. Default: the bundled default model.",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of each runtime.")] = 1,
    size: Annotated[
        str | None, typer.Option(help="Input size, height x width. Default: the model's own.")
    ] = None,
    against: Annotated[
        str, typer.Option(help="Other runtimes, separated by commas: onnxruntime, openvino, torch.")
    ] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each model and runtime.")] = 15,
    json: Annotated[
        str | None, typer.Option("--json", help="Write the rows; - for standard output.")
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option(help="Draw time against operations and file size (.png, .svg or .pdf)."),
    ] = None,
) -> None:
    """Time MODELs side by side, in turns, one image at a time."""
    from bihrnet.bench.cases import prepare
    from bihrnet.bench.chart import check_chart, write_chart
    from bihrnet.bench.measure import measure
    from bihrnet.bench.processor import choose_cores
    from bihrnet.bench.report import report
    from bihrnet.engine.engine_model import default_isa
    from bihrnet.zoo import list_models

    chosen = models or list_models()[:1]
    if not chosen:
        raise BihrnetError("no weights are bundled; name a model, for instance bihrnet-w32")
    peers = [peer.strip() for peer in against.split(",") if peer.strip()]
    asked_size = parse_size(size) if size else None
    check_writable(json, [*chosen, chart])
    if chart is not None:
        check_chart(chart)
        check_writable(chart, chosen)

    def warn(reason: str) -> None:
        console.print(f"left out: {reason}", style="yellow", markup=False, emoji=False)

    isa, cores = default_isa(), choose_cores(threads)
    with tempfile.TemporaryDirectory(prefix="bihrnet-bench-") as folder:
        cases = prepare(chosen, peers, asked_size, Path(folder), warn)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("measuring", total=rounds * len(cases))
            measured = measure(
                cases, threads, cores, rounds, warn, lambda: progress.update(task, advance=1)
            )
        if not measured:
            raise BihrnetError("none of the models can be run")
        result = report(measured, threads, cores, isa)
        write_json(result, json)
        result_console(json).print(_table(result))
        if chart is not None:
            write_chart(measured, chart)  # while the folder with the files still exists


def _table(result: dict[str, Any]) -> Table:
    threads = result["rows"][0]["threads"]
    table = Table(title=f"{result['machine']}, {result['isa']}, threads: {threads}")
    table.add_column("model", overflow="fold")  # the only column that a narrow terminal may wrap
    for column in ("runtime", "layers", "size"):
        table.add_column(column, no_wrap=True)
    for column in ("min ms", "median ms", "p90 ms", "CPU ms", "MB", "speed"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in result["rows"]:
        height, width = row["size"]
        table.add_row(
            Text(row["model"]),  # the name of a file may contain brackets, which are markup
            row["runtime"],
            row["precision"],
            f"{height}x{width}",
            f"{row['min_ms']:.2f}",
            f"{row['median_ms']:.2f}",
            f"{row['p90_ms']:.2f}",
            f"{row['cpu_ms']:.2f}",
            "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}",
            f"{1 / row['ratio_to_first']:.2f}x",
        )
    return table
