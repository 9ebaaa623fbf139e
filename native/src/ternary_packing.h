// Ternary convolutions as their kernels read them (kernels/ternary.h).
#pragma once

#include <cstddef>
#include <vector>

#include "kernels/types.h"
#include "network.h"

namespace bihrnet {

// A tensor as one plane per channel. Rows lie `pitch` elements apart, the padding at their start
// being that at the end of the row before; above and below are rows of zeros.
struct PlaneLayout {
  int pitch;
  std::ptrdiff_t size;  // elements of a plane
  std::size_t bytes;    // of all planes, and of what a last tile reads behind them
};

PlaneLayout plane_layout(const ConvInfo& conv, const TensorInfo& input);

struct PackedTernary {
  std::vector<std::int32_t> taps;
  std::vector<TernaryCounts> counts;
  std::vector<std::uint8_t> entries;
  std::vector<TernaryGroup> groups;  // they point into the others
};

PackedTernary pack_ternary(const ConvInfo& conv, const TensorInfo& input,
                           const PlaneLayout& layout);

}  // namespace bihrnet
