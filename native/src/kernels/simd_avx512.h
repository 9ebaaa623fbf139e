// 16 floats or 16 32-bit integers as one AVX-512 register (F, BW, DQ, VL, VNNI, VPOPCNTDQ).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "types.h"

// Internal linkage throughout: this file is compiled with flags that the rest of the program must
// not inherit through a shared inline function.
namespace bihrnet {
namespace {

using Floats = __m512;

inline Floats zeros() { return _mm512_setzero_ps(); }
inline Floats load(const float* p) { return _mm512_loadu_ps(p); }
inline Floats broadcast(float value) { return _mm512_set1_ps(value); }
inline void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
inline void store_lanes(float* p, Floats v, int lanes) {
  _mm512_mask_storeu_ps(p, __mmask16((1u << lanes) - 1), v);
}
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats maximum(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats prelu(Floats v, Floats slope) {
  return _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, zeros(), _CMP_LT_OQ), v, slope);
}
inline std::uint32_t less(Floats v, Floats threshold) {
  return _mm512_cmp_ps_mask(v, threshold, _CMP_LT_OQ);
}
inline Floats minimum(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline void store_rounded(std::uint8_t* p, Floats v, int addend, int lanes) {
  const __m512i q = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(addend));
  if (lanes == kLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(q));
  } else {
    _mm512_mask_cvtepi32_storeu_epi8(p, __mmask16((1u << lanes) - 1), q);
  }
}

inline std::int32_t word_at(const std::uint8_t* p) {
  std::int32_t word;
  std::memcpy(&word, p, 4);
  return word;
}

struct RealDot {
  using Sum = __m512;
  using Weights = __m512;
  using Word = __m512;
  static constexpr int kPlanes = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Weights weights(const std::uint8_t* p) {
    return _mm512_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static Word word(const std::uint8_t* p) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(word_at(p)));
  }
  static Word masked(Word w, std::uint32_t) { return w; }
  static void accumulate(Sum& sum, Weights w, Word x) { sum = _mm512_fmadd_ps(w, x, sum); }
  static Floats value(Sum sum) { return sum; }
};

struct BytesDot {
  using Sum = __m512i;
  using Weights = __m512i;
  using Word = __m512i;
  static constexpr int kPlanes = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return _mm512_setzero_si512(); }
  static Weights weights(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static Word word(const std::uint8_t* p) { return _mm512_set1_epi32(word_at(p)); }
  static Word masked(Word w, std::uint32_t) { return w; }
  static void accumulate(Sum& sum, Weights w, Word x) {
#if defined(__GNUC__)
    // As an intrinsic, gcc 12 copies the sums around and spills them: half the speed.
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
#else
    sum = _mm512_dpbusd_epi32(sum, x, w);
#endif
  }
  static Floats value(Sum sum) { return _mm512_cvtepi32_ps(sum); }
};

struct BinaryDot {
  using Sum = __m512i;
  using Weights = __m512i;
  using Word = __m512i;
  static constexpr int kPlanes = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return _mm512_setzero_si512(); }
  static Weights weights(const std::uint8_t* p) {
    __m512i w = _mm512_loadu_si512(p);
#if defined(__GNUC__)
    // Kept in a register: gcc would fold the load into every XOR, and loads would be the limit.
    asm("" : "+v"(w));
#endif
    return w;
  }
  static Word word(const std::uint8_t* p) { return _mm512_set1_epi32(word_at(p)); }
  static Word masked(Word w, std::uint32_t mask) {
    return _mm512_and_si512(w, _mm512_set1_epi32(std::int32_t(mask)));
  }
  static void accumulate(Sum& sum, Weights w, Word x) {
    sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_xor_si512(w, x)));
  }
  static Floats value(Sum sum) { return _mm512_cvtepi32_ps(sum); }
};

}  // namespace
}  // namespace bihrnet
