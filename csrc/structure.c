/* structure.c - what is special about a filter: all weights equal, or an outer product.
 *
 * A filter is the outer product of one filter per axis exactly if every one of its rows, along
 * every axis, is a multiple of the one through its largest weight. Weights were rounded, mostly
 * more than once (a Gaussian that was divided by its sum, or made by exp(-x*x - y*y)), and so are
 * the factors that the kernels will use: a difference of some units in the last place of each
 * weight is part of the kernels' error bound. Zeros must stay zeros, for the sake of Inf * 0.
 */
#include <math.h>
#include "core.h"

static double weight(const void *w, int32_t type, int64_t at)
{
    switch (type) {
    case CK_F32: return ((const float *)w)[at];
    case CK_F64: return ((const double *)w)[at];
    case CK_U8: return ((const uint8_t *)w)[at];
    case CK_I8: return ((const int8_t *)w)[at];
    case CK_U16: return ((const uint16_t *)w)[at];
    case CK_I16: return ((const int16_t *)w)[at];
    case CK_I32: return ((const int32_t *)w)[at];
    default: return NAN; /* complex: never found to be anything */
    }
}

static int is_box(const void *w, int32_t type, int64_t count)
{
    const double first = weight(w, type, 0);
    for (int64_t i = 1; i < count; i++)
        if (weight(w, type, i) != first) return 0;
    return isfinite(first);
}

/* Rounding units by which a weight may differ from the product of the factors. */
static double slack(int32_t type)
{
    return type == CK_F32 ? 16 * 0x1p-24 : type == CK_F64 ? 16 * 0x1p-53 : 0;
}

/* w[r, c] * pivot == w[r, pc] * w[pr, c] for all r, c of a matrix. */
static int is_rank_one(const void *w, int32_t type, int64_t rows, int64_t cols)
{
    int64_t at = 0;
    for (int64_t i = 0; i < rows * cols; i++) {
        const double value = weight(w, type, i);
        if (!isfinite(value)) return 0;
        if (fabs(value) > fabs(weight(w, type, at))) at = i;
    }
    const double pivot = weight(w, type, at);
    const int64_t pr = at / cols, pc = at % cols;
    for (int64_t r = 0; r < rows; r++) {
        const double factor = weight(w, type, r * cols + pc) / pivot;
        for (int64_t c = 0; c < cols; c++) {
            const double value = weight(w, type, r * cols + c);
            const double product = factor * weight(w, type, pr * cols + c);
            if (!(fabs(value - product) <= slack(type) * fabs(value))) return 0;
        }
    }
    return pivot != 0;
}

int32_t ck_structure_of(const void *w, int32_t type, int64_t depth, int64_t height, int64_t width)
{
    if (is_box(w, type, depth * height * width)) return CK_BOX;
    /* An outer product of three is one of each end with the rest. */
    return (depth == 1 || is_rank_one(w, type, depth, height * width))
        && is_rank_one(w, type, depth * height, width) ? CK_SEPARABLE : CK_DENSE;
}
