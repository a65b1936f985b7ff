/* conv_direct_single_f64 - one channel; see conv_direct_single.inc. */
#define CK_REAL double
#define CK_NAME conv_direct_single_f64
#include "conv_direct_single.inc"
