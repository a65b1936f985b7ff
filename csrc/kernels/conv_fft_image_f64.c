/* conv_fft_image_f64 - see conv_fft_image.inc. */
#define CK_REAL double
#define CK_COMPLEX 0
#define CK_TYPE CK_F64
#define CK_NAME conv_fft_image_f64
#include "conv_fft_image.inc"
