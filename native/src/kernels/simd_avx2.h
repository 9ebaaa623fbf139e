// 16 floats or 16 32-bit integers as two AVX2 registers (AVX2, FMA).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "types.h"

// Internal linkage throughout: this file is compiled with flags that the rest of the program must
// not inherit through a shared inline function.
namespace bihrnet {
namespace {

struct Floats {
  __m256 low, high;
};

inline Floats broadcast(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
inline Floats zeros() { return broadcast(0); }
inline Floats load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store(float* p, Floats v) {
  _mm256_storeu_ps(p, v.low);
  _mm256_storeu_ps(p + 8, v.high);
}
inline void store_lanes(float* p, Floats v, int lanes) {
  const __m256i count = _mm256_set1_epi32(lanes);
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(count, index), v.low);
  if (lanes > 8) {
    const __m256i above = _mm256_add_epi32(index, _mm256_set1_epi32(8));
    _mm256_maskstore_ps(p + 8, _mm256_cmpgt_epi32(count, above), v.high);
  }
}
inline Floats add(Floats a, Floats b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Floats subtract(Floats a, Floats b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline Floats multiply(Floats a, Floats b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Floats multiply_add(Floats a, Floats b, Floats c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Floats maximum(Floats a, Floats b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Floats minimum(Floats a, Floats b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline __m256 prelu(__m256 v, __m256 slope) {
  return _mm256_blendv_ps(v, _mm256_mul_ps(v, slope), v);  // chosen by the sign bit
}
inline Floats prelu(Floats v, Floats slope) {
  return {prelu(v.low, slope.low), prelu(v.high, slope.high)};
}
inline std::uint32_t less(Floats v, Floats threshold) {
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(v.low, threshold.low, _CMP_LT_OQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(v.high, threshold.high, _CMP_LT_OQ));
  return std::uint32_t(low | high << 8);
}
// Packing works within 128-bit halves: of quarters a, b, c, d of two vectors it makes the order
// a0 b0 c0 d0 a1 b1 c1 d1, in groups of four bytes. This puts a0 a1 b0 b1 ... right.
inline __m256i unscramble(__m256i packed) {
  return _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
// The signs of 16 values each, v < limit: 32 comparisons become 32 bytes, and these one mask.
inline void store_less(std::uint8_t* p, Floats a, Floats limit_a, std::uint8_t* q, Floats b,
                       Floats limit_b) {
  const auto below = [](__m256 v, __m256 limit) {
    return _mm256_castps_si256(_mm256_cmp_ps(v, limit, _CMP_LT_OQ));
  };
  const __m256i first = _mm256_packs_epi32(below(a.low, limit_a.low), below(a.high, limit_a.high));
  const __m256i second = _mm256_packs_epi32(below(b.low, limit_b.low), below(b.high, limit_b.high));
  const int bits = _mm256_movemask_epi8(unscramble(_mm256_packs_epi16(first, second)));
  std::memcpy(p, &bits, 2);
  const auto upper = std::uint16_t(std::uint32_t(bits) >> 16);
  std::memcpy(q, &upper, 2);
}
// Sixteen values rounded to the nearest integer, halves to even, in 16 bits and scrambled. What is
// too small for 32 bits becomes their smallest, and saturates.
inline __m256i round_to_shorts(Floats v, int addend) {
  const __m256i rounded = _mm256_packs_epi32(_mm256_cvtps_epi32(v.low), _mm256_cvtps_epi32(v.high));
  return _mm256_add_epi16(rounded, _mm256_set1_epi16(std::int16_t(addend)));
}
// Rounded; the sum is at most 255, and what is below 0 saturates, so `low` is not needed.
inline void store_rounded(std::uint8_t* p, Floats a, std::uint8_t* q, Floats b, Floats,
                          int addend) {
  const __m256i bytes =
      unscramble(_mm256_packus_epi16(round_to_shorts(a, addend), round_to_shorts(b, addend)));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(bytes));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm256_extracti128_si256(bytes, 1));
}
inline void store_rounded(std::uint8_t* p, Floats v, Floats, int addend, int lanes) {
  const __m256i shorts = round_to_shorts(v, addend);
  const __m128i bytes = _mm256_castsi256_si128(unscramble(_mm256_packus_epi16(shorts, shorts)));
  if (lanes == kLanes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
  } else {
    alignas(16) std::uint8_t all[kLanes];
    _mm_store_si128(reinterpret_cast<__m128i*>(all), bytes);
    std::memcpy(p, all, std::size_t(lanes));
  }
}

// Sixteen bytes as floats.
inline Floats load_bytes(const std::uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)))};
}

// Rows become columns, of 8 x 8 floats.
inline void transpose(__m256 (&v)[8]) {
  __m256 halves[8];
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    const __m256d low01 = _mm256_castps_pd(_mm256_unpacklo_ps(v[i], v[i + 1]));
    const __m256d high01 = _mm256_castps_pd(_mm256_unpackhi_ps(v[i], v[i + 1]));
    const __m256d low23 = _mm256_castps_pd(_mm256_unpacklo_ps(v[i + 2], v[i + 3]));
    const __m256d high23 = _mm256_castps_pd(_mm256_unpackhi_ps(v[i + 2], v[i + 3]));
    halves[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(low01, low23));
    halves[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low01, low23));
    halves[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high01, high23));
    halves[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high01, high23));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_permute2f128_ps(halves[i], halves[i + 4], 0x20);
    v[i + 4] = _mm256_permute2f128_ps(halves[i], halves[i + 4], 0x31);
  }
}

