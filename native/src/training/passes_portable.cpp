#define BIHRNET_PASSES kPortable
#include "training/passes_impl.h"
