// 16 floats or 16 32-bit integers as plain arrays: correct everywhere, and what the compiler makes
// of it. The readable statement of what the other simd_*.h compute.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include "types.h"

namespace bihrnet {
namespace {

struct Floats {
  float lane[kLanes];
};

template <class Function>
inline Floats each(Function function) {
  Floats result;
  for (int i = 0; i < kLanes; ++i) result.lane[i] = function(i);
  return result;
}

inline Floats zeros() { return Floats{}; }
inline Floats broadcast(float value) {
  return each([=](int) { return value; });
}
inline Floats load(const float* p) {
  Floats result;
  std::memcpy(result.lane, p, sizeof(result.lane));
  return result;
}
inline void store_lanes(float* p, const Floats& v, int lanes) {
  std::memcpy(p, v.lane, std::size_t(lanes) * sizeof(float));
}
inline void store(float* p, const Floats& v) { store_lanes(p, v, kLanes); }
inline Floats add(const Floats& a, const Floats& b) {
  return each([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline Floats subtract(const Floats& a, const Floats& b) {
  return each([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline Floats multiply(const Floats& a, const Floats& b) {
  return each([&](int i) { return a.lane[i] * b.lane[i]; });
}
inline Floats multiply_add(const Floats& a, const Floats& b, const Floats& c) {
  return each([&](int i) { return a.lane[i] * b.lane[i] + c.lane[i]; });
}
inline Floats maximum(const Floats& a, const Floats& b) {
  return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Floats minimum(const Floats& a, const Floats& b) {
  return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Floats prelu(const Floats& v, const Floats& slope) {
  return each([&](int i) { return v.lane[i] < 0 ? v.lane[i] * slope.lane[i] : v.lane[i]; });
}
inline std::uint32_t less(const Floats& v, const Floats& threshold) {
  std::uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= std::uint32_t(v.lane[i] < threshold.lane[i]) << i;
  return bits;
}
// The signs of 16 values each, v < limit.
inline void store_less(std::uint8_t* p, const Floats& a, const Floats& limit_a, std::uint8_t* q,
                       const Floats& b, const Floats& limit_b) {
  const auto first = std::uint16_t(less(a, limit_a));
  const auto second = std::uint16_t(less(b, limit_b));
  std::memcpy(p, &first, 2);
  std::memcpy(q, &second, 2);
}
// Rounded to the nearest integer, halves to even, not below `low`; the sum is within 0..255.
inline void store_rounded(std::uint8_t* p, const Floats& v, const Floats& low, int addend,
                          int lanes) {
  const Floats clamped = maximum(v, low);
  for (int i = 0; i < lanes; ++i)
    p[i] = std::uint8_t(int(std::nearbyint(clamped.lane[i])) + addend);
}
inline void store_rounded(std::uint8_t* p, const Floats& a, std::uint8_t* q, const Floats& b,
                          const Floats& low, int addend) {
  store_rounded(p, a, low, addend, kLanes);
  store_rounded(q, b, low, addend, kLanes);
}

// Sixteen bytes as floats.
inline Floats load_bytes(const std::uint8_t* p) {
  return each([=](int i) { return float(p[i]); });
}

// Rows become columns.
inline void transpose(Floats (&v)[kLanes]) {
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < i; ++j) std::swap(v[i].lane[j], v[j].lane[i]);
  }
}

// 32 16-bit integers.
struct Shorts {
  std::int16_t lane[2 * kLanes];
};

inline Shorts zero_shorts() { return Shorts{}; }
inline Shorts load_shorts(const std::int16_t* p) {
  Shorts result;
  std::memcpy(result.lane, p, sizeof(result.lane));
  return result;
}
inline void store(std::int16_t* p, const Shorts& v) { std::memcpy(p, v.lane, sizeof(v.lane)); }
inline Shorts add(const Shorts& a, const Shorts& b) {
  Shorts result;
  for (int i = 0; i < 2 * kLanes; ++i) result.lane[i] = std::int16_t(a.lane[i] + b.lane[i]);
  return result;
}
inline Shorts subtract(const Shorts& a, const Shorts& b) {
  Shorts result;
  for (int i = 0; i < 2 * kLanes; ++i) result.lane[i] = std::int16_t(a.lane[i] - b.lane[i]);
  return result;
}
inline Floats low_floats(const Shorts& v) {
  return each([&](int i) { return float(v.lane[i]); });
}
inline Floats high_floats(const Shorts& v) {
  return each([&](int i) { return float(v.lane[kLanes + i]); });
}
// The first of sixteen integers.
inline void store_shorts(std::int16_t* p, const Floats& v, int lanes) {
  for (int i = 0; i < lanes; ++i) p[i] = std::int16_t(v.lane[i]);
}

template <class Word>
inline Word word_at(const std::uint8_t* p) {
  Word word;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

struct Integers {
  std::int32_t lane[kLanes];
};

struct IntegerDot {
  using Sum = Integers;
  static constexpr int kWeightVectors = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return Sum{}; }
  static Floats value(const Sum& sum) {
    return each([&](int i) { return float(sum.lane[i]); });
  }
};

struct F32Dot {
  using Sum = Floats;
  using Weights = Floats;
  using Word = float;
  static constexpr int kWeightVectors = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return zeros(); }
  static Weights weights(const std::uint8_t* p) { return load(reinterpret_cast<const float*>(p)); }
  static Word word(const std::uint8_t* p) { return word_at<float>(p); }
  static void accumulate(Sum& sum, const Weights& w, Word x) {
    for (int i = 0; i < kLanes; ++i) sum.lane[i] += w.lane[i] * x;
  }
  static Floats value(const Sum& sum) { return sum; }
};

struct Int8Dot : IntegerDot {
  using Weights = const std::uint8_t*;
  using Word = std::uint32_t;
  static Weights weights(const std::uint8_t* p) { return p; }
  static Word word(const std::uint8_t* p) { return word_at<std::uint32_t>(p); }
  static void accumulate(Sum& sum, Weights w, Word x) {
    for (int i = 0; i < kLanes; ++i) {
      for (int byte = 0; byte < 4; ++byte) {
        sum.lane[i] += std::int8_t(w[4 * i + byte]) * int(x >> (8 * byte) & 255);
      }
    }
  }
};

struct BinaryDot : IntegerDot {
  using Weights = const std::uint8_t*;
  using Word = std::uint32_t;
  static Weights weights(const std::uint8_t* p) { return p; }
  static Word word(const std::uint8_t* p) { return word_at<std::uint32_t>(p); }
  static Word masked(Word x, std::uint32_t mask) { return x & mask; }
  static void accumulate(Sum& sum, Weights w, Word x) {
    for (int i = 0; i < kLanes; ++i) {
      sum.lane[i] += std::popcount(word_at<std::uint32_t>(w + 4 * i) ^ x);
    }
  }
};

}  // namespace
}  // namespace bihrnet
