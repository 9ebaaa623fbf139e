#include "packing.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <utility>

namespace bihrnet {
namespace {

// The taps [first, last) of a window that lie on the image.
using Taps = std::pair<int, int>;

Taps taps_inside(int output, int stride, int pad, int kernel, int size) {
  const int start = output * stride - pad;
  return {start < 0 ? -start : 0, start + kernel > size ? size - start : kernel};
}

struct Classes {
  std::vector<Taps> taps;      // of each class
  std::vector<int> of_output;  // class of each output row or column
};

Classes classes(int outputs, int stride, int pad, int kernel, int size) {
  Classes result;
  std::map<Taps, int> known;
  for (int output = 0; output < outputs; ++output) {
    const Taps taps = taps_inside(output, stride, pad, kernel, size);
    const auto [entry, added] = known.emplace(taps, int(result.taps.size()));
    if (added) result.taps.push_back(taps);
    result.of_output.push_back(entry->second);
  }
  return result;
}

Classes one_class(int outputs, int kernel) {
  return {{{0, kernel}}, std::vector<int>(std::size_t(outputs), 0)};
}

bool inside(const Taps& taps, int tap) { return taps.first <= tap && tap < taps.second; }

// The sum of one tap's weights, each times its input channel's zero point (for bits: as it is).
double weighted_sum(const ConvInfo& conv, int channels, const std::uint8_t* tap) {
  if (conv.dot == Dot::binary) {
    int negative = 0;
    for (std::size_t byte = 0; byte < conv.tap_bytes; ++byte) negative += std::popcount(tap[byte]);
    return channels - 2.0 * negative;
  }
  double sum = 0;
  for (std::size_t c = 0; c < conv.zero_points.size(); ++c) {
    float weight = 0;
    if (conv.dot == Dot::bytes) {
      weight = float(std::int8_t(tap[c]));
    } else {
      std::memcpy(&weight, tap + 4 * c, 4);
    }
    sum += double(weight) * conv.zero_points[c];
  }
  return sum;
}

std::size_t blocks(std::size_t channels) { return (channels + kLanes - 1) / kLanes; }

}  // namespace

std::size_t pixel_bytes(ElementType type, int channels) {
  const auto count = std::size_t(channels);
  if (type == ElementType::real) return count * 4;
  if (type == ElementType::bytes) return count;
  return count <= 8 ? 1 : count <= 16 ? 2 : (count + 31) / 32 * 4;
}

PackedWeights pack_weights(const ConvInfo& conv, int input_pixel_bytes,
                           const KernelTable& kernels) {
  const auto dot = std::size_t(conv.dot);
  const auto pixel = std::size_t(input_pixel_bytes);
  const std::size_t channels = conv.scale.size();
  const std::size_t run = std::size_t(conv.kernel_width) * pixel;  // bytes of a kernel row
  const std::size_t words = (run + 3) / 4;
  const std::size_t used = conv.dot == Dot::binary ? std::min(pixel, conv.tap_bytes) : pixel;
  const auto planes = std::size_t(kernels.planes[dot]);
  const auto rows = std::size_t(conv.kernel_height);
  const std::size_t block_bytes = rows * words * planes * kLanes * 4;

  PackedWeights packed{
      AlignedMemory(blocks(channels) * block_bytes), {}, conv.kernel_height, int(words), 0};
  // Behind the last byte of a run lies the next pixel. Real and byte weights are zero there; bits
  // have no zero, so they are cut off.
  if (conv.dot == Dot::binary && run % 4 != 0) {
    packed.run_words -= 1;
    packed.tail_mask = (1u << (8 * (run % 4))) - 1;
  }

  std::uint8_t* out = packed.words.data();
  for (std::size_t block = 0; block < blocks(channels);) {
    int log2 = 2;
    while ((std::size_t(1) << log2) > blocks(channels) - block ||
           (1 << log2) > kernels.largest_group[dot]) {
      --log2;
    }
    packed.groups.push_back({int(block), log2, std::size_t(out - packed.words.data())});
    const std::size_t end = block + (std::size_t(1) << log2);
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t word = 0; word < words; ++word) {
        for (std::size_t b = block; b < end; ++b) {
          std::uint32_t lanes[kLanes] = {};
          for (std::size_t lane = 0; lane < kLanes && b * kLanes + lane < channels; ++lane) {
            const std::uint8_t* taps = conv.weights.data() + ((b * kLanes + lane) * rows + row) *
                                                                 std::size_t(conv.kernel_width) *
                                                                 conv.tap_bytes;
            for (std::size_t byte = 0; byte < 4; ++byte) {
              const std::size_t position = word * 4 + byte;
              if (position >= run || position % pixel >= used) continue;
              const std::uint8_t value = taps[position / pixel * conv.tap_bytes + position % pixel];
              lanes[lane] |= std::uint32_t(value) << (8 * byte);
            }
          }
          std::uint32_t expanded[2 * kLanes];
          kernels.expand[dot](lanes, expanded);
          std::memcpy(out, expanded, planes * kLanes * 4);
          out += planes * kLanes * 4;
        }
      }
    }
    block = end;
  }
  return packed;
}

