"""The measurements as the JSON of `bihrnet bench`."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bihrnet.bench.cases import Case
from bihrnet.cpu import available_cores


def report(times: Mapping[Case, Sequence[float]], threads: int, isa: str) -> dict[str, Any]:
    """The JSON document; a row's ratio is its median over that of the first row.

    Args:
        times: seconds of every run, by case.
        threads: of each runtime.
        isa: instruction set of the engine.
    """
    medians = [float(np.median(seconds)) for seconds in times.values()]
    rows = [
        {
            "model": case.model,
            "runtime": case.runtime,
            "precision": case.precision,
            "threads": threads,
            "size": list(case.size),
            "median_ms": round(1e3 * median, 4),
            "p90_ms": round(1e3 * float(np.percentile(seconds, 90)), 4),
            "ratio_to_first": round(median / medians[0], 5),
        }
        for (case, seconds), median in zip(times.items(), medians, strict=True)
    ]
    return {"machine": machine(), "isa": isa, "rows": rows}


def machine() -> str:
    """Name of the processor, number of cores that this process may use, operating system."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name}, {available_cores()} cores, {platform.system()}"
