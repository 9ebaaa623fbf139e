#include "bias.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <utility>

namespace bihrnet {
namespace {

// The taps [first, last) of a window that lie on the image, along one axis.
using Taps = std::pair<int, int>;

Taps taps_inside(int output, int stride, int pad, int kernel, int size) {
  const int start = output * stride - pad;
  return {start < 0 ? -start : 0, start + kernel > size ? size - start : kernel};
}

bool inside(const Taps& taps, int tap) { return taps.first <= tap && tap < taps.second; }

// Output rows, or columns, by the taps that they have.
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

// Whether the padding makes a difference: not where stored zeros stand for zero.
bool depends_on_padding(const ConvInfo& conv) {
  return conv.dot == Dot::binary || std::any_of(conv.offset.begin(), conv.offset.end(),
                                                [](float offset) { return offset != 0; });
}

// W(tap): the sum of one tap's weights, +1 and -1.
double sign_sum(const std::uint8_t* tap, std::size_t bytes, int channels) {
  int negative = 0;
  for (std::size_t byte = 0; byte < bytes; ++byte) negative += std::popcount(tap[byte]);
  return channels - 2.0 * negative;
}

float weight_at(Dot dot, const std::uint8_t* tap, std::size_t channel) {
  if (dot == Dot::int8) return float(std::int8_t(tap[channel]));
  float weight;
  std::memcpy(&weight, tap + 4 * channel, 4);
  return weight;
}

// Z(tap): the sum of one tap's weights, each times the offset of its input channel.
double offset_sum(const ConvInfo& conv, const std::uint8_t* tap) {
  double sum = 0;
  for (std::size_t c = 0; c < conv.offset.size(); ++c) {
    sum += double(weight_at(conv.dot, tap, c)) * conv.offset[c];
  }
  return sum;
}

// W or Z of each tap of an output channel, [kernel row][kernel column].
std::vector<double> tap_sums(const ConvInfo& conv, std::size_t channel, int input_channels) {
  std::vector<double> sums(std::size_t(conv.kernel_height) * std::size_t(conv.kernel_width));
  const std::uint8_t* tap = conv.weights.data() + channel * sums.size() * conv.tap_bytes;
  for (double& sum : sums) {
    sum = conv.dot == Dot::binary ? sign_sum(tap, conv.tap_bytes, input_channels)
                                  : offset_sum(conv, tap);
    tap += conv.tap_bytes;
  }
  return sums;
}

// What is missing from the kernel's sum, where these taps are on the image.
double correction(const ConvInfo& conv, const std::vector<double>& tap_sums, const Taps& rows,
                  const Taps& columns, int input_channels) {
  const bool binary = conv.dot == Dot::binary;
  double sum = binary ? double(tap_sums.size()) * input_channels : 0.0;
  for (int tap = 0; tap < int(tap_sums.size()); ++tap) {
    const bool on_image =
        inside(rows, tap / conv.kernel_width) && inside(columns, tap % conv.kernel_width);
    if (on_image != binary) sum -= tap_sums[std::size_t(tap)];
  }
  return sum;
}

std::vector<std::int32_t> positions(const Classes& classes, std::size_t class_size) {
  std::vector<std::int32_t> result;
  for (const int number : classes.of_output) result.push_back(number * std::int32_t(class_size));
  return result;
}

}  // namespace

BiasTable bias_table(const ConvInfo& conv, const TensorInfo& input, int height, int width) {
  const bool padded = depends_on_padding(conv);
  const Classes rows =
      padded ? classes(height, conv.stride, conv.pad_y, conv.kernel_height, input.height)
             : one_class(height, conv.kernel_height);
  const Classes columns =
      padded ? classes(width, conv.stride, conv.pad_x, conv.kernel_width, input.width)
             : one_class(width, conv.kernel_width);
  const std::size_t channels = conv.mul.size();
  const std::size_t column_size = round_up(channels, kLanes);
  const std::size_t row_size = columns.taps.size() * column_size;

  BiasTable table;
  table.bias.resize(rows.taps.size() * row_size);
  for (std::size_t channel = 0; channel < channels; ++channel) {
    const std::vector<double> sums = tap_sums(conv, channel, input.channels);
    for (std::size_t r = 0; r < rows.taps.size(); ++r) {
      for (std::size_t c = 0; c < columns.taps.size(); ++c) {
        const double missing =
            correction(conv, sums, rows.taps[r], columns.taps[c], input.channels);
        table.bias[r * row_size + c * column_size + channel] =
            float(double(conv.mul[channel]) * missing + conv.add[channel]);
      }
    }
  }
  table.row = positions(rows, row_size);
  table.column = positions(columns, column_size);
  // A tile that the right edge cuts off looks up the bias of pixels that it does not store.
  table.column.resize(table.column.size() + kMaxTile, 0);
  return table;
}

AlignedFloats kernel_mul(const ConvInfo& conv) {
  AlignedFloats mul(conv.mul.begin(), conv.mul.end());
  if (conv.dot == Dot::binary) {
    for (float& value : mul) value *= -2;
  }
  mul.resize(round_up(mul.size(), kLanes), 0.0f);
  return mul;
}

}  // namespace bihrnet
