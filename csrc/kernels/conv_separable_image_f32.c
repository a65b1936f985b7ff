/* conv_separable_image_f32 - outer products; see conv_separable_image.inc. */
#define CK_REAL float
#define CK_NAME conv_separable_image_f32
#define CK_SEPARABLE_TYPES CK_STRIP_TYPES_F32
#include "conv_separable_image.inc"
