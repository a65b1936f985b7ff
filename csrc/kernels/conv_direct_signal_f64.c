/* conv_direct_signal_f64 - one axis, one channel, float64; see conv_direct_signal.inc. */
#define CK_REAL double
#define CK_PARTS 1
#define CK_NAME conv_direct_signal_f64
#include "conv_direct_signal.inc"