OffsetTable offset_table(const ConvInfo& conv, const TensorInfo& input, int height, int width) {
  // Where zeros stand for zero, what lies off the image makes no difference.
  const bool alike = conv.dot != Dot::binary &&
                     std::all_of(conv.zero_points.begin(), conv.zero_points.end(),
                                 [](float zero_point) { return zero_point == 0; });
  const Classes rows =
      alike ? one_class(height, conv.kernel_height)
            : classes(height, conv.stride, conv.pad_y, conv.kernel_height, input.height);
  const Classes columns =
      alike ? one_class(width, conv.kernel_width)
            : classes(width, conv.stride, conv.pad_x, conv.kernel_width, input.width);
  const std::size_t channels = conv.scale.size();
  const std::size_t padded = blocks(channels) * kLanes;
  const int taps = conv.kernel_height * conv.kernel_width;
  // Bits: stored zeros around the image are +1 and have added their weights, so these taps are
  // taken out. Bytes: stored zeros have added nothing; the zero point is taken off the taps on the
  // image.
  const bool binary = conv.dot == Dot::binary;
  const double start = binary ? double(taps) * input.channels : 0.0;

  OffsetTable table;
  table.offsets.resize(rows.taps.size() * columns.taps.size() * padded);
  std::vector<double> taps_sum(static_cast<std::size_t>(taps));
  for (std::size_t channel = 0; channel < channels; ++channel) {
    for (std::size_t tap = 0; tap < taps_sum.size(); ++tap) {
      const std::uint8_t* weights =
          conv.weights.data() + (channel * taps_sum.size() + tap) * conv.tap_bytes;
      taps_sum[tap] = weighted_sum(conv, input.channels, weights);
    }
    for (std::size_t r = 0; r < rows.taps.size(); ++r) {
      for (std::size_t c = 0; c < columns.taps.size(); ++c) {
        double sum = start;
        for (int tap = 0; tap < taps; ++tap) {
          const bool on_image = inside(rows.taps[r], tap / conv.kernel_width) &&
                                inside(columns.taps[c], tap % conv.kernel_width);
          if (on_image != binary) sum -= taps_sum[std::size_t(tap)];
        }
        table.offsets[(r * columns.taps.size() + c) * padded + channel] =
            float(double(conv.scale[channel]) * sum + conv.shift[channel]);
      }
    }
  }
  const std::size_t row_size = columns.taps.size() * padded;
  for (const int row : rows.of_output) table.row_offsets.push_back(row * std::int32_t(row_size));
  for (const int c : columns.of_output) table.column_offsets.push_back(c * std::int32_t(padded));
  // A tile that the right edge cuts off looks up offsets for pixels that it does not store.
  table.column_offsets.resize(table.column_offsets.size() + kMaxTile, 0);
  return table;
}

AlignedFloats kernel_scale(const ConvInfo& conv) {
  AlignedFloats scale(conv.scale.begin(), conv.scale.end());
  if (conv.dot == Dot::binary) {
    for (float& value : scale) value *= -2;
  }
  scale.resize(blocks(scale.size()) * kLanes, 0.0f);
  return scale;
}

}  // namespace bihrnet
