/* conv_fft_channels_f32 - layers with long filters by overlap-save; see conv_fft_channels.inc. */
#define CK_REAL float
#define CK_NAME conv_fft_channels_f32
#include "conv_fft_channels.inc"
