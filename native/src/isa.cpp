#include "isa.h"

#include <stdexcept>

#include "kernels/tables.h"

#if defined(_MSC_VER) && defined(_M_X64)
#include <intrin.h>
#elif defined(__x86_64__)
#include <cpuid.h>
#endif

namespace bihrnet {
namespace {

struct Candidate {
  const KernelTable* table;
  bool usable;
};

#if defined(__x86_64__) && defined(__GNUC__)
// These builtins also ask whether the operating system saves the registers.
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vpopcntdq");
}
// The builtin does not know the name in every compiler: bit 4 of EAX, leaf 7, subleaf 1.
[[maybe_unused]] bool has_avx_vnni() {
  unsigned eax = 0;
  unsigned ebx, ecx, edx;
  return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}
#elif defined(_MSC_VER) && defined(_M_X64)
bool bit(int value, int number) { return (value >> number & 1) != 0; }
// What the operating system saves, XCR0: 6 = AVX registers, e0 = AVX-512 registers.
bool saved(unsigned long long mask) {
  int info[4];
  __cpuid(info, 1);
  return bit(info[2], 27) && (_xgetbv(0) & mask) == mask;
}
bool has_avx2() {
  int basic[4];
  int extended[4];
  __cpuid(basic, 1);
  __cpuidex(extended, 7, 0);
  return saved(0x06) && bit(basic[2], 12) && bit(extended[1], 5);
}
bool has_avx512() {
  int extended[4];
  __cpuidex(extended, 7, 0);
  const bool foundation =
      bit(extended[1], 16) && bit(extended[1], 17) && bit(extended[1], 30) && bit(extended[1], 31);
  return has_avx2() && saved(0xe6) && foundation && bit(extended[2], 11) && bit(extended[2], 14);
}
[[maybe_unused]] bool has_avx_vnni() {
  int extended[4];
  __cpuidex(extended, 7, 1);
  return has_avx2() && bit(extended[0], 4);
}
#endif

#if defined(BIHRNET_AVX_VNNI)
const KernelTable& avx_vnni() {
  static const KernelTable table = [] {
    KernelTable result = kAvx2;
    result.name = "avx_vnni";
    result.conv[std::size_t(Dot::int8)][0] = kAvxVnniInt8;
    return result;
  }();
  return table;
}
#endif

// Every instruction set of this build, the best first.
std::vector<Candidate> candidates() {
  return {
#if defined(__x86_64__) || defined(_M_X64)
      {&kAvx512, has_avx512()},
#if defined(BIHRNET_AVX_VNNI)
      {&avx_vnni(), has_avx_vnni()},
#endif
      {&kAvx2, has_avx2()},
#endif
#if defined(__aarch64__)
      {&kNeon, true},  // part of every 64-bit ARM processor
#endif
      {&kPortable, true},
  };
}

}  // namespace

std::vector<std::string> usable_isas() {
  std::vector<std::string> names;
  for (const Candidate& candidate : candidates()) {
    if (candidate.usable) names.emplace_back(candidate.table->name);
  }
  return names;
}

const KernelTable& kernels(const std::string& name) {
  std::string known;
  for (const Candidate& candidate : candidates()) {
    if (name == candidate.table->name) {
      if (candidate.usable) return *candidate.table;
      throw std::invalid_argument("this processor lacks the instruction set " + name);
    }
    known += (known.empty() ? "" : ", ") + std::string(candidate.table->name);
  }
  throw std::invalid_argument("this build has no instruction set '" + name + "', but " + known);
}

}  // namespace bihrnet
