/* conv_winograd_2x2_f64 - 16 products for 2 x 2 outputs, at 0, +-1 and infinity; see conv_winograd.inc. */
#define CK_REAL double
#define CK_NAME conv_winograd_2x2_f64
enum { M = 2 };
static const CK_REAL POINTS[] = {1};
#include "conv_winograd.inc"