// Rows become columns: each quarter by itself, and two of them change places.
inline void transpose(Floats (&v)[kLanes]) {
  __m256 quarters[4][8];
  for (int i = 0; i < 8; ++i) {
    quarters[0][i] = v[i].low;
    quarters[1][i] = v[i + 8].low;
    quarters[2][i] = v[i].high;
    quarters[3][i] = v[i + 8].high;
  }
  for (__m256(&quarter)[8] : quarters) transpose(quarter);
  for (int i = 0; i < 8; ++i) {
    v[i] = {quarters[0][i], quarters[1][i]};
    v[i + 8] = {quarters[2][i], quarters[3][i]};
  }
}

struct Integers {
  __m256i low, high;
};

inline Integers load_integers(const std::uint8_t* p) {
  const auto* vectors = reinterpret_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(vectors), _mm256_loadu_si256(vectors + 1)};
}
inline Floats to_floats(Integers v) {
  return {_mm256_cvtepi32_ps(v.low), _mm256_cvtepi32_ps(v.high)};
}

// 32 16-bit integers.
struct Shorts {
  __m256i low, high;
};

inline Shorts zero_shorts() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline Shorts load_shorts(const std::int16_t* p) {
  const auto* vectors = reinterpret_cast<const __m256i*>(p);
  return {_mm256_loadu_si256(vectors), _mm256_loadu_si256(vectors + 1)};
}
inline void store(std::int16_t* p, Shorts v) {
  auto* vectors = reinterpret_cast<__m256i*>(p);
  _mm256_storeu_si256(vectors, v.low);
  _mm256_storeu_si256(vectors + 1, v.high);
}
inline Shorts add(Shorts a, Shorts b) {
  return {_mm256_add_epi16(a.low, b.low), _mm256_add_epi16(a.high, b.high)};
}
inline Shorts subtract(Shorts a, Shorts b) {
  return {_mm256_sub_epi16(a.low, b.low), _mm256_sub_epi16(a.high, b.high)};
}
inline Floats shorts_to_floats(__m256i v) {
  return to_floats({_mm256_cvtepi16_epi32(_mm256_castsi256_si128(v)),
                    _mm256_cvtepi16_epi32(_mm256_extracti128_si256(v, 1))});
}
inline Floats low_floats(Shorts v) { return shorts_to_floats(v.low); }
inline Floats high_floats(Shorts v) { return shorts_to_floats(v.high); }
// The first of sixteen integers.
inline void store_shorts(std::int16_t* p, Floats v, int lanes) {
  const __m256i packed = _mm256_packs_epi32(_mm256_cvtps_epi32(v.low), _mm256_cvtps_epi32(v.high));
  alignas(32) std::int16_t all[kLanes];
  _mm256_store_si256(reinterpret_cast<__m256i*>(all), _mm256_permute4x64_epi64(packed, 0xd8));
  std::memcpy(p, all, std::size_t(lanes) * sizeof(std::int16_t));
}

inline __m256i broadcast_word(const std::uint8_t* p) {
  std::int32_t word;
  std::memcpy(&word, p, 4);
  return _mm256_set1_epi32(word);
}

struct F32Dot {
  using Sum = Floats;
  using Weights = Floats;
  using Word = __m256;
  static constexpr int kWeightVectors = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return zeros(); }
  static Weights weights(const std::uint8_t* p) { return load(reinterpret_cast<const float*>(p)); }
  static Word word(const std::uint8_t* p) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(p));
  }
  static void accumulate(Sum& sum, Weights w, Word x) {
    sum.low = _mm256_fmadd_ps(w.low, x, sum.low);
    sum.high = _mm256_fmadd_ps(w.high, x, sum.high);
  }
  static Floats value(Sum sum) { return sum; }
};

