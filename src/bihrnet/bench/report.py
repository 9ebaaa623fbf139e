"""The measurements as the JSON of `bihrnet bench`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bihrnet.bench.cases import Case
from bihrnet.bench.measure import Measurement
from bihrnet.bench.processor import machine


def report(
    measured: Mapping[Case, Measurement], threads: int, cores: Sequence[int], isa: str
) -> dict[str, Any]:
    """The JSON document.

    Times are milliseconds of one image: minimum, median and 90th percentile of the elapsed time,
    and the median of the processor time of all threads. The ratio is a row's median over that of
    the first row. Peak memory is that of the process, in 10^6 bytes, null where unknown.

    Args:
        measured: by case.
        threads: of each runtime.
        cores: to which the processes were pinned.
        isa: instruction set of the engine.
    """
    first = next(iter(measured.values()))
    rows = [
        {
            "model": case.model,
            "runtime": case.runtime,
            "precision": case.precision,
            "threads": threads,
            "size": list(case.size),
            **_times(measurement),
            "ratio_to_first": round(_median(measurement) / _median(first), 5),
            "peak_mb": _megabytes(measurement.peak_memory),
        }
        for case, measurement in measured.items()
    ]
    return {"machine": machine(), "isa": isa, "cores": list(cores), "rows": rows}


def _times(measurement: Measurement) -> dict[str, float]:
    statistics = {
        "median_ms": _median(measurement),
        "p90_ms": np.percentile(measurement.seconds, 90),
        "min_ms": min(measurement.seconds),
        "cpu_ms": np.median([run.cpu_seconds for run in measurement.runs]),
    }
    return {name: round(1e3 * float(seconds), 4) for name, seconds in statistics.items()}


def _median(measurement: Measurement) -> float:
    return float(np.median(measurement.seconds))


def _megabytes(count: int | None) -> float | None:
    return None if count is None else round(count / 1e6, 1)
