#define BIHRNET_PASSES kAvx2
#include "training/passes_impl.h"
