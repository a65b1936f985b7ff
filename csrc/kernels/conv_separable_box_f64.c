/* conv_separable_box_f64 - sums over rectangles; see conv_separable_box.inc. */
#define CK_REAL double
#define CK_NAME conv_separable_box_f64
#define CK_SEPARABLE_TYPES CK_STRIP_TYPES_F64
#include "conv_separable_box.inc"
