/* conv_fft_signal_c128 - signals by overlap-save; see conv_fft_signal.inc. */
#define CK_REAL double
#define CK_COMPLEX 1
#define CK_TYPE CK_C128
#define CK_NAME conv_fft_signal_c128
#include "conv_fft_signal.inc"
