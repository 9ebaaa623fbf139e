// The kernel tables of the instruction sets that this build holds.
#pragma once

#include "types.h"

namespace bihrnet {

#if defined(__x86_64__) || defined(_M_X64)
extern const KernelTable kAvx512;
extern const KernelTable kAvx2;
#if defined(BIHRNET_AVX_VNNI)
extern const ConvKernel kAvxVnniInt8;  // all its other kernels are those of AVX2
#endif
#endif
#if defined(__aarch64__)
extern const KernelTable kNeon;
#endif
extern const KernelTable kPortable;

}  // namespace bihrnet
