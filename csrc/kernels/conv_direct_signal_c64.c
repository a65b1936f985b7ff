/* conv_direct_signal_c64 - one axis, one channel, complex64; see conv_direct_signal.inc. */
#define CK_REAL float
#define CK_PARTS 2
#define CK_NAME conv_direct_signal_c64
#include "conv_direct_signal.inc"
