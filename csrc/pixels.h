/* pixels.h - sums that lie pixel by pixel, vectors over output channels, on their way to y. */
#ifndef CONVKIT_PIXELS_H
#define CONVKIT_PIXELS_H
#include "band.h"
#include "epilogue.h"

/* `count` pixels of LANES channels to rows of y, `step` apart, as they are. A function of its own:
 * r stays in registers as long as nothing indexes it at run time. */
CK_APART void turn_pixels(const real *sums, int64_t wide, real *y, int64_t step, int64_t count)
{
    CK_ROLLED for (; count > 0; count -= LANES, sums += LANES * wide, y += LANES) {
        real *to = y;
        vec r[LANES];
        CK_UNROLL for (int i = 0; i < LANES; i++) r[i] = vec_load(sums + i * wide);
        vec_transpose(r);
        if (count >= LANES)
            CK_UNROLL for (int i = 0; i < LANES; i++, to += step) vec_store(to, r[i]);
        else
            CK_UNROLL for (int i = 0; i < LANES; i++, to += step) vec_store_n(to, r[i], count);
    }
}

/* Sums of `cols` pixels, `wide` channels each of which `live` are there, to one row of y. Reads
 * the sums of up to LANES - 1 pixels more. */
static void finish_pixels(const real *sums, int64_t wide, int64_t live, int64_t cols, const row_out *out)
{
    const ck_conv *conv = out->conv;
    const int64_t y_step = conv->axis[2].y_stride, residual_step = conv->axis[2].residual_stride;
    if (conv->y_channel_stride == 1 && y_step != 1) { /* channels last: as the sums lie */
        const int plain = !out->residual && conv->activation == CK_NONE;
        for (int64_t q = 0; q < cols; q++)
            for (int64_t v = 0; v < live; v += LANES)
                if (plain && live - v >= LANES)
                    vec_store(out->y + q * y_step + v, vec_load(sums + q * wide + v));
                else
                    finish(conv, vec_load(sums + q * wide + v), min64(LANES, live - v), out->y + q * y_step + v, 1,
                           out->residual ? out->residual + q * residual_step + v * conv->residual_channel_stride
                                         : NULL,
                           conv->residual_channel_stride);
        return;
    }
    for (int64_t v = 0; v < live; v += LANES) {
        const int64_t channels = min64(LANES, live - v);
        row_out channel = *out;
        channel.y += v * conv->y_channel_stride;
        if (channel.residual) channel.residual += v * conv->residual_channel_stride;
        if (channel.plain && channels == LANES) {
            turn_pixels(sums + v, wide, channel.y, conv->y_channel_stride, cols);
            continue;
        }
        for (int64_t q = 0; q < cols; q += LANES) {
            real turned[LANES * LANES];
            turn_pixels(sums + q * wide + v, wide, turned, LANES, LANES);
            row_out row = channel;
            for (int64_t i = 0; i < channels; i++) {
                finish_row(&row, vec_load(turned + i * LANES), q, min64(LANES, cols - q));
                row.y += conv->y_channel_stride;
                if (row.residual) row.residual += conv->residual_channel_stride;
            }
        }
    }
}
#endif
