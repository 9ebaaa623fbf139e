"""The processor that a benchmark runs on: its name, its cores, and the memory of a process."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from bihrnet.cpu import available_cores


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


def choose_cores(threads: int) -> list[int]:
    """Logical cores to pin a process of so many threads to; one of each physical core first.

    Empty where the operating system cannot pin processes.
    """
    if not hasattr(os, "sched_setaffinity"):
        return []
    physical: set[str] = set()
    first: list[int] = []
    siblings: list[int] = []
    for core in sorted(os.sched_getaffinity(0)):
        of_same_core = _thread_siblings(core)
        (siblings if of_same_core in physical else first).append(core)
        physical.add(of_same_core)
    return [*first, *siblings][:threads]


def _thread_siblings(core: int) -> str:
    """The logical cores that share a physical one, as Linux lists them."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return str(core)


def peak_memory() -> int | None:
    """Bytes of RAM that this process has occupied at most; None where that is unknown."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
