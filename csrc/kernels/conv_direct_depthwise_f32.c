/* conv_direct_depthwise_f32 - layers of one channel per group; see conv_direct_depthwise.inc. */
#define CK_REAL float
#define CK_NAME conv_direct_depthwise_f32
#include "conv_direct_depthwise.inc"
