// Weights as the kernels read them, and what is computed from them once.
#pragma once

#include <vector>

#include "kernels/types.h"
#include "memory.h"
#include "network.h"

namespace bihrnet {

// Bytes of one pixel's channels in memory. Bits take 1, 2 or whole 4 bytes, so that a kernel row of
// few channels still is one run of bytes without holes.
std::size_t pixel_bytes(ElementType type, int channels);

// A group of blocks of 16 output channels that one tile computes together.
struct Group {
  int first_block;
  int log2_blocks;
  std::size_t offset;  // of its weights, bytes
};

// Order of the words: group, kernel row, word of the row's run, block, plane, lane (= channel).
struct PackedWeights {
  AlignedMemory words;
  std::vector<Group> groups;
  int kernel_rows;
  int run_words;
  std::uint32_t tail_mask;
};

PackedWeights pack_weights(const ConvInfo& conv, int input_pixel_bytes, const KernelTable& kernels);

// What a convolution adds to its scaled sum, for every kind of place on the image: rows (and
// columns) whose kernel window loses the same taps to the padding form a class.
struct OffsetTable {
  AlignedFloats offsets;                  // [row class][column class][padded channels]
  std::vector<std::int32_t> row_offsets;  // per output row, into `offsets`
  std::vector<std::int32_t> column_offsets;
};

OffsetTable offset_table(const ConvInfo& conv, const TensorInfo& input, int height, int width);

// The factor that goes with the offsets: sums of bits count differences, so dot = n - 2 * sum.
AlignedFloats kernel_scale(const ConvInfo& conv);

}  // namespace bihrnet
