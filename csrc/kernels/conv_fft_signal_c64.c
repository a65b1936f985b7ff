/* conv_fft_signal_c64 - signals by overlap-save; see conv_fft_signal.inc. */
#define CK_REAL float
#define CK_COMPLEX 1
#define CK_TYPE CK_C64
#define CK_NAME conv_fft_signal_c64
#include "conv_fft_signal.inc"
