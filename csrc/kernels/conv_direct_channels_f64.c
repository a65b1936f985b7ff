/* conv_direct_channels_f64 - vectors over output channels; see conv_direct_channels.inc. */
#define CK_REAL double
#define CK_NAME conv_direct_channels_f64
#include "conv_direct_channels.inc"
