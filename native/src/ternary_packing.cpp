#include "ternary_packing.h"

#include <algorithm>
#include <utility>

#include "memory.h"

namespace bihrnet {
namespace {

std::size_t element_bytes(const TensorInfo& input) {
  return input.type == ElementType::f32 ? sizeof(float) : sizeof(std::int16_t);
}

// Weights by output channel and tap; taps are ordered by input channel, then row, then column.
class Weights {
 public:
  Weights(const ConvInfo& conv, int inputs)
      : conv_(conv), inputs_(inputs), window_(conv.kernel_height * conv.kernel_width) {}

  int taps() const { return inputs_ * window_; }
  int channel(int tap) const { return tap / window_; }
  int row(int tap) const { return tap % window_ / conv_.kernel_width; }
  int column(int tap) const { return tap % conv_.kernel_width; }

  // -1, 0 or +1; 0 behind the last tap.
  int operator()(std::size_t output, int tap) const {
    if (tap >= taps()) return 0;
    const std::size_t negative = conv_.weights.size() / 2;  // where the bits of -1 begin
    const std::size_t pixel = output * std::size_t(window_) + std::size_t(tap % window_);
    const std::size_t byte = pixel * conv_.tap_bytes + std::size_t(channel(tap) / 8);
    const auto bit = [&](std::size_t at) { return conv_.weights[at] >> (channel(tap) % 8) & 1; };
    return bit(byte) - bit(negative + byte);
  }

 private:
  const ConvInfo& conv_;
  const int inputs_;
  const int window_;
};

// The entry of a pair's sum among its a, b, a + b and a - b, up to its sign.
int form(int a, int b) {
  if (b == 0) return 0;
  if (a == 0) return 1;
  return a == b ? 2 : 3;
}

}  // namespace

PlaneLayout plane_layout(const ConvInfo& conv, const TensorInfo& input) {
  const std::size_t element = element_bytes(input);
  PlaneLayout layout{};
  layout.pitch = input.width + conv.pad_x;
  const auto rows = std::size_t(input.height) + 2 * std::size_t(conv.pad_y);
  const std::size_t used = rows * std::size_t(layout.pitch) + std::size_t(conv.pad_x);
  // An odd number of cache lines: one tap of all channels would else fall into few sets of a cache.
  const std::size_t lines = round_up(used * element, kCacheLine) / kCacheLine | 1;
  layout.size = std::ptrdiff_t(lines * kCacheLine / element);
  const std::size_t behind = std::size_t(kTernaryPixels + conv.kernel_width) * element;
  layout.bytes = std::size_t(input.channels) * lines * kCacheLine + behind;
  return layout;
}

PackedTernary pack_ternary(const ConvInfo& conv, const TensorInfo& input,
                           const PlaneLayout& layout) {
  const Weights weights(conv, input.channels);
  PackedTernary packed;
  for (int tap = 0; tap < weights.taps(); ++tap) {
    packed.taps.push_back(std::int32_t(weights.channel(tap) * layout.size +
                                       weights.row(tap) * layout.pitch + weights.column(tap)));
  }
  // The partner of an odd last tap; nobody uses it.
  if (packed.taps.size() % 2 == 1) packed.taps.push_back(packed.taps.back());

  const int chunk = ternary_chunk(element_bytes(input));
  const int outputs = int(conv.mul.size());
  std::vector<std::pair<std::size_t, std::size_t>> starts;  // of each group's counts and entries
  for (int first = 0; first < outputs; first += kTernaryChannels) {
    const int last = std::min(first + kTernaryChannels, outputs);
    starts.emplace_back(packed.counts.size(), packed.entries.size());
    packed.groups.push_back({first / kLanes, last - first, nullptr, nullptr});
    for (int begin = 0; begin < weights.taps(); begin += chunk) {
      for (int output = first; output < last; ++output) {
        std::vector<std::uint8_t> used[2];  // added, subtracted
        for (int tap = begin; tap < std::min(begin + chunk, weights.taps()); tap += 2) {
          const int a = weights(std::size_t(output), tap);
          const int b = weights(std::size_t(output), tap + 1);
          if (a == 0 && b == 0) continue;
          const int sign = a != 0 ? a : b;
          used[sign < 0].push_back(std::uint8_t((tap - begin) / 2 * 4 + form(a, b)));
        }
        packed.counts.push_back({std::uint8_t(used[0].size()), std::uint8_t(used[1].size())});
        for (const auto& list : used) {
          packed.entries.insert(packed.entries.end(), list.begin(), list.end());
        }
      }
    }
  }
  for (std::size_t g = 0; g < packed.groups.size(); ++g) {
    packed.groups[g].counts = packed.counts.data() + starts[g].first;
    packed.groups[g].entries = packed.entries.data() + starts[g].second;
  }
  return packed;
}

}  // namespace bihrnet
