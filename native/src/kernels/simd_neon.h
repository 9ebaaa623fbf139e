// 16 floats or 16 32-bit integers as four NEON registers (AArch64, no optional extension).
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "types.h"

namespace bihrnet {
namespace {

inline constexpr int kQuads = 4;

struct Floats {
  float32x4_t quad[kQuads];
};

template <class Function>
[[gnu::always_inline]] inline Floats each(Function function) {
  return {{function(0), function(1), function(2), function(3)}};
}

inline Floats broadcast(float value) {
  return each([=](int) { return vdupq_n_f32(value); });
}
inline Floats zeros() { return broadcast(0); }
inline Floats load(const float* p) {
  return each([=](int i) { return vld1q_f32(p + 4 * i); });
}
inline void store(float* p, Floats v) {
  for (int i = 0; i < kQuads; ++i) vst1q_f32(p + 4 * i, v.quad[i]);
}
inline void store_lanes(float* p, Floats v, int lanes) {
  float all[kLanes];
  store(all, v);
  std::memcpy(p, all, std::size_t(lanes) * sizeof(float));
}
inline Floats add(Floats a, Floats b) {
  return each([&](int i) { return vaddq_f32(a.quad[i], b.quad[i]); });
}
inline Floats subtract(Floats a, Floats b) {
  return each([&](int i) { return vsubq_f32(a.quad[i], b.quad[i]); });
}
inline Floats multiply(Floats a, Floats b) {
  return each([&](int i) { return vmulq_f32(a.quad[i], b.quad[i]); });
}
inline Floats multiply_add(Floats a, Floats b, Floats c) {
  return each([&](int i) { return vfmaq_f32(c.quad[i], a.quad[i], b.quad[i]); });
}
inline Floats maximum(Floats a, Floats b) {
  return each([&](int i) { return vmaxnmq_f32(a.quad[i], b.quad[i]); });
}
inline Floats minimum(Floats a, Floats b) {
  return each([&](int i) { return vminnmq_f32(a.quad[i], b.quad[i]); });
}
inline Floats prelu(Floats v, Floats slope) {
  return each([&](int i) {
    return vbslq_f32(vcltzq_f32(v.quad[i]), vmulq_f32(v.quad[i], slope.quad[i]), v.quad[i]);
  });
}
inline std::uint32_t less(Floats v, Floats threshold) {
  const uint32x4_t weights = {1, 2, 4, 8};
  std::uint32_t bits = 0;
  for (int i = 0; i < kQuads; ++i) {
    const uint32x4_t below = vcltq_f32(v.quad[i], threshold.quad[i]);
    bits |= vaddvq_u32(vandq_u32(below, weights)) << (4 * i);
  }
  return bits;
}
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
  const Floats clamped = maximum(v, low);
  int16x4_t words[kQuads];
  for (int i = 0; i < kQuads; ++i) {
    words[i] = vmovn_s32(vaddq_s32(vcvtnq_s32_f32(clamped.quad[i]), vdupq_n_s32(addend)));
  }
  std::uint8_t all[kLanes];
  vst1_u8(all, vqmovun_s16(vcombine_s16(words[0], words[1])));
  vst1_u8(all + 8, vqmovun_s16(vcombine_s16(words[2], words[3])));
  std::memcpy(p, all, std::size_t(lanes));
}
inline void store_rounded(std::uint8_t* p, Floats a, std::uint8_t* q, Floats b, Floats low,
                          int addend) {
  store_rounded(p, a, low, addend, kLanes);
  store_rounded(q, b, low, addend, kLanes);
}

// Sixteen bytes as floats.
inline Floats load_bytes(const std::uint8_t* p) {
  const uint8x16_t bytes = vld1q_u8(p);
  const uint16x8_t words[] = {vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes)};
  return each([&](int i) {
    const uint16x8_t pair = words[i / 2];
    return vcvtq_f32_u32(i % 2 == 0 ? vmovl_u16(vget_low_u16(pair)) : vmovl_high_u16(pair));
  });
}

