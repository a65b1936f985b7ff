/* conv_direct_channels_f32 - vectors over output channels; see conv_direct_channels.inc. */
#define CK_REAL float
#define CK_NAME conv_direct_channels_f32
#include "conv_direct_channels.inc"
