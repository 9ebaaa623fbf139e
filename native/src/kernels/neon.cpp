// Kernels for 64-bit ARM.
#include "simd_neon.h"
// The kernels are templates over what the line above defines.
#include "conv.h"
#include "map.h"
#include "tables.h"
#include "ternary.h"

namespace bihrnet {

// 32 registers, four for the sums of a pixel and block.
extern const KernelTable kNeon = {
    .name = "neon",
    .largest_group = {1, 1, 1},
    .planes = {1, 1, 2},
    .expand = {keep_words, keep_words, expand_bytes},
    .conv = {{conv<BinaryDot, 3, 4, 1>}, {conv<RealDot, 6, 4, 1>}, {conv<BytesDot, 3, 4, 1>}},
    .map = map<6, 1>,
    .max_pool = max_pool<6, 1>,
    .ternary = {{ternary_planes<FloatPlanes>, ternary_conv<FloatPlanes>},
                {ternary_planes<ShortPlanes>, ternary_conv<ShortPlanes>}},
};

}  // namespace bihrnet
