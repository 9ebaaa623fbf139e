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
inline Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
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
// The signs of 16 values each, v < limit.
inline void store_less(std::uint8_t* p, Floats a, Floats limit_a, std::uint8_t* q, Floats b,
                       Floats limit_b) {
  const auto first = std::uint16_t(less(a, limit_a));
  const auto second = std::uint16_t(less(b, limit_b));
  std::memcpy(p, &first, 2);
  std::memcpy(q, &second, 2);
}
// Rounded to the nearest integer, halves to even, not below `low`; the sum is within 0..255.
inline void store_rounded(std::uint8_t* p, Floats v, Floats low, int addend, int lanes) {
  const __m512i q =
      _mm512_add_epi32(_mm512_cvtps_epi32(maximum(v, low)), _mm512_set1_epi32(addend));
  if (lanes == kLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(q));
  } else {
    _mm512_mask_cvtepi32_storeu_epi8(p, __mmask16((1u << lanes) - 1), q);
  }
}
inline void store_rounded(std::uint8_t* p, Floats a, std::uint8_t* q, Floats b, Floats low,
                          int addend) {
  store_rounded(p, a, low, addend, kLanes);
  store_rounded(q, b, low, addend, kLanes);
}

// Sixteen bytes as floats.
inline Floats load_bytes(const std::uint8_t* p) {
  return _mm512_cvtepi32_ps(
      _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}

// Rows become columns: first within 4 x 4 blocks, then of blocks.
inline void transpose(Floats (&v)[kLanes]) {
  __m512 blocks[kLanes];
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; i += 4) {
    const __m512d low01 = _mm512_castps_pd(_mm512_unpacklo_ps(v[i], v[i + 1]));
    const __m512d high01 = _mm512_castps_pd(_mm512_unpackhi_ps(v[i], v[i + 1]));
    const __m512d low23 = _mm512_castps_pd(_mm512_unpacklo_ps(v[i + 2], v[i + 3]));
    const __m512d high23 = _mm512_castps_pd(_mm512_unpackhi_ps(v[i + 2], v[i + 3]));
    blocks[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low01, low23));
    blocks[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low01, low23));
    blocks[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high01, high23));
    blocks[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high01, high23));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512 even0 = _mm512_shuffle_f32x4(blocks[i], blocks[i + 4], 0x88);
    const __m512 odd0 = _mm512_shuffle_f32x4(blocks[i], blocks[i + 4], 0xdd);
    const __m512 even1 = _mm512_shuffle_f32x4(blocks[i + 8], blocks[i + 12], 0x88);
    const __m512 odd1 = _mm512_shuffle_f32x4(blocks[i + 8], blocks[i + 12], 0xdd);
    v[i] = _mm512_shuffle_f32x4(even0, even1, 0x88);
    v[i + 4] = _mm512_shuffle_f32x4(odd0, odd1, 0x88);
    v[i + 8] = _mm512_shuffle_f32x4(even0, even1, 0xdd);
    v[i + 12] = _mm512_shuffle_f32x4(odd0, odd1, 0xdd);
  }
}

// 32 16-bit integers.
using Shorts = __m512i;

inline Shorts zero_shorts() { return _mm512_setzero_si512(); }
inline Shorts load_shorts(const std::int16_t* p) { return _mm512_loadu_si512(p); }
inline void store(std::int16_t* p, Shorts v) { _mm512_storeu_si512(p, v); }
inline Shorts add(Shorts a, Shorts b) { return _mm512_add_epi16(a, b); }
inline Shorts subtract(Shorts a, Shorts b) { return _mm512_sub_epi16(a, b); }
inline Floats low_floats(Shorts v) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_castsi512_si256(v)));
}
inline Floats high_floats(Shorts v) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(v, 1)));
}
// The first of sixteen integers.
inline void store_shorts(std::int16_t* p, Floats v, int lanes) {
  _mm512_mask_cvtepi32_storeu_epi16(p, __mmask16((1u << lanes) - 1), _mm512_cvtps_epi32(v));
}

inline std::int32_t word_at(const std::uint8_t* p) {
  std::int32_t word;
  std::memcpy(&word, p, 4);
  return word;
}

struct F32Dot {
  using Sum = __m512;
  using Weights = __m512;
  using Word = __m512;
  static constexpr int kWeightVectors = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return _mm512_setzero_ps(); }
  static Weights weights(const std::uint8_t* p) {
    return _mm512_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static Word word(const std::uint8_t* p) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(word_at(p)));
  }
  static void accumulate(Sum& sum, Weights w, Word x) { sum = _mm512_fmadd_ps(w, x, sum); }
  static Floats value(Sum sum) { return sum; }
};

struct Int8Dot {
  using Sum = __m512i;
  using Weights = __m512i;
  using Word = __m512i;
  static constexpr int kWeightVectors = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return _mm512_setzero_si512(); }
  static Weights weights(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static Word word(const std::uint8_t* p) { return _mm512_set1_epi32(word_at(p)); }
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
  static constexpr int kWeightVectors = 1;
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
