/* conv_fft_signal_f32 - signals by overlap-save; see conv_fft_signal.inc. */
#define CK_REAL float
#define CK_COMPLEX 0
#define CK_TYPE CK_F32
#define CK_NAME conv_fft_signal_f32
#include "conv_fft_signal.inc"
