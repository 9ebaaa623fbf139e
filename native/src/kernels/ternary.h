// Convolution with fixed weights of -1, 0 and +1, without multiplications: every output channel
// adds and subtracts the taps that it uses, and skips the others.
//
// Which taps these are differs from channel to channel, so the lanes of a vector are pixels here,
// not channels. The input is laid out plane by plane, a channel each, rows one after the other with
// the padding between them: a tap of a run of pixels is then a run of a plane. A tile is one such
// run, whatever rows it crosses; what falls between two rows is computed and dropped.
//
// Taps are taken in pairs (a, b). A table holds a, b, a + b and a - b for all pairs of a chunk and
// all pixels of the tile, 32 kB, and all output channels of a group draw on it: one addition does
// for both taps of a pair. Aligned, too, which runs of a plane are not.
//
// Bytes are widened to 16 bits, and their sums stay exact: a chunk's cannot leave 16 bits, and a
// float, which adds up chunks, holds all integers up to 2^24.
#pragma once

#include <algorithm>
#include <iterator>

#include "epilogue.h"

namespace bihrnet {
namespace {

// What planes hold, and how: floats of a tensor of floats, 16-bit integers of one of bytes.
struct FloatPlanes {
  using Element = float;
  using Vector = Floats;
  static constexpr int kVectorLanes = kLanes;
  static Vector zero() { return zeros(); }
  static Vector load(const float* p) { return bihrnet::load(p); }
  static Floats pixel(const std::uint8_t* p, int channel, Floats) {
    return bihrnet::load(reinterpret_cast<const float*>(p) + channel);
  }
  static void store_lanes(float* p, Floats v, int lanes) { bihrnet::store_lanes(p, v, lanes); }
  static void add_to(float* sums, Vector v) { store(sums, add(bihrnet::load(sums), v)); }
};

struct ShortPlanes {
  using Element = std::int16_t;
  using Vector = Shorts;
  static constexpr int kVectorLanes = 2 * kLanes;
  static Vector zero() { return zero_shorts(); }
  static Vector load(const std::int16_t* p) { return load_shorts(p); }
  static Floats pixel(const std::uint8_t* p, int channel, Floats zero_point) {
    return subtract(load_bytes(p + channel), zero_point);
  }
  static void store_lanes(std::int16_t* p, Floats v, int lanes) { store_shorts(p, v, lanes); }
  static void add_to(float* sums, Vector v) {
    store(sums, add(bihrnet::load(sums), low_floats(v)));
    store(sums + kLanes, add(bihrnet::load(sums + kLanes), high_floats(v)));
  }
};

// Channels [channel, channel + 16) of 16 pixels of a row, by channel.
template <class Planes>
[[gnu::always_inline]] inline void read_pixels(Floats (&v)[kLanes], const TernaryTask& task,
                                               const std::uint8_t* pixel, int channel) {
  const Floats zero_point = broadcast(float(task.zero_point));
#pragma GCC unroll 16
  for (int p = 0; p < kLanes; ++p) {
    v[p] = Planes::pixel(pixel + p * task.pixel_pitch, channel, zero_point);
  }
  transpose(v);
}

// Input rows [begin, end) as planes, zeros around them.
template <class Planes>
void ternary_planes(const TernaryTask& task, int begin, int end) {
  using Element = typename Planes::Element;
  const std::ptrdiff_t pitch = task.plane_pitch;
  for (int c = 0; c < task.channels; c += kLanes) {
    Element* const planes = static_cast<Element*>(task.planes) + c * task.plane_size;
    const int count = std::min(kLanes, task.channels - c);
    for (int i = 0; i < count; ++i) {
      Element* const plane = planes + i * task.plane_size;
      Element* const top = plane + task.pad_y * pitch;
      if (begin == 0) std::fill(plane, top, Element(0));
      if (end == task.height) std::fill(top + end * pitch, plane + task.plane_size, Element(0));
      for (int y = begin; y < end; ++y) std::fill_n(top + y * pitch, task.pad_x, Element(0));
    }
    for (int y = begin; y < end; ++y) {
      Element* const row = planes + (task.pad_y + y) * pitch + task.pad_x;
      for (int x = 0; x < task.width; x += kLanes) {
        Floats v[kLanes];
        read_pixels<Planes>(v, task, task.input + y * task.row_pitch + x * task.pixel_pitch, c);
        const int lanes = std::min(kLanes, task.width - x);
        for (int i = 0; i < count; ++i)
          Planes::store_lanes(row + i * task.plane_size + x, v[i], lanes);
      }
    }
  }
}

// The table of a chunk: four rows of 64 pixels for each pair of taps.
template <class Planes>
inline void fill_table(typename Planes::Element* table, const typename Planes::Element* planes,
                       const std::int32_t* taps, int count) {
  for (int tap = 0; tap < count; tap += 2, table += 4 * kTernaryPixels) {
#pragma GCC unroll 4
    for (int i = 0; i < kTernaryPixels; i += Planes::kVectorLanes) {
      const typename Planes::Vector a = Planes::load(planes + taps[tap] + i);
      const typename Planes::Vector b = Planes::load(planes + taps[tap + 1] + i);
      store(table + i, a);
      store(table + kTernaryPixels + i, b);
      store(table + 2 * kTernaryPixels + i, add(a, b));
      store(table + 3 * kTernaryPixels + i, subtract(a, b));
    }
  }
}

// The sums of a group's channels, [channel][pixel], for the tile that starts at `start`.
template <class Planes>
inline void ternary_sums(const TernaryTask& task, const TernaryGroup& group, int start,
                         float* sums) {
  using Element = typename Planes::Element;
  constexpr int kChunk = ternary_chunk(sizeof(Element));
  constexpr int kVectors = kTernaryPixels / Planes::kVectorLanes;
  alignas(64) Element table[kChunk / 2 * 4 * kTernaryPixels];
  const Element* const planes = static_cast<const Element*>(task.planes) + start;
  const TernaryCounts* counts = group.counts;
  const std::uint8_t* entry = group.entries;
  for (int tap = 0; tap < task.tap_count; tap += kChunk) {
    fill_table<Planes>(table, planes, task.taps + tap, std::min(kChunk, task.tap_count - tap));
    for (int c = 0; c < group.channels; ++c, ++counts) {
      typename Planes::Vector sum[kVectors];
#pragma GCC unroll 4
      for (int i = 0; i < kVectors; ++i) sum[i] = Planes::zero();
      for (const std::uint8_t* const end = entry + counts->added; entry < end; ++entry) {
        const Element* const row = table + *entry * kTernaryPixels;
#pragma GCC unroll 4
        for (int i = 0; i < kVectors; ++i) {
          sum[i] = add(sum[i], Planes::load(row + i * Planes::kVectorLanes));
        }
      }
      for (const std::uint8_t* const end = entry + counts->subtracted; entry < end; ++entry) {
        const Element* const row = table + *entry * kTernaryPixels;
#pragma GCC unroll 4
        for (int i = 0; i < kVectors; ++i) {
          sum[i] = subtract(sum[i], Planes::load(row + i * Planes::kVectorLanes));
        }
      }
      for (int i = 0; i < kVectors; ++i) {
        Planes::add_to(sums + c * kTernaryPixels + i * Planes::kVectorLanes, sum[i]);
      }
    }
  }
}

// Steps of the pixels [start, stop) of the planes that lie on the image, 16 at a time.
inline void finish_tile(const TernaryTask& task, const TernaryGroup& group, int start, int stop,
                        const float* sums) {
  for (int begin = start; begin < stop;) {
    const int y = begin / task.plane_pitch;
    const int row = y * task.plane_pitch;
    const int end = std::min(stop, row + task.epilogue.width);
    for (int c = 0; c < group.channels; c += kLanes) {
      const int block = group.first_block + c / kLanes;
      const Floats mul = load(task.mul + block * kLanes);
      const Floats addend = load(task.add + block * kLanes);
      for (int i = begin; i < end; i += kLanes) {
        Floats v[kLanes];
#pragma GCC unroll 16
        for (int lane = 0; lane < kLanes; ++lane) {
          v[lane] = load(sums + (c + lane) * kTernaryPixels + i - start);
        }
        transpose(v);
        Floats pixels[kLanes][1];
#pragma GCC unroll 16
        for (int p = 0; p < kLanes; ++p) pixels[p][0] = multiply_add(v[p], mul, addend);
        const Tile tile{y, i - row, std::min(kLanes, end - i), block};
        run_steps<kLanes, 1>(pixels, task.epilogue, tile);
      }
    }
    begin = row + task.plane_pitch;
  }
}

template <class Planes>
void ternary_conv(const TernaryTask& task, int begin, int end) {
  // Blocks of 16 are read whole, at the last channels and behind the last pixel.
  alignas(64) float sums[kTernaryChannels * kTernaryPixels + kLanes];
  const int stop = end * task.plane_pitch;
  for (int start = begin * task.plane_pitch; start < stop; start += kTernaryPixels) {
    for (int g = 0; g < task.group_count; ++g) {
      std::fill(std::begin(sums), std::end(sums), 0.0f);
      ternary_sums<Planes>(task, task.groups[g], start, sums);
      finish_tile(task, task.groups[g], start, std::min(stop, start + kTernaryPixels), sums);
    }
  }
}

}  // namespace
}  // namespace bihrnet
