/* conv_fft_channels_f64 - layers with long filters by overlap-save; see conv_fft_channels.inc. */
#define CK_REAL double
#define CK_NAME conv_fft_channels_f64
#include "conv_fft_channels.inc"
