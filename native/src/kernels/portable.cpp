// Kernels in plain C++, compiled for the oldest processor that the build supports.
#include "simd_portable.h"
// The kernels are templates over what the line above defines.
#include "conv.h"
#include "load_pool.h"
#include "tables.h"
#include "ternary.h"

namespace bihrnet {

extern constinit const KernelTable kPortable = {
    .name = "portable",
    .conv = {{conv_kernel<BinaryDot, 2, 2, 1>()},
             {conv_kernel<F32Dot, 2, 2, 1>()},
             {conv_kernel<Int8Dot, 2, 2, 1>()}},
    .load = load_op<2, 1>,
    .max_pool = max_pool<2, 1>,
    .ternary = {{ternary_planes<FloatPlanes>, ternary_conv<FloatPlanes>},
                {ternary_planes<ShortPlanes>, ternary_conv<ShortPlanes>}},
};

}  // namespace bihrnet
