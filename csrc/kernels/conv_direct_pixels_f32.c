/* conv_direct_pixels_f32 - vectors over the pixels of a row; see conv_direct_pixels.inc. */
#define CK_REAL float
#define CK_NAME conv_direct_pixels_f32
#include "conv_direct_pixels.inc"
