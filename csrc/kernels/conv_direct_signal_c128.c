/* conv_direct_signal_c128 - one axis, one channel, complex128; see conv_direct_signal.inc. */
#define CK_REAL double
#define CK_PARTS 2
#define CK_NAME conv_direct_signal_c128
#include "conv_direct_signal.inc"
