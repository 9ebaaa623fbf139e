// Ops without a convolution: `load` (sums of up-sampled tensors, the SE gate's product) and
// `max_pool`.
#pragma once

#include <algorithm>
#include <limits>

#include "epilogue.h"

namespace bihrnet {
namespace {

// `start` gives the values of a tile of P pixels x G blocks, and the op's steps follow.
template <int P, int G, class Start>
inline void pointwise_tile(const Epilogue& epilogue, int y, int x, int block, Start start) {
  const Tile tile{y, x, std::min(P, epilogue.width - x), block};
  Floats v[P][G];
  start(v, tile);
  run_steps<P, G>(v, epilogue, tile);
}

// Tiles of P pixels x G blocks, and x 1 block for the last ones. All channels of a tile's pixels
// come one after the other, as they lie in memory: there is little arithmetic to hide a wait
// behind.
template <int P, int G, class Start>
inline void pointwise_rows(const Epilogue& epilogue, int begin, int end, Start start) {
  const int blocks = (epilogue.channels + kLanes - 1) / kLanes;
  for (int y = begin; y < end; ++y) {
    for (int x = 0; x < epilogue.width; x += P) {
      int block = 0;
      for (; block + G <= blocks; block += G) pointwise_tile<P, G>(epilogue, y, x, block, start);
      for (; block < blocks; ++block) pointwise_tile<P, 1>(epilogue, y, x, block, start);
    }
  }
}

template <int P, int G>
[[gnu::always_inline]] inline void fill(Floats (&v)[P][G], float value) {
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) v[p][g] = broadcast(value);
  }
}

// Whether an op stores the signs of a gated tensor, v * gate < threshold, and nothing else: as in
// front of the binary convolution that follows an SE gate.
inline bool is_gated_sign(const Epilogue& epilogue) {
  const Step* steps = epilogue.steps;
  return epilogue.count == 3 && steps[0].kind == StepKind::add && steps[0].upsample_shift == 0 &&
         steps[0].tensor_blocks == 0 && steps[1].kind == StepKind::multiply &&
         steps[2].kind == StepKind::sign && steps[2].bit_offset % 8 == 0 &&
         epilogue.channels % (2 * kLanes) == 0;
}

// The three steps in one pass, 32 channels at a time in the order of memory.
inline void gated_sign(const Epilogue& epilogue, int begin, int end) {
  const Step& input = epilogue.steps[0];
  const Step& sign = epilogue.steps[2];
  const float* const gate = epilogue.steps[1].channel_values;
  const float* const limit = sign.channel_values;
  for (int y = begin; y < end; ++y) {
    const std::uint8_t* row = input.data + y * input.row_pitch;
    std::uint8_t* bits = sign.data + y * sign.row_pitch + sign.bit_offset / 8;
    for (int x = 0; x < epilogue.width; ++x) {
      const auto* pixel = reinterpret_cast<const float*>(row + x * input.pixel_pitch);
      std::uint8_t* out = bits + x * sign.pixel_pitch;
      for (int c = 0; c < epilogue.channels; c += 2 * kLanes, out += 4) {
        const int next = c + kLanes;
        store_less(out, multiply(load(pixel + c), load(gate + c)), load(limit + c), out + 2,
                   multiply(load(pixel + next), load(gate + next)), load(limit + next));
      }
    }
  }
}

// The loaded tensor is the first `add` step.
template <int P, int G>
void load_op(const Epilogue& epilogue, int begin, int end) {
  if (is_gated_sign(epilogue)) return gated_sign(epilogue, begin, end);
  pointwise_rows<P, G>(epilogue, begin, end, [](auto& v, Tile) { fill(v, 0.0f); });
}

// The taps [first, last) of an output pixel's window that lie on the image, along one axis.
struct Window {
  int first;
  int last;
};
inline Window window(const PoolTask& task, int output, int size) {
  const int start = output * task.stride - task.padding;
  return {std::max(start, 0), std::min(start + task.kernel, size)};
}

template <int P, int G>
[[gnu::always_inline]] inline void largest(Floats (&v)[P][G], const PoolTask& task, Tile tile) {
  fill(v, -std::numeric_limits<float>::infinity());
  const Window rows = window(task, tile.y, task.height);
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    const Window columns = window(task, tile.x + p, task.width);
    for (int y = rows.first; y < rows.last; ++y) {
      for (int x = columns.first; x < columns.last; ++x) {
        const std::uint8_t* pixel = task.input + y * task.row_pitch + x * task.pixel_pitch;
        const float* channels = reinterpret_cast<const float*>(pixel) + tile.block * kLanes;
#pragma GCC unroll 4
        for (int g = 0; g < G; ++g) v[p][g] = maximum(v[p][g], load(channels + g * kLanes));
      }
    }
  }
}

template <int P, int G>
void max_pool(const PoolTask& task, int begin, int end) {
  pointwise_rows<P, G>(task.epilogue, begin, end,
                       [&](auto& v, Tile tile) { largest(v, task, tile); });
}

}  // namespace
}  // namespace bihrnet
