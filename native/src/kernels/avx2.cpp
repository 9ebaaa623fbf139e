// Kernels for AVX2 with FMA.
#include "simd_avx2.h"
// The kernels are templates over what the line above defines.
#include "binary_lookup_avx2.h"
#include "conv.h"
#include "load_pool.h"
#include "tables.h"
#include "ternary.h"

namespace bihrnet {

// 16 registers. Sums of a pixel and block take two, but those of the look-up one.
extern constinit const KernelTable kAvx2 = {
    .name = "avx2",
    .conv = {{conv_kernel<BinaryDot, 3, 4, 1>(),
              {lookup_conv<6, 4, 2>, expand_nibbles, 2, kLookupTerms}},
             {conv_kernel<F32Dot, 6, 4, 1>()},
             {conv_kernel<Int8Dot, 3, 4, 1>()}},
    .load = load_op<6, 1>,
    .max_pool = max_pool<6, 1>,
    .ternary = {{ternary_planes<FloatPlanes>, ternary_conv<FloatPlanes>},
                {ternary_planes<ShortPlanes>, ternary_conv<ShortPlanes>}},
};

}  // namespace bihrnet
