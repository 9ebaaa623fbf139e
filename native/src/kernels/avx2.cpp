// Kernels for AVX2 with FMA.
#include "simd_avx2.h"
// The kernels are templates over what the line above defines.
#include "conv.h"
#include "map.h"
#include "tables.h"
#include "ternary.h"

namespace bihrnet {

// 16 registers, two for the sums of a pixel and block.
extern const KernelTable kAvx2 = {
    .name = "avx2",
    .largest_group = {1, 1, 1},
    .planes = {2, 1, 2},
    .expand = {expand_bits, keep_words, expand_bytes},
    .conv = {{conv<BinaryDot, 3, 4, 1>}, {conv<RealDot, 6, 4, 1>}, {conv<BytesDot, 3, 4, 1>}},
    .map = map<6, 1>,
    .max_pool = max_pool<6, 1>,
    .ternary = {{ternary_planes<FloatPlanes>, ternary_conv<FloatPlanes>},
                {ternary_planes<ShortPlanes>, ternary_conv<ShortPlanes>}},
};

}  // namespace bihrnet
