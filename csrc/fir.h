/* fir.h - y[i] += sum over k of w[k] x[i + k], contiguous, in an order that no i changes.
 *
 * R vectors of outputs by Q taps that stand LANES apart: one load x[i + j + LANES * m]
 * serves every pair (vector r, tap j + LANES * q) with r + q = m, so that R + Q - 1 loads
 * feed R * Q fma:
 *
 *        x[j + 0 L]  --> acc[0] w[j]
 *        x[j + 1 L]  --> acc[1] w[j], acc[0] w[j + L]
 *        x[j + 2 L]  --> acc[2] w[j], acc[1] w[j + L], acc[0] w[j + 2 L]
 *
 * The taps that do not fill such a group follow one by one; all of them where vectors
 * have 16 bytes, few of whose loads cross a cache line. Whole vectors are read and
 * written: FIR_SLACK elements stand behind x and y.
 *
 * Registers: R + Q + 1 = 13 of 16.
 */
#ifndef CONVKIT_FIR_H
#define CONVKIT_FIR_H
#include "vec.h"

enum { FIR_R = 8, FIR_Q = 4, FIR_SLACK = FIR_R * LANES, FIR_SHARES = VEC_BYTES > 16 };

/* Taps j, j + LANES, ... (Q of them). */
CK_INLINE void fir_group(const real *x, const real *w, vec acc[FIR_R], const int r)
{
    vec weight[FIR_Q];
    CK_UNROLL for (int q = 0; q < FIR_Q; q++) weight[q] = vec_set1(w[q * LANES]);
    CK_UNROLL for (int m = 0; m < r + FIR_Q - 1; m++) {
        vec value = vec_load(x + m * LANES);
        vec_pin(value);
        CK_UNROLL for (int q = 0; q < FIR_Q; q++)
            if (m - q >= 0 && m - q < r)
                acc[m - q] = vec_fma(value, weight[q], acc[m - q]);
    }
}

CK_INLINE void fir_tile(const real *x, const real *w, int64_t taps, real *y, const int r)
{
    vec acc[FIR_R];
    CK_UNROLL for (int i = 0; i < r; i++) acc[i] = (vec){0};
    int64_t k = 0;
    for (; FIR_SHARES && k + FIR_Q * LANES <= taps; k += FIR_Q * LANES)
        CK_ROLLED for (int64_t j = k; j < k + LANES; j++) fir_group(x + j, w + j, acc, r);
    CK_ROLLED for (; k < taps; k++) {
        const real *at = x + k;
        __asm__("" : "+r"(at)); /* gcc would keep vectors for the next round, and spill */
        vec weight = vec_set1(w[k]);
        vec_pin(weight);
        CK_UNROLL for (int i = 0; i < r; i++)
            acc[i] = vec_fma(vec_load(at + i * LANES), weight, acc[i]);
    }
    CK_UNROLL for (int i = 0; i < r; i++)
        vec_store(y + i * LANES, vec_load(y + i * LANES) + acc[i]);
}
CK_APART void fir_by_many(const real *x, const real *w, int64_t taps, real *y)
{
    fir_tile(x, w, taps, y, FIR_R);
}
CK_APART void fir_by_four(const real *x, const real *w, int64_t taps, real *y)
{
    fir_tile(x, w, taps, y, 4);
}
CK_APART void fir_by_one(const real *x, const real *w, int64_t taps, real *y)
{
    fir_tile(x, w, taps, y, 1);
}

static inline void fir(const real *x, const real *w, int64_t taps, real *y, int64_t count)
{
    for (int64_t i = 0; i < count;) {
        const int64_t left = count - i;
        if (left > 4 * LANES) {
            fir_by_many(x + i, w, taps, y + i);
            i += FIR_R * LANES;
        } else if (left > LANES) {
            fir_by_four(x + i, w, taps, y + i);
            i += 4 * LANES;
        } else {
            fir_by_one(x + i, w, taps, y + i);
            i += LANES;
        }
    }
}
#endif
