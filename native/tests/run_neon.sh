#!/bin/sh
# Builds the engine for 64-bit ARM with Debian's cross compiler and tests its kernels under qemu.
# Needs: apt-get install g++-aarch64-linux-gnu qemu-user
# usage: run_neon.sh BUILD_FOLDER [CASES]
set -eu
native=$(cd "$(dirname "$0")/.." && pwd)
cmake -S "$native" -B "$1" -DBIHRNET_PYTHON=OFF -DBIHRNET_TESTS=ON \
  -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
  -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_EXE_LINKER_FLAGS=-static >/dev/null
cmake --build "$1" --parallel 2
qemu-aarch64 "$1/kernel_test" "${2:-40}"
