/* conv_fft_signal_f64 - signals by overlap-save; see conv_fft_signal.inc. */
#define CK_REAL double
#define CK_COMPLEX 0
#define CK_TYPE CK_F64
#define CK_NAME conv_fft_signal_f64
#include "conv_fft_signal.inc"
