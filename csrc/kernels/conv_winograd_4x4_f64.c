/* conv_winograd_4x4_f64 - 36 products for 4 x 4 outputs; see conv_winograd.inc.
 *
 * At 0, +-5/8, +-3/2 and infinity errors are half of those at the usual 0, +-1, +-2. */
#define CK_REAL double
#define CK_NAME conv_winograd_4x4_f64
enum { M = 4 };
static const CK_REAL POINTS[] = {(CK_REAL)0.625, (CK_REAL)1.5};
#include "conv_winograd.inc"
