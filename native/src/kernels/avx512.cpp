// Kernels for AVX-512 with VNNI and VPOPCNTDQ.
#include "simd_avx512.h"
// The kernels are templates over what the line above defines.
#include "conv.h"
#include "map.h"
#include "tables.h"
#include "ternary.h"

namespace bihrnet {

// 32 registers: 24 sums, weights, a broadcast word. Large tiles not only reuse what they load, they
// also run the epilogue's steps for many vectors at a time.
extern const KernelTable kAvx512 = {
    .name = "avx512",
    .largest_group = {4, 4, 4},
    .planes = {1, 1, 1},
    .expand = {keep_words, keep_words, keep_words},
    .conv = {{conv<BinaryDot, 6, 8, 1>, conv<BinaryDot, 6, 8, 2>, conv<BinaryDot, 6, 4, 4>},
             {conv<RealDot, 6, 8, 1>, conv<RealDot, 6, 8, 2>, conv<RealDot, 6, 4, 4>},
             {conv<BytesDot, 6, 8, 1>, conv<BytesDot, 6, 8, 2>, conv<BytesDot, 6, 4, 4>}},
    .map = map<6, 4>,
    .max_pool = max_pool<6, 4>,
    .ternary = {{ternary_planes<FloatPlanes>, ternary_conv<FloatPlanes>},
                {ternary_planes<ShortPlanes>, ternary_conv<ShortPlanes>}},
};

}  // namespace bihrnet
