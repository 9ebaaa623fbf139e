// Weights as the convolution kernels read them.
#pragma once

#include <vector>

#include "kernels/types.h"
#include "memory.h"
#include "network.h"

namespace bihrnet {

// Bytes of one pixel's channels in memory. Bits take 1, 2 or whole 4 bytes, so that a kernel row of
// few channels still is one run of bytes without holes.
std::size_t pixel_bytes(ElementType type, int channels);

// Blocks of 16 output channels that one tile computes together.
struct BlockGroup {
  int first_block;
  int log2_blocks;
  std::size_t offset;  // of its weights, bytes
};

// Order of the words: group, kernel row, word of the row's run, then what the group's kernel makes
// of one word of each of its channels (`ConvKernel::expand`).
struct PackedWeights {
  AlignedMemory words;
  std::vector<BlockGroup> groups;
  int kernel_rows;
  int run_words;            // whole words in a kernel row
  std::uint32_t tail_mask;  // used bits of one more word, 0 where there is none
};

// `input_pixel_bytes` of the tensor that the kernels read: an image may be read as floats.
PackedWeights pack_weights(const ConvInfo& conv, const TensorInfo& input, int input_pixel_bytes,
                           const KernelTable& kernels);

}  // namespace bihrnet
