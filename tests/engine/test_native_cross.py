"""NEON's kernels, cross-compiled and run under qemu."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "native" / "tests" / "run_neon.sh"
TOOLS = ("aarch64-linux-gnu-g++", "qemu-aarch64", "cmake")


def test_neon_agrees_with_the_portable_kernels(tmp_path):
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not here: see native/tests/run_neon.sh")
    done = subprocess.run(
        [SCRIPT, tmp_path, "30"], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "neon: 30 cases" in done.stdout
