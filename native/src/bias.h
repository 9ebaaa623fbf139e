// The bias of a convolution: what is added to its scaled sum, zero padding included.
//
// The format wants v = mul * S + add, where S sums only the taps on the image. Kernels sum all
// taps, also those on the border of zero bits and zero bytes around every stored tensor, and they
// sum stored values. What that makes different is known when a model is loaded, up to which taps
// are on the image, and goes into the bias.
//
// f32: a border value is 0 and adds nothing. S is the kernel's sum; the bias is `add`.
//
// Sign bits: a bit of 1 stands for -1. With n bits in the window, of which N differ from the
// weights', all taps sum to n - 2 N. A border bit stands for +1, so a tap off the image has added
// the sum of its weights, W(tap):
//
//     S = n - 2 N - sum over taps off the image of W(tap)
//     v = (-2 mul) N + [add + mul (n - sum over taps off the image of W(tap))]
//
// u8 by int8: a stored value q stands for q - z, with z the zero point, or the offset of the
// image's channel. A border byte q = 0 adds nothing to the kernel's sum K = sum w q:
//
//     S = K - sum over taps on the image of sum over channels of w z
//     v = mul K + [add - mul (sum over taps on the image of Z(tap))]
//
// The brackets depend on the output pixel only through the set of taps on the image. Rows of the
// output that lose the same kernel rows form a class, columns likewise, and the table has a bias
// for each pair of classes and each channel.
#pragma once

#include <vector>

#include "memory.h"
#include "network.h"

namespace bihrnet {

struct BiasTable {
  AlignedFloats bias;                // [row class][column class][padded channels]
  std::vector<std::int32_t> row;     // per output row, its class's position in `bias`
  std::vector<std::int32_t> column;  // per output column likewise, padded by a tile
};

// For an output of that height and width.
BiasTable bias_table(const ConvInfo& conv, const TensorInfo& input, int height, int width);

// The factor of the kernel's sum: `mul`, for sign bits times -2. Padded to whole blocks.
AlignedFloats kernel_mul(const ConvInfo& conv);

}  // namespace bihrnet
