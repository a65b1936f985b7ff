/* fft_taps.h - a filter on its way into a transform: back to front, as weights of a correlation
 * are, with the sign of the ring that it wraps around in.
 */
#ifndef CONVKIT_FFT_TAPS_H
#define CONVKIT_FFT_TAPS_H
#include "core.h"
#include "vec.h"

/* to[-k * step] = factor * w[k * parts] of `count` taps: a filter back to front. */
CK_APART void fft_put_taps(const real *w, int parts, int64_t count, int64_t step,
                           real factor, real *to)
{
    if (step == 1)
        for (int64_t k = 0; k < count; k++) to[-k] = factor * w[k * parts];
    else
        for (int64_t k = 0; k < count; k++) to[-k * step] = factor * w[k * parts];
}
#endif
