#include "training/passes.h"

namespace bihrnet::training {

extern const Passes kPortable;
#if defined(BIHRNET_PASSES_X86)
extern const Passes kAvx2;
extern const Passes kAvx512;
#endif

const Passes& passes() {
#if defined(BIHRNET_PASSES_X86)
  // These builtins also ask whether the operating system saves the registers.
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  static const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                             __builtin_cpu_supports("avx512dq") &&
                             __builtin_cpu_supports("avx512vl");
  if (avx512) return kAvx512;
  if (avx2) return kAvx2;
#endif
  return kPortable;
}

}  // namespace bihrnet::training
