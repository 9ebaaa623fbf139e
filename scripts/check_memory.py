"""Run a network ten thousand times and watch the memory: ``python scripts/check_memory.py``.

Prints what the process holds (its resident memory) on the way, and fails if it has grown. A bundled
name or a .bhr file may be given; default is the bundled default. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import gc
import os
from pathlib import Path

import numpy as np

from bihrnet import load

RUNS = 10_000
WARM_UP = 500
#: Bytes that may come and go, in Python's own allocator for instance.
TOLERANCE = 1_000_000


def resident_bytes() -> int:
    """Memory of this process that lies in RAM."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Warm up, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", nargs="?", help="bundled name or .bhr file")
    model = load(parser.parse_args().model)
    random = np.random.default_rng(0)
    crops = random.integers(0, 256, (8, 1, *model.spec.input_size, 3), np.uint8)
    for run in range(WARM_UP):
        model(crops[run % len(crops)])
    gc.collect()
    before = resident_bytes()
    for run in range(1, RUNS + 1):
        model(crops[run % len(crops)])
        if run % (RUNS // 5) == 0:
            print(f"{run:6} runs: {resident_bytes() / 1e6:.2f} MB")
    growth = resident_bytes() - before
    print(f"{model.spec.name}: {before / 1e6:.2f} MB before, grown by {growth} bytes")
    if growth > TOLERANCE:
        raise SystemExit("memory has not stayed where it was")


if __name__ == "__main__":
    main()