// Rows become columns, of 4 x 4 floats.
inline void transpose(float32x4_t (&v)[4]) {
  const auto pairs = [](float32x4_t x) { return vreinterpretq_f64_f32(x); };
  const auto floats = [](float64x2_t x) { return vreinterpretq_f32_f64(x); };
  const float64x2_t even01 = pairs(vtrn1q_f32(v[0], v[1]));
  const float64x2_t odd01 = pairs(vtrn2q_f32(v[0], v[1]));
  const float64x2_t even23 = pairs(vtrn1q_f32(v[2], v[3]));
  const float64x2_t odd23 = pairs(vtrn2q_f32(v[2], v[3]));
  v[0] = floats(vtrn1q_f64(even01, even23));
  v[1] = floats(vtrn1q_f64(odd01, odd23));
  v[2] = floats(vtrn2q_f64(even01, even23));
  v[3] = floats(vtrn2q_f64(odd01, odd23));
}

// Rows become columns: each block of 4 x 4 by itself, and blocks change places.
inline void transpose(Floats (&v)[kLanes]) {
  Floats columns[kLanes];
  for (int i = 0; i < kQuads; ++i) {
    for (int j = 0; j < kQuads; ++j) {
      float32x4_t block[4];
      for (int k = 0; k < 4; ++k) block[k] = v[4 * i + k].quad[j];
      transpose(block);
      for (int k = 0; k < 4; ++k) columns[4 * j + k].quad[i] = block[k];
    }
  }
  for (int i = 0; i < kLanes; ++i) v[i] = columns[i];
}

// 32 16-bit integers.
struct Shorts {
  int16x8_t eighth[kQuads];
};

template <class Function>
[[gnu::always_inline]] inline Shorts each_eighth(Function function) {
  return {{function(0), function(1), function(2), function(3)}};
}

inline Shorts zero_shorts() {
  return each_eighth([](int) { return vdupq_n_s16(0); });
}
inline Shorts load_shorts(const std::int16_t* p) {
  return each_eighth([=](int i) { return vld1q_s16(p + 8 * i); });
}
inline void store(std::int16_t* p, Shorts v) {
  for (int i = 0; i < kQuads; ++i) vst1q_s16(p + 8 * i, v.eighth[i]);
}
inline Shorts add(Shorts a, Shorts b) {
  return each_eighth([&](int i) { return vaddq_s16(a.eighth[i], b.eighth[i]); });
}
inline Shorts subtract(Shorts a, Shorts b) {
  return each_eighth([&](int i) { return vsubq_s16(a.eighth[i], b.eighth[i]); });
}
inline Floats shorts_to_floats(int16x8_t low, int16x8_t high) {
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
}
inline Floats low_floats(const Shorts& v) { return shorts_to_floats(v.eighth[0], v.eighth[1]); }
inline Floats high_floats(const Shorts& v) { return shorts_to_floats(v.eighth[2], v.eighth[3]); }
// The first of sixteen integers.
inline void store_shorts(std::int16_t* p, Floats v, int lanes) {
  std::int16_t all[kLanes];
  for (int i = 0; i < kQuads; ++i) vst1_s16(all + 4 * i, vmovn_s32(vcvtnq_s32_f32(v.quad[i])));
  std::memcpy(p, all, std::size_t(lanes) * sizeof(std::int16_t));
}

inline std::uint32_t word_at(const std::uint8_t* p) {
  std::uint32_t word;
  std::memcpy(&word, p, 4);
  return word;
}

struct F32Dot {
  using Sum = Floats;
  using Weights = Floats;
  using Word = float32x4_t;
  static constexpr int kWeightVectors = 1;
  static constexpr int kFlushWords = 0;
  static Sum zero() { return zeros(); }
  static Weights weights(const std::uint8_t* p) { return load(reinterpret_cast<const float*>(p)); }
  static Word word(const std::uint8_t* p) { return vreinterpretq_f32_u32(vdupq_n_u32(word_at(p))); }
  static void accumulate(Sum& sum, const Weights& w, Word x) {
    for (int i = 0; i < kQuads; ++i) sum.quad[i] = vfmaq_f32(sum.quad[i], w.quad[i], x);
  }
  static Floats value(const Sum& sum) { return sum; }
};

