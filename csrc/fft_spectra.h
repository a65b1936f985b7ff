/* fft_spectra.h - the two halves of fft_inside apart, for spectra that are kept: of
 * blocks that are multiplied by several filters, or of several blocks whose products are
 * added.
 *
 *     fft_first(f, from, rows), fft_split_inside(f, rows)     rows are a spectrum
 *     fft_merge_inside(f, rows), fft_last(f, rows, to)        and are none any more
 *
 * A row of a spectrum holds polynomials x0 + x1 z in the pairs of its lanes, z^2 = c.
 * Their product with a filter (fft_product) is same * x + other * swap(x), lane by lane,
 * and as the sum over several x it is
 *
 *     sum of same * x  +  swap(sum of swap(other) * x)
 *
 * so that only the second sum is swapped, once.
 */
#ifndef CONVKIT_FFT_SPECTRA_H
#define CONVKIT_FFT_SPECTRA_H
#include "fft.h"

/* The second half of fft_leaves; the first is fft_split_leaves. */
CK_APART void fft_merge_leaves(real *rows, int64_t count, const real *node, const real *lanes,
                               int64_t lane_step)
{
    CK_ROLLED for (int64_t leaf = 0; leaf < count; leaf++) {
        cvec x[FFT_LEAF];
        CK_UNROLL for (int i = 0; i < FFT_LEAF; i++)
            x[i] = fft_load(rows + i * FFT_ROW, rows + i * FFT_ROW + LANES);
        CK_UNROLL for (int i = 0; i < FFT_LEAF; i += FFT_UNITS)
            fft_lanes_out(x + i, lanes + i / FFT_UNITS * lane_step);
        fft_merge(x, node, FFT_LEAF);
        CK_UNROLL for (int i = 0; i < FFT_LEAF; i++) fft_store(rows + i * FFT_ROW, x[i]);
        rows += FFT_LEAF * FFT_ROW;
        node += FFT_NODE;
        lanes += FFT_LEAF / FFT_UNITS * lane_step;
    }
}

/* What fft_inside_group does, without the product and either half. */
static void fft_split_group(const fft *f, real *rows, fft_group group)
{
    const int64_t radix = fft_radix(group.rows);
    fft_group part = fft_down(&group);
    const int64_t first = part.group * part.rows;
    if (part.rows == FFT_LEAF) {
        fft_split_leaves(rows + first * FFT_ROW, radix, fft_node(&part),
                         f->lanes + first / FFT_UNITS * f->lane_step, f->lane_step);
        return;
    }
    for (int64_t i = 0; i < radix; i++, part.group++) {
        const int64_t split = fft_radix(part.rows);
        real *first_row = rows + part.group * part.rows * FFT_ROW;
        const fft_rows own = fft_buffer(first_row, part.rows, split);
        fft_split_rows(own, own, part.rows / split, split, fft_node(&part));
        fft_split_group(f, rows, part);
    }
}
static void fft_merge_group(const fft *f, real *rows, fft_group group)
{
    const int64_t radix = fft_radix(group.rows);
    fft_group part = fft_down(&group);
    const int64_t first = part.group * part.rows;
    if (part.rows == FFT_LEAF) {
        fft_merge_leaves(rows + first * FFT_ROW, radix, fft_node(&part),
                         f->lanes + first / FFT_UNITS * f->lane_step, f->lane_step);
        return;
    }
    for (int64_t i = 0; i < radix; i++, part.group++) {
        const int64_t split = fft_radix(part.rows);
        real *first_row = rows + part.group * part.rows * FFT_ROW;
        const fft_rows own = fft_buffer(first_row, part.rows, split);
        fft_merge_group(f, rows, part);
        fft_merge_rows(own, own, part.rows / split, split, fft_node(&part));
    }
}
static inline void fft_split_inside(const fft *f, real *rows)
{
    fft_split_group(f, rows, fft_top(f));
}
static inline void fft_merge_inside(const fft *f, real *rows)
{
    fft_merge_group(f, rows, fft_top(f));
}

enum { FFT_TOGETHER = VEC_WIDE ? 4 : 2 }; /* rows whose sums are in registers at once */

/* FFT_TOGETHER rows += the sum over q < count of the products of spectra x and filters h.
 * The rows of x lie in a circle of `slots`, taken backwards from the newest; the filters
 * one after the other, their second halves swapped (fft_swap_filter).
 *
 * Registers: 4 * FFT_TOGETHER sums, two of x, two of h = 20 of 32, 12 of 16. */
__attribute__((unused)) /* layers add products in their own way */
CK_APART void fft_multiply_add(const real *x, int64_t newest, int64_t slots, const real *h,
                               int64_t count, real *rows)
{
    cvec same[FFT_TOGETHER], other[FFT_TOGETHER];
    CK_UNROLL for (int i = 0; i < FFT_TOGETHER; i++) {
        same[i] = fft_load(rows + i * FFT_ROW, rows + i * FFT_ROW + LANES);
        other[i] = (cvec){{0}, {0}};
    }
    int64_t slot = newest;
    CK_ROLLED for (int64_t q = 0; q < count; q++) {
        const real *from = x + slot * FFT_TOGETHER * FFT_ROW;
        CK_UNROLL for (int i = 0; i < FFT_TOGETHER; i++) {
            const cvec v = fft_load(from + i * FFT_ROW, from + i * FFT_ROW + LANES);
            const real *p = h + i * FFT_PRODUCT;
            const cvec a = fft_load(p, p + LANES);
            same[i].re += v.re * a.re;
            same[i].im += v.im * a.re;
            same[i].re -= v.im * a.im;
            same[i].im += v.re * a.im;
            const cvec b = fft_load(p + 2 * LANES, p + 3 * LANES);
            other[i].re += v.re * b.re;
            other[i].im += v.im * b.re;
            other[i].re -= v.im * b.im;
            other[i].im += v.re * b.im;
        }
        h += FFT_TOGETHER * FFT_PRODUCT;
        slot = slot ? slot - 1 : slots - 1;
    }
    CK_UNROLL for (int i = 0; i < FFT_TOGETHER; i++)
        fft_store(rows + i * FFT_ROW, (cvec){same[i].re + fft_swap(other[i].re),
                                             same[i].im + fft_swap(other[i].im)});
}

/* A row of the spectrum of a filter, as fft_multiply_add wants it. */
static inline void fft_swap_filter(const real *from, real *to)
{
    for (int i = 0; i < 4; i++) {
        const vec v = vec_load(from + i * LANES);
        vec_store(to + i * LANES, i < 2 ? v : fft_swap(v));
    }
}
#endif
