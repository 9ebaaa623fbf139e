// Which instruction set runs.
#pragma once

#include <string>
#include <vector>

#include "kernels/types.h"

namespace bihrnet {

// Names of the instruction sets that this build holds and this processor has, the best first.
std::vector<std::string> usable_isas();

// The kernels of `name`.
// Throws std::invalid_argument, with a sentence, where this processor or build lacks it.
const KernelTable& kernels(const std::string& name);

}  // namespace bihrnet