// What AVX2 has for bytes (PMADDUBSW) saturates at 16 bits. So even and odd bytes are widened to 16
// bits, weights when a model is loaded, activations once per word and tile, and PMADDWD is exact.
struct Int8Dot {
  using Sum = Integers;
  struct Weights {
    Integers even, odd;
  };
  struct Word {
    __m256i even, odd;
  };
  static constexpr int kWeightVectors = 2;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
  static Weights weights(const std::uint8_t* p) {
    return {load_integers(p), load_integers(p + kLanes * 4)};
  }
  static Word word(const std::uint8_t* p) {
    const __m256i x = broadcast_word(p);
    return {_mm256_and_si256(x, _mm256_set1_epi16(0xff)), _mm256_srli_epi16(x, 8)};
  }
  static void accumulate(__m256i& sum, __m256i even, __m256i odd, const Word& x) {
    sum = _mm256_add_epi32(
        sum, _mm256_add_epi32(_mm256_madd_epi16(even, x.even), _mm256_madd_epi16(odd, x.odd)));
  }
  static void accumulate(Sum& sum, const Weights& w, const Word& x) {
    accumulate(sum.low, w.even.low, w.odd.low, x);
    accumulate(sum.high, w.even.high, w.odd.high, x);
  }
  static Floats value(Sum sum) { return to_floats(sum); }
  static void expand(const std::uint32_t* words, int blocks, std::uint32_t* vectors) {
    for (int i = 0; i < blocks * kLanes; ++i) {
      const auto wide = [&](int byte) {
        return std::uint32_t(std::uint16_t(std::int8_t(words[i] >> (8 * byte))));
      };
      std::uint32_t* even = vectors + i / kLanes * 2 * kLanes + i % kLanes;
      even[0] = wide(0) | wide(2) << 16;
      even[kLanes] = wide(1) | wide(3) << 16;
    }
  }
};

// Ones are counted by table look-up, four bits at a time: popcount(w ^ x) of a byte is
// table[low nibble of w ^ x] + table[high nibble]. Low and high nibbles are separated beforehand,
// of weights when a model is loaded, and counts gather in bytes until these are full.
struct BinaryDot {
  struct Sum {
    Integers bytes, total;
  };
  struct Weights {
    Integers low, high;
  };
  struct Word {
    __m256i low, high;
  };
  static constexpr int kWeightVectors = 2;
  static constexpr int kFlushWords = 31;  // 31 * 8 < 256
  static Sum zero() {
    const __m256i zero = _mm256_setzero_si256();
    return {{zero, zero}, {zero, zero}};
  }
  static Weights weights(const std::uint8_t* p) {
    return {load_integers(p), load_integers(p + kLanes * 4)};
  }
  static Word split(__m256i x) {
    const __m256i mask = _mm256_set1_epi8(15);
    return {_mm256_and_si256(x, mask), _mm256_and_si256(_mm256_srli_epi16(x, 4), mask)};
  }
  static Word word(const std::uint8_t* p) { return split(broadcast_word(p)); }
  static Word masked(Word x, std::uint32_t mask) {
    const Word used = split(_mm256_set1_epi32(std::int32_t(mask)));
    return {_mm256_and_si256(x.low, used.low), _mm256_and_si256(x.high, used.high)};
  }
  static __m256i ones(__m256i w, __m256i x) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    return _mm256_shuffle_epi8(table, _mm256_xor_si256(w, x));
  }
  static void accumulate(__m256i& bytes, __m256i low, __m256i high, const Word& x) {
    bytes = _mm256_add_epi8(bytes, _mm256_add_epi8(ones(low, x.low), ones(high, x.high)));
  }
  static void accumulate(Sum& sum, const Weights& w, const Word& x) {
    accumulate(sum.bytes.low, w.low.low, w.high.low, x);
    accumulate(sum.bytes.high, w.low.high, w.high.high, x);
  }
  static void flush(__m256i& total, __m256i& bytes) {
    const __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
    total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    bytes = _mm256_setzero_si256();
  }
  static void flush(Sum& sum) {
    flush(sum.total.low, sum.bytes.low);
    flush(sum.total.high, sum.bytes.high);
  }
  static Floats value(Sum sum) {
    flush(sum);
    return to_floats(sum.total);
  }
  static void expand(const std::uint32_t* words, int blocks, std::uint32_t* vectors) {
    for (int i = 0; i < blocks * kLanes; ++i) {
      std::uint32_t* low = vectors + i / kLanes * 2 * kLanes + i % kLanes;
      low[0] = words[i] & 0x0f0f0f0f;
      low[kLanes] = words[i] >> 4 & 0x0f0f0f0f;
    }
  }
};

}  // namespace
}  // namespace bihrnet
