// AVX-VNNI: AVX2 with VPDPBUSD, the dot product of four u8 and four int8 in every 32-bit lane. All
// other kernels are those of AVX2.
#include "simd_avx2.h"
// The kernels are templates over what the line above defines.
#include "conv.h"
#include "tables.h"

namespace bihrnet {
namespace {

// Exact in 32 bits, and weights need no other layout.
struct VnniDot {
  using Sum = Integers;
  using Weights = Integers;
  using Word = __m256i;
  static constexpr int kWeightVectors = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Weights weights(const std::uint8_t* p) { return load_integers(p); }
  static Word word(const std::uint8_t* p) { return broadcast_word(p); }
  static void accumulate(__m256i& sum, __m256i w, __m256i x) {
#if defined(__GNUC__)
    // As an intrinsic, gcc 12 copies the sums around and spills them, as in simd_avx512.h.
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
#else
    sum = _mm256_dpbusd_avx_epi32(sum, x, w);
#endif
  }
  static void accumulate(Sum& sum, const Weights& w, Word x) {
    accumulate(sum.low, w.low, x);
    accumulate(sum.high, w.high, x);
  }
  static Floats value(const Sum& sum) { return to_floats(sum); }
};

}  // namespace

extern constinit const ConvKernel kAvxVnniInt8 = conv_kernel<VnniDot, 6, 4, 1>();

}  // namespace bihrnet
