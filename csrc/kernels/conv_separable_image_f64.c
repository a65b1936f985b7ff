/* conv_separable_image_f64 - outer products; see conv_separable_image.inc. */
#define CK_REAL double
#define CK_NAME conv_separable_image_f64
#define CK_SEPARABLE_TYPES CK_STRIP_TYPES_F64
#include "conv_separable_image.inc"
