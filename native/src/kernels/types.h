// What an engine hands to a kernel. Plain data with absolute addresses: everything that can be
// computed when a model is loaded is computed then, so that a run is loops and arithmetic only.
//
// The words are those of the model file (docs/engine-format.md): element types f32, bits and u8;
// an op's `mul` and `add`; the names of the steps.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bihrnet {

// Output channels are handled in blocks of 16 on every instruction set: one AVX-512 register,
// two AVX2, four NEON. So bias tables and channel vectors have one layout everywhere.
inline constexpr int kLanes = 16;

// The widest tile of pixels. A tile that the right edge cuts off is computed in full and stored in
// part, so kernels read (never write) up to a tile less one pixel beyond a row.
inline constexpr int kMaxTile = 16;

enum class StepKind : std::int32_t {
  add,          // v += tensor, up-sampled
  multiply,     // v *= channel_values, a tensor of 1 x 1 pixels
  relu,         // v = max(v, 0)
  prelu,        // v = v < 0 ? channel_values * v : v
  scale,        // v *= channel_values
  shift,        // v += channel_values
  prelu_shift,  // both steps in one: v = (v < 0 ? channel_values * v : v) + shift_values
  sigmoid,      // v = 1 / (1 + exp(-v))
  store,        // f32 tensor = v
  sign,         // bit of a bits tensor = v < channel_values
  quantize,     // u8 tensor = clamp(round(v * inverse_scale) + zero_point)
  mean,         // per output row and channel, the sum of v; the engine makes the mean of the sums
};

// One thing done to a vector of output channels while it is in registers.
struct Step {
  StepKind kind;
  int upsample_shift = 0;       // add: log2 of the nearest-neighbor factor
  int tensor_blocks = 0;        // add: blocks after which the tensor's channels repeat; 0: never
  int bit_offset = 0;           // sign: channel of the tensor that this op's channel 0 writes
  float inverse_scale = 1;      // quantize
  std::int32_t zero_point = 0;  // quantize
  const float* channel_values = nullptr;  // readable in whole blocks
  const float* shift_values = nullptr;    // prelu_shift
  std::uint8_t* data = nullptr;           // the tensor's pixel (0, 0), at the op's first channel
  std::ptrdiff_t row_pitch = 0;           // bytes
  std::ptrdiff_t pixel_pitch = 0;         // bytes
};

// The steps of an op, and the size of what they run over.
struct Epilogue {
  const Step* steps;
  int count;
  int channels;
  int width;  // pixels in a row of the op's output
};

// A direct convolution: for every output pixel and each kernel row, the activations under the
// kernel are one contiguous run of 32-bit words (NHWC), and each word meets a vector of weights.
// A word holds 1 float, 4 bytes or 32 bits; this is the only difference between the three kinds.
struct ConvTask {
  const std::uint8_t* input;    // first tap of output pixel (0, 0), border included
  std::ptrdiff_t tap_row;       // bytes from one kernel row to the next
  std::ptrdiff_t output_row;    // bytes from one output row's input to the next (stride * tap_row)
  std::ptrdiff_t output_pixel;  // bytes from one output pixel's input to the next
  int kernel_rows;
  int run_words;                // whole words in a kernel row
  std::uint32_t tail_mask;      // bits: those used of one more, partial word; 0 where there is none
  const std::uint8_t* weights;  // of this group of blocks, see packing.h
  int first_block;              // first block of 16 output channels of this group
  // v = mul * sum + bias, per output channel, padded to whole blocks; see bias.h.
  const float* mul;
  const float* bias;                // [row class][column class][padded channels]
  const std::int32_t* bias_row;     // per output row, the class's position in `bias`
  const std::int32_t* bias_column;  // per output column likewise, padded by a tile
  Epilogue epilogue;
};

// Square windows of an f32 tensor, of which each output pixel is the largest value. What lies
// outside the image does not count.
struct PoolTask {
  const std::uint8_t* input;  // pixel (0, 0)
  std::ptrdiff_t row_pitch;   // bytes
  std::ptrdiff_t pixel_pitch;
  int height;  // of the input
  int width;
  int kernel;
  int stride;
  int padding;
  Epilogue epilogue;
};

// A ternary convolution computes so many pixels together, for so many output channels one after the
// other, and prepares so many of their taps at a time. These are few enough that sums of bytes do
// not leave 16 bits (128 * 255 < 2^15), and that entries are counted and numbered in a byte.
inline constexpr int kTernaryPixels = 64;
inline constexpr int kTernaryChannels = 128;
constexpr int ternary_chunk(std::size_t element_bytes) { return int(256 / element_bytes); }

// Entries of a chunk's table that an output channel adds, and those that it subtracts.
struct TernaryCounts {
  std::uint8_t added;
  std::uint8_t subtracted;
};

// Some output channels of a ternary convolution, from first_block * 16 on.
struct TernaryGroup {
  int first_block;
  int channels;
  const TernaryCounts* counts;  // by chunk, then channel
  const std::uint8_t* entries;  // likewise, the numbers of those added first
};

// A convolution with weights -1, 0 and +1 at stride 1, see ternary.h.
struct TernaryTask {
  const std::uint8_t* input;  // pixel (0, 0), f32 or u8
  std::ptrdiff_t row_pitch;   // bytes
  std::ptrdiff_t pixel_pitch;
  int height;  // of the input
  int width;
  int channels;
  int zero_point;  // u8: subtracted from every value
  int pad_y;
  int pad_x;
  void* planes;               // one per input channel: floats, or 16-bit integers for u8
  std::ptrdiff_t plane_size;  // elements from one channel's plane to the next
  int plane_pitch;            // elements from one row to the next
  const std::int32_t* taps;   // by tap, elements from the plane of channel 0
  int tap_count;              // even
  const TernaryGroup* groups;
  int group_count;
  const float* mul;  // per output channel, padded to whole blocks
  const float* add;
  Epilogue epilogue;
};

// What a convolution multiplies and sums: sign bits, floats, or u8 by int8.
enum class Dot : int { binary, f32, int8 };
inline constexpr int kDots = 3;
inline constexpr int kGroupSizes = 3;  // 1, 2 or 4 blocks at a time

// A convolution kernel for groups of so many blocks, and the layout of weights that it reads.
struct ConvKernel {
  void (*run)(const ConvTask&, int begin, int end) = nullptr;  // null: there is none of this size
  // Turns one weight word of each channel, [block][lane], into what the kernel loads for a word:
  // `weight_vectors` vectors of 16 words for each block.
  void (*expand)(const std::uint32_t* words, int blocks, std::uint32_t* vectors) = nullptr;
  int weight_vectors = 1;
  int max_terms = 0;  // the longest sum that it holds; 0: every sum that a network may have
};

// Both halves of a ternary convolution; the first handles input rows.
struct TernaryKernel {
  void (*planes)(const TernaryTask&, int begin, int end);
  void (*conv)(const TernaryTask&, int begin, int end);
};

// The kernels of one instruction set. They handle output rows [begin, end).
struct KernelTable {
  const char* name;
  ConvKernel conv[kDots][kGroupSizes];                // by log2 of the blocks in a group
  void (*load)(const Epilogue&, int begin, int end);  // v = 0, then the steps
  void (*max_pool)(const PoolTask&, int begin, int end);
  TernaryKernel ternary[2];  // of f32, of u8
};

}  // namespace bihrnet
