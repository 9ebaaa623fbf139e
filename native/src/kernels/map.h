// Ops without a convolution: sums of (up-sampled) tensors and the SE gate's product.
#pragma once

#include "epilogue.h"

namespace bihrnet {
namespace {

template <int P, int G>
inline void map_row(const Epilogue& epilogue, int y, int block) {
  for (int x = 0; x < epilogue.width; x += P) {
    Floats v[P][G];
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) v[p][g] = zeros();
    }
    const int left = epilogue.width - x;
    run_steps<P, G>(v, epilogue, Place{y, x, left < P ? left : P, block});
  }
}

// Tiles of P pixels x G blocks, and x 1 block for the last ones.
template <int P, int G>
void map(const Epilogue& epilogue, int begin, int end) {
  const int blocks = (epilogue.channels + kLanes - 1) / kLanes;
  for (int y = begin; y < end; ++y) {
    int block = 0;
    for (; block + G <= blocks; block += G) map_row<P, G>(epilogue, y, block);
    for (; block < blocks; ++block) map_row<P, 1>(epilogue, y, block);
  }
}

}  // namespace
}  // namespace bihrnet
