/* conv_direct_single_f32 - one channel; see conv_direct_single.inc. */
#define CK_REAL float
#define CK_NAME conv_direct_single_f32
#include "conv_direct_single.inc"
