#!/bin/sh
# Builds the engine with address and undefined-behavior sanitizers and tests all kernels that run
# on this machine. With PYTHON set, the module is built too and the engine's tests run on it; that
# Python needs nanobind besides what `make test` installs.
# usage: [PYTHON=.venv/bin/python] run_sanitizers.sh BUILD_FOLDER [CASES]
set -eu
native=$(cd "$(dirname "$0")/.." && pwd)
build=$1
module=OFF
if [ -n "${PYTHON:-}" ]; then
  module=ON
  PYTHON=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")  # CMake runs it from elsewhere
fi
cmake -S "$native" -B "$build" -DCMAKE_BUILD_TYPE=None -DBIHRNET_SANITIZE=ON -DBIHRNET_TESTS=ON \
  -DBIHRNET_PYTHON=$module ${PYTHON:+-DPython_EXECUTABLE="$PYTHON"} >/dev/null
cmake --build "$build" --parallel 2
"$build/kernel_test" "${2:-60}"
if [ -n "${PYTHON:-}" ]; then
  # The interpreter is not instrumented, so the sanitizer's library is loaded before it, with the C++
  # library, whose exceptions it watches. What the interpreter leaves allocated at its end is not ours;
  # and freed memory is kept aside here, so "memory stays where it was" cannot hold.
  BIHRNET_NATIVE_MODULE=$(echo "$build"/_native.*.so) PYTHONPATH="$native/tests" \
    ASAN_OPTIONS=detect_leaks=0 \
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" \
    "$PYTHON" -m pytest -p preload_native -p no:cacheprovider -q \
    "$native/../tests/engine/test_native_kernels.py" \
    "$native/../tests/engine/test_engine_model.py" -k "not memory_stays"
fi
