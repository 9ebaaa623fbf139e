// Kernels for AVX-512 with VNNI and VPOPCNTDQ.
#include "simd_avx512.h"
// The kernels are templates over what the line above defines.
#include "conv.h"
#include "load_pool.h"
#include "tables.h"
#include "ternary.h"

namespace bihrnet {

// 32 registers: 24 sums, weights, a broadcast word. Large tiles not only reuse what they load, they
// also run the epilogue's steps for many vectors at a time.
extern constinit const KernelTable kAvx512 = {
    .name = "avx512",
    .conv = {{conv_kernel<BinaryDot, 6, 8, 1>(), conv_kernel<BinaryDot, 6, 8, 2>(),
              conv_kernel<BinaryDot, 6, 4, 4>()},
             {conv_kernel<F32Dot, 6, 8, 1>(), conv_kernel<F32Dot, 6, 8, 2>(),
              conv_kernel<F32Dot, 6, 4, 4>()},
             {conv_kernel<Int8Dot, 6, 8, 1>(), conv_kernel<Int8Dot, 6, 8, 2>(),
              conv_kernel<Int8Dot, 6, 4, 4>()}},
    .load = load_op<6, 4>,
    .max_pool = max_pool<6, 4>,
    .ternary = {{ternary_planes<FloatPlanes>, ternary_conv<FloatPlanes>},
                {ternary_planes<ShortPlanes>, ternary_conv<ShortPlanes>}},
};

}  // namespace bihrnet
