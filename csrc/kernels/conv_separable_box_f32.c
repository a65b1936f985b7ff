/* conv_separable_box_f32 - sums over rectangles; see conv_separable_box.inc. */
#define CK_REAL float
#define CK_NAME conv_separable_box_f32
#define CK_SEPARABLE_TYPES CK_STRIP_TYPES_F32
#include "conv_separable_box.inc"
