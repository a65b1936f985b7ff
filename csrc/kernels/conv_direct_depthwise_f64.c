/* conv_direct_depthwise_f64 - layers of one channel per group; see conv_direct_depthwise.inc. */
#define CK_REAL double
#define CK_NAME conv_direct_depthwise_f64
#include "conv_direct_depthwise.inc"
