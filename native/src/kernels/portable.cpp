// Kernels in plain C++, compiled for the oldest processor that the build supports.
#include "simd_portable.h"
// The kernels are templates over what the line above defines.
#include "conv.h"
#include "map.h"
#include "tables.h"
#include "ternary.h"

namespace bihrnet {

extern const KernelTable kPortable = {
    .name = "portable",
    .largest_group = {1, 1, 1},
    .planes = {1, 1, 1},
    .expand = {keep_words, keep_words, keep_words},
    .conv = {{conv<BinaryDot, 2, 2, 1>}, {conv<RealDot, 2, 2, 1>}, {conv<BytesDot, 2, 2, 1>}},
    .map = map<2, 1>,
    .max_pool = max_pool<2, 1>,
    .ternary = {{ternary_planes<FloatPlanes>, ternary_conv<FloatPlanes>},
                {ternary_planes<ShortPlanes>, ternary_conv<ShortPlanes>}},
};

}  // namespace bihrnet