// Widened to 16 bits, weights when a model is loaded, activations once per word and tile: exact,
// and part of every AArch64 processor.
struct Int8Dot {
  struct Sum {
    int32x4_t quad[kQuads];
  };
  struct Weights {
    int16x8_t half[4][2];  // of the word's four input channels, lanes 0..7 and 8..15
  };
  using Word = int16x4_t;
  static constexpr int kWeightVectors = 2;
  static constexpr int kFlushWords = 0;
  static Sum zero() {
    const int32x4_t zero = vdupq_n_s32(0);
    return {{zero, zero, zero, zero}};
  }
  static Weights weights(const std::uint8_t* p) {
    Weights w;
    for (int channel = 0; channel < 4; ++channel) {
      for (int half = 0; half < 2; ++half) {
        w.half[channel][half] =
            vreinterpretq_s16_u8(vld1q_u8(p + channel * 2 * kLanes + half * kLanes));
      }
    }
    return w;
  }
  static Word word(const std::uint8_t* p) {
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(word_at(p)));
    return vreinterpret_s16_u16(vget_low_u16(vmovl_u8(bytes)));
  }
  template <int Channel>
  static void accumulate_channel(Sum& sum, const Weights& w, Word x) {
    for (int half = 0; half < 2; ++half) {
      const int16x8_t weights = w.half[Channel][half];
      int32x4_t& low = sum.quad[2 * half];
      int32x4_t& high = sum.quad[2 * half + 1];
      low = vmlal_lane_s16(low, vget_low_s16(weights), x, Channel);
      high = vmlal_high_lane_s16(high, weights, x, Channel);
    }
  }
  static void accumulate(Sum& sum, const Weights& w, Word x) {
    accumulate_channel<0>(sum, w, x);
    accumulate_channel<1>(sum, w, x);
    accumulate_channel<2>(sum, w, x);
    accumulate_channel<3>(sum, w, x);
  }
  static Floats value(const Sum& sum) {
    return each([&](int i) { return vcvtq_f32_s32(sum.quad[i]); });
  }
  static void expand(const std::uint32_t* words, int blocks, std::uint32_t* vectors) {
    for (int block = 0; block < blocks; ++block) {
      std::int16_t wide[4 * kLanes];
      for (int channel = 0; channel < 4; ++channel) {
        for (int lane = 0; lane < kLanes; ++lane) {
          const std::uint32_t word = words[block * kLanes + lane];
          wide[channel * kLanes + lane] = std::int8_t(word >> (8 * channel));
        }
      }
      std::memcpy(vectors + block * kWeightVectors * kLanes, wide, sizeof(wide));
    }
  }
};

// Ones are counted per byte, and counts gather in bytes until these are full.
struct BinaryDot {
  struct Sum {
    uint8x16_t bytes[kQuads];
    uint32x4_t total[kQuads];
  };
  struct Weights {
    uint8x16_t quad[kQuads];
  };
  using Word = uint8x16_t;
  static constexpr int kWeightVectors = 1;
  static constexpr int kFlushWords = 31;  // 31 * 8 < 256
  static Sum zero() {
    Sum sum;
    for (int i = 0; i < kQuads; ++i) {
      sum.bytes[i] = vdupq_n_u8(0);
      sum.total[i] = vdupq_n_u32(0);
    }
    return sum;
  }
  static Weights weights(const std::uint8_t* p) {
    Weights w;
    for (int i = 0; i < kQuads; ++i) w.quad[i] = vld1q_u8(p + 16 * i);
    return w;
  }
  static Word broadcast_bytes(std::uint32_t word) {
    return vreinterpretq_u8_u32(vdupq_n_u32(word));
  }
  static Word word(const std::uint8_t* p) { return broadcast_bytes(word_at(p)); }
  static Word masked(Word x, std::uint32_t mask) { return vandq_u8(x, broadcast_bytes(mask)); }
  static void accumulate(Sum& sum, const Weights& w, Word x) {
    for (int i = 0; i < kQuads; ++i) {
      sum.bytes[i] = vaddq_u8(sum.bytes[i], vcntq_u8(veorq_u8(w.quad[i], x)));
    }
  }
  static void flush(Sum& sum) {
    for (int i = 0; i < kQuads; ++i) {
      sum.total[i] = vpadalq_u16(sum.total[i], vpaddlq_u8(sum.bytes[i]));
      sum.bytes[i] = vdupq_n_u8(0);
    }
  }
  static Floats value(Sum sum) {
    flush(sum);
    return each([&](int i) { return vcvtq_f32_u32(sum.total[i]); });
  }
};

}  // namespace
}  // namespace bihrnet
