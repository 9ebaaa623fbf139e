"""What was measured, as JSON and as a chart."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bihrnet.bench.contenders import Contender
from bihrnet.cpu import available_cores
from bihrnet.errors import BihrnetError
from bihrnet.files import replacing

CHART_SUFFIXES = (".png", ".svg", ".pdf")


def report(times: Mapping[Contender, Sequence[float]], threads: int, isa: str) -> dict[str, Any]:
    """The JSON of `bihrnet bench`; the ratio is a row's median over that of the first row."""
    medians = [float(np.median(taken)) for taken in times.values()]
    rows = [
        {
            "model": contender.model,
            "runtime": contender.runtime,
            "precision": contender.precision,
            "threads": threads,
            "size": list(contender.size),
            "median_ms": round(1e3 * median, 4),
            "p90_ms": round(1e3 * float(np.percentile(taken, 90)), 4),
            "ratio_to_first": round(median / medians[0], 5),
        }
        for (contender, taken), median in zip(times.items(), medians, strict=True)
    ]
    return {"machine": machine(), "isa": isa, "rows": rows}


def machine() -> str:
    """Processor, and cores that this process may use."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name}, {available_cores()} cores, {platform.system()}"


#: A model has a color, a runtime a shape; fp32 is filled.
_MARKERS = {"engine": "o", "torch": "D", "onnxruntime": "s", "openvino": "^"}


def check_chart(path: Path) -> None:
    """Fail before the measurements rather than after them, where `write_chart` would fail.

    Raises:
        BihrnetError: the suffix is none of `CHART_SUFFIXES`, or matplotlib is missing.
    """
    if path.suffix.lower() not in CHART_SUFFIXES:
        raise BihrnetError(f"{path}: a chart's file must end in {', '.join(CHART_SUFFIXES)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError:
        raise BihrnetError(
            f"{path}: a chart needs matplotlib: pip install 'bihrnet[train]'"
        ) from None


def write_chart(times: Mapping[Contender, Sequence[float]], path: Path) -> None:
    """Latency against operations and against file size; the file's suffix says the format.

    Raises:
        BihrnetError: as `check_chart`, or the file cannot be written.
    """
    check_chart(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    models = list(dict.fromkeys(contender.model for contender in times))
    for contender, taken in times.items():
        latency = 1e3 * float(np.median(taken))
        color = f"C{models.index(contender.model)}"
        sizes = (contender.ops / 1e9, _megabytes(contender.path))
        for axes, value in zip(panels, sizes, strict=True):
            axes.scatter(
                value if value else np.nan,
                latency,
                s=45,
                marker=_MARKERS[contender.runtime],
                edgecolors=color,
                facecolors=color if contender.precision == "fp32" else "none",
                label=f"{contender.model} · {contender.runtime} {contender.precision}",
            )
    # Beside the points labels would lie on each other: runtimes of one network are often equal.
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    for axes, what in zip(panels, ("operations / 10⁹", "file / MB"), strict=True):
        axes.set(xscale="log", yscale="log", xlabel=what, ylabel="median time of an image / ms")
        axes.grid(which="both", alpha=0.3)
        axes.margins(0.15)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _megabytes(path: Path) -> float | None:
    """Of the network's file; OpenVINO and ONNX keep weights in a second file of the same stem."""
    if not path.is_file():
        return None
    parts = {path, path.with_suffix(".bin"), path.with_name(path.name + ".data")}
    return sum(part.stat().st_size for part in parts if part.is_file()) / 1e6
