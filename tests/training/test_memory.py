"""Whether a process keeps the memory that it frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# Pages that are mapped while 32 MiB are allocated, written and freed again and again.
SCRIPT = """
import resource, sys
import torch
from bihrnet.training.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
faults = []
for _ in range(24):
    torch.ones(8 << 20)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[12])
"""


def faults(mode: str) -> int:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True
    )
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told what to keep")
def test_freed_memory_is_used_again():
    assert faults("keep") < faults("as it is") / 10
