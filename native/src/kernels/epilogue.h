// Runs an op's steps on a tile of P pixels x G blocks of 16 channels that sits in registers.
//
// The switch is taken once per step and tile, not once per vector, so it costs next to nothing, and
// one routine serves every combination of residuals, activations and stores.
//
// Like conv.h and load_pool.h, this file is included after one of the simd_*.h and written in its
// terms.
#pragma once

#include <cmath>
#include <cstring>

#include "types.h"

namespace bihrnet {
namespace {

// Which part of the op's output a tile is.
struct Tile {
  int y;
  int x;       // of the first pixel
  int pixels;  // those that lie inside the row
  int block;   // first block of channels
};

[[gnu::noinline]] void sigmoid(float* values, int count) {
  for (int i = 0; i < count; ++i) values[i] = 1.0f / (1.0f + std::exp(-values[i]));
}

// Only for a handful of values per image (gates), so one by one. The tile goes through memory and
// is read back whole: were any of it alive across the call, it would live in memory in every step.
template <int P, int G>
[[gnu::always_inline]] inline void sigmoid(Floats (&v)[P][G]) {
  float values[P * G * kLanes];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) store(values + (p * G + g) * kLanes, v[p][g]);
  }
  sigmoid(values, P * G * kLanes);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) v[p][g] = load(values + (p * G + g) * kLanes);
  }
}

inline const float* channel_values(const Step& step, int block) {
  return step.channel_values + block * kLanes;
}

template <int P, int G>
[[gnu::always_inline]] inline void add_tensor(Floats (&v)[P][G], const Step& step, Tile tile) {
  const std::uint8_t* row = step.data + (tile.y >> step.upsample_shift) * step.row_pitch;
  std::ptrdiff_t channel[G];
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) {
    const int block = tile.block + g;
    channel[g] = (step.tensor_blocks == 0 ? block : block % step.tensor_blocks) * kLanes;
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const auto* pixel = reinterpret_cast<const float*>(row + ((tile.x + p) >> step.upsample_shift) *
                                                                 step.pixel_pitch);
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) v[p][g] = add(v[p][g], load(pixel + channel[g]));
  }
}

// Channels in the last block of a tile: 16, or fewer at the end of an op's channels.
template <int G>
inline int last_lanes(int channels, Tile tile) {
  const int left = channels - (tile.block + G - 1) * kLanes;
  return left < kLanes ? left : kLanes;
}

template <int P, int G>
[[gnu::always_inline]] inline void store_floats(const Floats (&v)[P][G], const Step& step,
                                                Tile tile, int channels) {
  std::uint8_t* row = step.data + tile.y * step.row_pitch + tile.x * step.pixel_pitch +
                      tile.block * kLanes * std::ptrdiff_t(sizeof(float));
  const int lanes = last_lanes<G>(channels, tile);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    if (p >= tile.pixels) break;
    auto* pixel = reinterpret_cast<float*>(row + p * step.pixel_pitch);
#pragma GCC unroll 4
    for (int g = 0; g < G - 1; ++g) store(pixel + g * kLanes, v[p][g]);
    if (lanes == kLanes) {
      store(pixel + (G - 1) * kLanes, v[p][G - 1]);
    } else {
      store_lanes(pixel + (G - 1) * kLanes, v[p][G - 1], lanes);
    }
  }
}

// Writes `lanes` bits at bit `offset` of a pixel, leaving its other bits alone.
inline void merge_bits(std::uint8_t* pixel, std::uint32_t bits, int offset, int lanes) {
  const auto shift = std::uint32_t(offset % 8);
  const std::uint32_t mask = ((1u << lanes) - 1) << shift;
  const std::uint32_t value = bits << shift & mask;
  std::uint8_t* p = pixel + offset / 8;
  for (std::uint32_t byte = 0; byte * 8 < shift + std::uint32_t(lanes); ++byte) {
    p[byte] = std::uint8_t((p[byte] & ~(mask >> (8 * byte))) | value >> (8 * byte));
  }
}

// The signs of 16 channels.
inline void store_word(std::uint8_t* pixel, std::uint32_t bits) {
  const auto word = std::uint16_t(bits);
  std::memcpy(pixel, &word, 2);
}

template <int P, int G>
[[gnu::always_inline]] inline void store_sign_bits(const Floats (&v)[P][G], const Step& step,
                                                   Tile tile, int channels) {
  const float* threshold = channel_values(step, tile.block);
  const int offset = step.bit_offset + tile.block * kLanes;
  std::uint8_t* row = step.data + tile.y * step.row_pitch + tile.x * step.pixel_pitch;
  const int lanes = last_lanes<G>(channels, tile);
  const std::ptrdiff_t pitch = step.pixel_pitch;
  if (offset % 8 == 0 && lanes == kLanes) {
    std::uint8_t* bytes = row + offset / 8;
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      const Floats limit = load(threshold + g * kLanes);
#pragma GCC unroll 4
      for (int p = 0; p < P; p += 2) {
        std::uint8_t* pixel = bytes + p * pitch + g * 2;
        if (p + 1 < P && p + 1 < tile.pixels) {
          store_less(pixel, v[p][g], limit, pixel + pitch, v[p + 1 < P ? p + 1 : p][g], limit);
        } else if (p < tile.pixels) {
          store_word(pixel, less(v[p][g], limit));
        }
      }
    }
    return;
  }
  // Few channels, or a range that starts within a byte: through memory, as a loop, so that the
  // usual case above stays small.
  std::uint32_t bits[P][G];
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) {
    const Floats limit = load(threshold + g * kLanes);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) bits[p][g] = less(v[p][g], limit);
  }
  for (int p = 0; p < tile.pixels; ++p, row += step.pixel_pitch) {
    for (int g = 0; g < G; ++g) {
      const int used = g == G - 1 ? lanes : kLanes;
      if (offset % 8 == 0 && used == 8) {
        row[offset / 8 + g * 2] = std::uint8_t(bits[p][g]);
      } else {
        merge_bits(row, bits[p][g], offset + g * kLanes, used);
      }
    }
  }
}

