// One direct convolution for all three kinds of dot product (see ConvTask in types.h).
//
// A tile is P output pixels x G blocks of 16 output channels. Its sums stay in registers for the
// whole kernel window: every step loads G vectors of weights once, broadcasts one activation word
// per pixel, and needs no horizontal addition.
#pragma once

#include "epilogue.h"

namespace bihrnet {
namespace {

// Dot products of bits, which have no zero to fill up a word with.
template <class D>
concept HasTails = requires(typename D::Word word, std::uint32_t mask) { D::masked(word, mask); };

template <class D, int P, int G>
[[gnu::always_inline]] inline void accumulate_word(typename D::Sum (&sum)[P][G],
                                                   const std::uint8_t* const (&pixel)[P],
                                                   std::ptrdiff_t offset,
                                                   const std::uint8_t* weights,
                                                   [[maybe_unused]] std::uint32_t mask) {
  constexpr int kVector = D::kWeightVectors * kLanes * 4;
  typename D::Weights w[G];
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) w[g] = D::weights(weights + g * kVector);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    typename D::Word x = D::word(pixel[p] + offset);
    if constexpr (HasTails<D>) {
      if (mask != 0) x = D::masked(x, mask);
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) D::accumulate(sum[p][g], w[g], x);
  }
}

// Adds narrow counters that are full to wide ones.
template <class D, int P, int G>
[[gnu::always_inline]] inline void make_room(typename D::Sum (&sum)[P][G], int& room) {
  if (room > 0) return;
  for (int p = 0; p < P; ++p) {
    for (int g = 0; g < G; ++g) D::flush(sum[p][g]);
  }
  room = D::kFlushWords;
}

template <class D, int P, int G>
[[gnu::always_inline]] inline void accumulate(typename D::Sum (&sum)[P][G], const ConvTask& task,
                                              const std::uint8_t* input) {
  constexpr int kStride = G * D::kWeightVectors * kLanes * 4;
  const std::uint8_t* weights = task.weights;
  [[maybe_unused]] int room = D::kFlushWords;  // words until narrow counters may overflow
  for (int row = 0; row < task.kernel_rows; ++row, input += task.tap_row) {
    const std::uint8_t* pixel[P];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) pixel[p] = input + p * task.output_pixel;
    const std::ptrdiff_t run = std::ptrdiff_t(task.run_words) * 4;
    for (std::ptrdiff_t offset = 0; offset < run;) {
      std::ptrdiff_t stop = run;
      if constexpr (D::kFlushWords != 0) {
        make_room<D, P, G>(sum, room);
        if (stop > offset + room * 4) stop = offset + room * 4;
        room -= int(stop - offset) / 4;
      }
      for (; offset < stop; offset += 4, weights += kStride) {
        accumulate_word<D, P, G>(sum, pixel, offset, weights, 0);
      }
    }
    if constexpr (HasTails<D>) {
      if (task.tail_mask == 0) continue;
      if constexpr (D::kFlushWords != 0) {
        make_room<D, P, G>(sum, room);
        --room;
      }
      accumulate_word<D, P, G>(sum, pixel, run, weights, task.tail_mask);
      weights += kStride;
    }
  }
}

// Whether the pixels of a tile belong to one class of columns, as nearly all do.
template <int P>
[[gnu::always_inline]] inline bool same_column_class(const std::int32_t* bias_column) {
  int different = 0;
#pragma GCC unroll 8
  for (int p = 1; p < P; ++p) different |= bias_column[p] ^ bias_column[0];
  return different == 0;
}

// v = mul * v + bias.
template <int P, int G>
[[gnu::always_inline]] inline void multiply_add(Floats (&v)[P][G], const ConvTask& task,
                                                const Tile& tile) {
  const float* const mul = task.mul + tile.block * kLanes;
  const float* const row_bias = task.bias + task.bias_row[tile.y] + tile.block * kLanes;
  const std::int32_t* const column = task.bias_column + tile.x;
  if (same_column_class<P>(column)) {
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      const Floats factor = load(mul + g * kLanes);
      const Floats addend = load(row_bias + column[0] + g * kLanes);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) v[p][g] = multiply_add(v[p][g], factor, addend);
    }
    return;
  }
#pragma GCC unroll 4
  for (int g = 0; g < G; ++g) {
    const Floats factor = load(mul + g * kLanes);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      v[p][g] = multiply_add(v[p][g], factor, load(row_bias + column[p] + g * kLanes));
    }
  }
}

template <class D, int P, int G>
inline void conv_rows(const ConvTask& task, int begin, int end) {
  for (int y = begin; y < end; ++y) {
    const std::uint8_t* row = task.input + y * task.output_row;
    for (int x = 0; x < task.epilogue.width; x += P) {
      typename D::Sum sum[P][G];
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) sum[p][g] = D::zero();
      }
      accumulate<D, P, G>(sum, task, row + x * task.output_pixel);

      Floats v[P][G];
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) v[p][g] = D::value(sum[p][g]);
      }
      const int left = task.epilogue.width - x;
      const Tile tile{y, x, left < P ? left : P, task.first_block};
      multiply_add<P, G>(v, task, tile);
      run_steps<P, G>(v, task.epilogue, tile);
    }
  }
}

// Pixels computed for a row of `width` when it is cut into tiles of `tile`.
inline int covered(int width, int tile) { return (width + tile - 1) / tile * tile; }

// Widths of feature maps are multiples of 6 (48, 24, 12) or of 4 (64, 32, 16, 8), so every kernel
// exists for two tiles, and the one that wastes less is taken; where both fit, the first.
template <class D, int First, int Second, int G>
void conv(const ConvTask& task, int begin, int end) {
  static_assert(First <= kMaxTile && Second <= kMaxTile);
  const int width = task.epilogue.width;
  if (covered(width, First) <= covered(width, Second)) {
    conv_rows<D, First, G>(task, begin, end);
  } else {
    conv_rows<D, Second, G>(task, begin, end);
  }
}

// The layout of weights that needs no change.
inline void keep_words(const std::uint32_t* words, int blocks, std::uint32_t* vectors) {
  for (int i = 0; i < blocks * kLanes; ++i) vectors[i] = words[i];
}

// The kernel of a dot product for groups of G blocks, in tiles of First or Second pixels.
template <class D, int First, int Second, int G>
constexpr ConvKernel conv_kernel() {
  if constexpr (D::kWeightVectors == 1) {
    return {conv<D, First, Second, G>, keep_words, 1};
  } else {
    return {conv<D, First, Second, G>, D::expand, D::kWeightVectors};
  }
}

}  // namespace
}  // namespace bihrnet
