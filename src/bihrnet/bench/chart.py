"""The measurements as a chart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bihrnet.bench.cases import Case
from bihrnet.bench.measure import Measurement
from bihrnet.errors import BihrnetError
from bihrnet.files import replacing

SUFFIXES = (".png", ".svg", ".pdf")
#: Colors stand for models, markers for runtimes; those of fp32 are filled.
_MARKERS = {"engine": "o", "torch": "D", "onnxruntime": "s", "openvino": "^"}


def check_chart(path: Path) -> None:
    """Fail before the measurements where `write_chart` would fail after them.

    Raises:
        BihrnetError: the suffix is not one of `SUFFIXES`, or matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise BihrnetError(f"{path}: the file of a chart must end in {', '.join(SUFFIXES)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError:
        raise BihrnetError(
            f"{path}: a chart needs matplotlib: pip install 'bihrnet[train]'"
        ) from None


def write_chart(measured: Mapping[Case, Measurement], path: Path) -> None:
    """Plot latency over operations and over file size; the suffix of the file selects the format.

    Raises:
        BihrnetError: as `check_chart`, or the file cannot be written.
    """
    check_chart(path)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    models = list(dict.fromkeys(case.model for case in measured))
    for case, measurement in measured.items():
        latency = 1e3 * float(np.median(measurement.seconds))
        color = f"C{models.index(case.model)}"
        for axes, value in zip(panels, (_billions(case.ops), _megabytes(case.path)), strict=True):
            axes.scatter(
                value if value else np.nan,
                latency,
                s=45,
                marker=_MARKERS[case.runtime],
                edgecolors=color,
                facecolors=color if case.precision == "fp32" else "none",
                label=f"{case.model} · {case.runtime} {case.precision}",
            )
    # Labels beside the points would overlap: runtimes of one network are often equally fast.
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    for axes, label in zip(panels, ("operations / 10⁹", "file / MB"), strict=True):
        axes.set(yscale="log", xlabel=label, ylabel="median time of an image / ms")
        if np.isfinite(axes.dataLim.intervalx).all():  # not where no row has this figure
            axes.set_xscale("log")
        axes.grid(which="both", alpha=0.3)
        axes.margins(0.15)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=150)


def _billions(ops: float | None) -> float | None:
    return None if ops is None else ops / 1e9


def _megabytes(path: Path) -> float | None:
    """Size of a network's file, with the second file in which OpenVINO and ONNX keep weights."""
    if not path.is_file():
        return None
    parts = {path, path.with_suffix(".bin"), path.with_name(path.name + ".data")}
    return sum(part.stat().st_size for part in parts if part.is_file()) / 1e6
