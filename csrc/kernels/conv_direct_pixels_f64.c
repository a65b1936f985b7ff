/* conv_direct_pixels_f64 - vectors over the pixels of a row; see conv_direct_pixels.inc. */
#define CK_REAL double
#define CK_NAME conv_direct_pixels_f64
#include "conv_direct_pixels.inc"