template <int P, int G>
[[gnu::always_inline]] inline void store_quantized(const Floats (&v)[P][G], const Step& step,
                                                   Tile tile, int channels) {
  std::uint8_t* row =
      step.data + tile.y * step.row_pitch + tile.x * step.pixel_pitch + tile.block * kLanes;
  // Copies, as bytes that are stored might be the step's for all that the compiler knows.
  const std::ptrdiff_t pitch = step.pixel_pitch;
  const int zero_point = step.zero_point;
  const Floats scale = broadcast(step.inverse_scale);
  // Clamped before rounding: an integer may not hold what comes out of a network.
  const Floats low = broadcast(float(-zero_point));
  const Floats high = broadcast(float(255 - zero_point));
  const auto scaled = [&](Floats value) { return minimum(multiply(value, scale), high); };
  const int lanes = last_lanes<G>(channels, tile);
#pragma GCC unroll 4
  for (int p = 0; p < P; p += 2) {
    if (p >= tile.pixels) break;
    const int next = p + 1 < P ? p + 1 : p;
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      std::uint8_t* pixel = row + p * pitch + g * kLanes;
      const int used = g == G - 1 ? lanes : kLanes;
      const bool both = next > p && next < tile.pixels;
      if (both && used == kLanes) {
        store_rounded(pixel, scaled(v[p][g]), pixel + pitch, scaled(v[next][g]), low, zero_point);
      } else {
        store_rounded(pixel, scaled(v[p][g]), low, zero_point, used);
        if (both) store_rounded(pixel + pitch, scaled(v[next][g]), low, zero_point, used);
      }
    }
  }
}

template <int P, int G>
[[gnu::always_inline]] inline void add_to_row_sums(const Floats (&v)[P][G], const Step& step,
                                                   Tile tile) {
  auto* sums = reinterpret_cast<float*>(step.data + tile.y * step.row_pitch) + tile.block * kLanes;
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) {
    // The first tile of a row starts the sum, so nobody has to clear it.
    Floats sum = tile.x == 0 ? zeros() : load(sums + g * kLanes);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      if (p < tile.pixels) sum = add(sum, v[p][g]);
    }
    store(sums + g * kLanes, sum);
  }
}

// Applies `change` to every vector of the tile, with the channel values of its block.
template <int P, int G, class Change>
[[gnu::always_inline]] inline void per_channel(Floats (&v)[P][G], const Step& step, Tile tile,
                                               Change change) {
  const float* values = channel_values(step, tile.block);
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) {
    const Floats value = load(values + g * kLanes);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) v[p][g] = change(v[p][g], value);
  }
}

template <int P, int G>
[[gnu::always_inline]] inline void run_steps(Floats (&v)[P][G], const Epilogue& epilogue,
                                             Tile tile) {
  const Step* const end = epilogue.steps + epilogue.count;
  for (const Step* step = epilogue.steps; step != end; ++step) {
    switch (step->kind) {
      case StepKind::add:
        add_tensor(v, *step, tile);
        break;
      case StepKind::multiply:
      case StepKind::scale:
        per_channel(v, *step, tile, [](Floats a, Floats b) { return multiply(a, b); });
        break;
      case StepKind::relu:
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
          for (int g = 0; g < G; ++g) v[p][g] = maximum(v[p][g], zeros());
        }
        break;
      case StepKind::prelu:
        per_channel(v, *step, tile, [](Floats a, Floats b) { return prelu(a, b); });
        break;
      case StepKind::shift:
        per_channel(v, *step, tile, [](Floats a, Floats b) { return add(a, b); });
        break;
      case StepKind::prelu_shift: {
        const float* shift = step->shift_values + tile.block * kLanes;
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) {
          const Floats slope = load(channel_values(*step, tile.block) + g * kLanes);
          const Floats addend = load(shift + g * kLanes);
#pragma GCC unroll 8
          for (int p = 0; p < P; ++p) v[p][g] = add(prelu(v[p][g], slope), addend);
        }
        break;
      }
      case StepKind::sigmoid:
        sigmoid(v);
        break;
      case StepKind::store:
        store_floats(v, *step, tile, epilogue.channels);
        break;
      case StepKind::sign:
        store_sign_bits(v, *step, tile, epilogue.channels);
        break;
      case StepKind::quantize:
        store_quantized(v, *step, tile, epilogue.channels);
        break;
      case StepKind::mean:
        add_to_row_sums(v, *step, tile);
        break;
    }
  }
}

}  // namespace
}  // namespace bihrnet
