#include "packing.h"

#include <algorithm>
#include <cstring>

namespace bihrnet {
namespace {

constexpr std::size_t kWordBytes = 4;
constexpr std::size_t kVectorBytes = kLanes * kWordBytes;

// A kernel row of weights over one pixel of the output: bytes of `kernel_width` input pixels, cut
// into words. Weights and activations have the same layout, but that a tap of sign bits in the file
// fills 64-bit words, and a stored pixel fills no more bytes than it needs.
struct RunLayout {
  std::size_t taps;
  std::size_t pixel_bytes;  // from one tap to the next in memory
  std::size_t tap_bytes;    // from one tap to the next in the weights
  std::size_t used_bytes;   // of a tap, the rest of a stored pixel is zero

  std::size_t bytes() const { return taps * pixel_bytes; }
  std::size_t words() const { return (bytes() + kWordBytes - 1) / kWordBytes; }
};

RunLayout run_layout(const ConvInfo& conv, std::size_t pixel_bytes) {
  return {std::size_t(conv.kernel_width), pixel_bytes, conv.tap_bytes,
          std::min(pixel_bytes, conv.tap_bytes)};
}

// Beyond the last byte of a run lies the next pixel. f32 and int8 weights are zero there; bits have
// no zero, so those of the activations are masked.
std::uint32_t tail_mask(Dot dot, const RunLayout& run) {
  const std::size_t rest = run.bytes() % kWordBytes;
  return dot == Dot::binary && rest != 0 ? (1u << (8 * rest)) - 1 : 0;
}

bool holds(const ConvKernel& kernel, int terms) {
  return kernel.run != nullptr && (kernel.max_terms == 0 || terms <= kernel.max_terms);
}

// The blocks in groups as large as there are kernels for sums of so many terms, the largest first.
std::vector<BlockGroup> group_blocks(int blocks, int terms,
                                     const ConvKernel (&kernels)[kGroupSizes]) {
  std::vector<BlockGroup> groups;
  for (int first = 0; first < blocks;) {
    int log2 = kGroupSizes - 1;
    while ((1 << log2) > blocks - first || !holds(kernels[log2], terms)) --log2;
    groups.push_back({first, log2, 0});
    first += 1 << log2;
  }
  return groups;
}

// One kernel row of some output channels, [channel][word]. Channels that the convolution does not
// have are zero.
std::vector<std::uint32_t> kernel_row_words(const ConvInfo& conv, const RunLayout& run,
                                            std::size_t row, std::size_t first_channel,
                                            std::size_t count) {
  std::vector<std::uint32_t> words(count * run.words(), 0);
  const std::size_t last_channel = std::min(first_channel + count, conv.mul.size());
  for (std::size_t channel = first_channel; channel < last_channel; ++channel) {
    auto* bytes =
        reinterpret_cast<std::uint8_t*>(words.data() + (channel - first_channel) * run.words());
    const std::size_t first_tap = (channel * std::size_t(conv.kernel_height) + row) * run.taps;
    const std::uint8_t* weights = conv.weights.data() + first_tap * run.tap_bytes;
    for (std::size_t tap = 0; tap < run.taps; ++tap) {
      std::memcpy(bytes + tap * run.pixel_bytes, weights + tap * run.tap_bytes, run.used_bytes);
    }
  }
  return words;
}

// All kernel rows of a group, one word of each of its channels after the other.
void pack_group(const ConvInfo& conv, const RunLayout& run, const BlockGroup& group,
                const ConvKernel& kernel, std::uint8_t* out) {
  const int blocks = 1 << group.log2_blocks;
  const std::size_t channels = std::size_t(blocks) * kLanes;
  const auto first_channel = std::size_t(group.first_block) * kLanes;
  std::vector<std::uint32_t> word(channels);  // of each channel
  std::vector<std::uint32_t> vectors(channels * std::size_t(kernel.weight_vectors));
  for (int row = 0; row < conv.kernel_height; ++row) {
    const std::vector<std::uint32_t> words =
        kernel_row_words(conv, run, std::size_t(row), first_channel, channels);
    for (std::size_t i = 0; i < run.words(); ++i) {
      for (std::size_t c = 0; c < channels; ++c) word[c] = words[c * run.words() + i];
      kernel.expand(word.data(), blocks, vectors.data());
      std::memcpy(out, vectors.data(), vectors.size() * kWordBytes);
      out += vectors.size() * kWordBytes;
    }
  }
}

}  // namespace

std::size_t pixel_bytes(ElementType type, int channels) {
  const auto count = std::size_t(channels);
  if (type == ElementType::f32) return count * 4;
  if (type == ElementType::u8) return count;
  return count <= 8 ? 1 : count <= 16 ? 2 : (count + 31) / 32 * 4;
}

PackedWeights pack_weights(const ConvInfo& conv, const TensorInfo& input, int input_pixel_bytes,
                           const KernelTable& kernels) {
  const ConvKernel(&sizes)[kGroupSizes] = kernels.conv[std::size_t(conv.dot)];
  const RunLayout run = run_layout(conv, std::size_t(input_pixel_bytes));
  const int blocks = int(round_up(conv.mul.size(), kLanes) / kLanes);
  const int terms = conv.kernel_height * conv.kernel_width * input.channels;
  std::vector<BlockGroup> groups = group_blocks(blocks, terms, sizes);
  std::size_t bytes = 0;
  for (BlockGroup& group : groups) {
    group.offset = bytes;
    const auto vectors = std::size_t(sizes[group.log2_blocks].weight_vectors) << group.log2_blocks;
    bytes += std::size_t(conv.kernel_height) * run.words() * vectors * kVectorBytes;
  }

  const std::uint32_t mask = tail_mask(conv.dot, run);
  const int whole_words = int(run.words()) - (mask != 0 ? 1 : 0);
  PackedWeights packed{AlignedMemory(bytes), std::move(groups), conv.kernel_height, whole_words,
                       mask};
  for (const BlockGroup& group : packed.groups) {
    pack_group(conv, run, group, sizes[group.log2_blocks], packed.words.data() + group.offset);
  }
  return packed;
}

}  // namespace bihrnet
