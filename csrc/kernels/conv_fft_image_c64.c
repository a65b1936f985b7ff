/* conv_fft_image_c64 - see conv_fft_image.inc. */
#define CK_REAL float
#define CK_COMPLEX 1
#define CK_TYPE CK_C64
#define CK_NAME conv_fft_image_c64
#include "conv_fft_image.inc"
