#define BIHRNET_PASSES kAvx512
#include "training/passes_impl.h"
