/* conv_fft_image_f32 - see conv_fft_image.inc. */
#define CK_REAL float
#define CK_COMPLEX 0
#define CK_TYPE CK_F32
#define CK_NAME conv_fft_image_f32
#include "conv_fft_image.inc"
