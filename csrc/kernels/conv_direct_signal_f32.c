/* conv_direct_signal_f32 - one axis, one channel, float32; see conv_direct_signal.inc. */
#define CK_REAL float
#define CK_PARTS 1
#define CK_NAME conv_direct_signal_f32
#include "conv_direct_signal.inc"
