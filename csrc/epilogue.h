/* epilogue.h - what happens to a finished sum on its way to y: residual, activation. */
#ifndef CONVKIT_EPILOGUE_H
#define CONVKIT_EPILOGUE_H
#include <math.h>
#include "core.h"
#include "vec.h"

/* libm at the kernel's precision. */
static inline real exp_(real a) { return sizeof(real) == 4 ? expf((float)a) : exp(a); }
static inline real tanh_(real a) { return sizeof(real) == 4 ? tanhf((float)a) : tanh(a); }
static inline real erf_(real a) { return sizeof(real) == 4 ? erff((float)a) : erf(a); }

static real activate_one(int32_t activation, real a)
{
    switch (activation) {
    case CK_SIGMOID: return 1 / (1 + exp_(-a));
    case CK_TANH: return tanh_(a);
    case CK_SILU: return a / (1 + exp_(-a));
    case CK_GELU: return (real)0.5 * a * (1 + erf_(a * (real)0.70710678118654752440));
    default: return a;
    }
}

/* NaN stays NaN: every comparison with it is false. */
CK_INLINE vec clip(vec v, vec low, vec high)
{
    v = vec_select(v < low, low, v);
    return vec_select(v > high, high, v);
}

static inline vec activate(const ck_conv *conv, vec v)
{
    const vec low = vec_set1((real)conv->activation_low);
    switch (conv->activation) {
    case CK_NONE: return v;
    case CK_CLIP: return clip(v, low, vec_set1((real)conv->activation_high));
    case CK_LEAKY_RELU: return vec_select(v < vec_set1(0), v * low, v);
    case CK_HARDSWISH:
        return v * clip(v + vec_set1(3), vec_set1(0), vec_set1(6)) / vec_set1(6);
    default:
        for (int i = 0; i < LANES; i++) v[i] = activate_one(conv->activation, v[i]);
        return v;
    }
}

/* Where the outputs of one row go, and what is added to them on the way. */
typedef struct row_out {
    const ck_conv *conv;
    real *y;
    const real *residual; /* NULL: none */
    int plain;            /* sums go to y as they are, side by side */
} row_out;

static inline row_out row_out_of(const ck_conv *conv, const ck_arrays *arrays, int64_t batch,
                                 int64_t channel, int64_t d, int64_t h, int64_t w)
{
    const ck_axis *a = conv->axis;
    row_out out = {conv, NULL, NULL, 0};
    out.y = (real *)arrays->y + batch * conv->y_batch_stride + channel * conv->y_channel_stride
          + d * a[0].y_stride + h * a[1].y_stride + w * a[2].y_stride;
    if (arrays->residual)
        out.residual = (const real *)arrays->residual + batch * conv->residual_batch_stride
                     + channel * conv->residual_channel_stride + d * a[0].residual_stride
                     + h * a[1].residual_stride + w * a[2].residual_stride;
    out.plain = !out.residual && conv->activation == CK_NONE && a[2].y_stride == 1;
    return out;
}

/* Finish n <= LANES sums that lie `y_step` (and `residual_step`) apart from `y` on.
 * Not inlined: tiles hold dozens of sums. */
CK_APART void finish(const ck_conv *conv, vec v, int64_t n, real *y, int64_t y_step,
                          const real *residual, int64_t residual_step)
{
    if (residual) {
        vec r = {0};
        if (residual_step == 1)
            r = vec_load_n(residual, n);
        else
            for (int64_t i = 0; i < n; i++) r[i] = residual[i * residual_step];
        v += r;
    }
    if (conv->activation != CK_NONE) v = activate(conv, v);
    if (y_step != 1)
        for (int64_t i = 0; i < n; i++) y[i * y_step] = v[i];
    else if (n == LANES)
        vec_store(y, v);
    else
        vec_store_n(y, v, n);
}

/* Finish n <= LANES outputs of a row, `column` outputs from where it starts. */
CK_INLINE void finish_row(const row_out *out, vec v, int64_t column, int64_t n)
{
    const ck_axis *width = &out->conv->axis[2];
    if (out->plain && n == LANES)
        vec_store(out->y + column, v);
    else
        finish(out->conv, v, n, out->y + column * width->y_stride, width->y_stride,
               out->residual ? out->residual + column * width->residual_stride : NULL,
               width->residual_stride);
}
#endif
