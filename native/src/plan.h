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
  Placement f32_image;             // the image as floats, where a convolution reads it so
  bool has_f32_image = false;
  // By op and step, where a `mean` step sums its rows: offsets into the arena.
  std::vector<std::vector<std::size_t>> row_sums;
  std::size_t ternary_planes = 0;  // what each ternary convolution transposes its input into
  std::size_t bytes = 0;
};

// Throws std::invalid_argument where the network does not fit into a few GiB.
Plan plan_memory(const Network& network);

}  // namespace bihrnet
