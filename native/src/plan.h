// Where every tensor of a network lies in one block of memory.
//
// Tensors whose lives do not overlap share a slot, but only tensors of exactly the same geometry:
// so the borders around them, zeroed once when a model is loaded, stay zero in every run.
#pragma once

#include <cstddef>
#include <vector>

#include "network.h"

namespace bihrnet {

// A tensor's memory. Around the image lies a border as wide as the widest padding
// with which any tensor of this type and size is read.
struct Placement {
  std::size_t origin = 0;  // of pixel (0, 0), from the start of the arena
  std::ptrdiff_t row_pitch = 0;
  std::ptrdiff_t pixel_pitch = 0;
};

struct Plan {
  std::vector<Placement> tensors;  // by number
  Placement real_image;            // the image as floats, where a convolution reads it so
  bool has_real_image = false;
  std::vector<std::vector<std::size_t>> row_sums;  // by op and step: offsets (steps that sum rows)
  std::size_t planes =
      0;  // what one ternary convolution after the other takes its input apart into
  std::size_t bytes = 0;
};

// Throws std::invalid_argument where the network does not fit into a few GiB.
Plan plan_memory(const Network& network);

}  // namespace bihrnet
