// A target needs a file to compile.
#include "CCUDA.h"
