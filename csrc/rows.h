/* rows.h - rows of padded x as a kernel's reals, and rows of sums on their way to y.
 *
 * For kernels that read x where it lies. A row of the padded input is found through the edges
 * of depth and height; a window of its columns is a pointer into x where x holds reals side
 * by side and the window meets no edge, and else it is written, converted and padded:
 *
 *     padded columns    0 1 | 2 3 4 5 6 7 8 9 | 10 11        pad_before 2, in_size 8
 *     window 3 + 4               [-------]                   points into x
 *     window 0 + 6     [--+---------]                        is written to scratch
 *
 * Sums leave by rows too: residual, activation, then stored as reals, or rounded to nearest
 * even and saturated.
 */
#ifndef CONVKIT_ROWS_H
#define CONVKIT_ROWS_H
#include "band.h"
#include "epilogue.h"

/* What a row without elements of x holds between its ends: the constant of an axis, or zeros. */
enum { ROW_ZERO, ROW_DEPTH, ROW_HEIGHT, ROW_VALUES };

/* The rows of one channel of one image. */
typedef struct rows {
    const ck_conv *conv;
    const char *x;          /* element 0 */
    int64_t item;           /* bytes of an element */
    int64_t begin, end;     /* the padded columns that come from the inside of x */
    int direct;             /* the inside can be read where it lies */
    real value[ROW_VALUES];
} rows;

/* One row of them; a row of x is of kind ROW_ZERO. */
typedef struct row {
    const char *x;          /* NULL: the row holds one value but for its ends */
    int32_t kind;           /* ROW_ZERO ... ROW_HEIGHT: which */
} row;

static inline rows rows_of(const ck_conv *conv, const void *x, int64_t batch, int64_t channel)
{
    const ck_axis *width = &conv->axis[2];
    const int64_t item = ck_item_bytes(conv->types.x);
    const int64_t spread = width->in_size ? (width->in_size - 1) * width->in_dilation + 1 : 0;
    return (rows){
        .conv = conv,
        .x = (const char *)x + (batch * conv->x_batch_stride + channel * conv->x_channel_stride) * item,
        .item = item,
        .begin = width->pad_before,
        .end = width->pad_before + spread,
        .direct = conv->types.x == CK_REAL_TYPE && width->in_dilation == 1 && width->x_stride == 1,
        .value = {0, (real)conv->axis[0].pad_value, (real)conv->axis[1].pad_value},
    };
}

/* Row h of plane d, both indices into padded x. np.pad's order, axis after axis: the last
 * constant wins, and zeros between dilated rows give way to it. */
static inline row row_at(const rows *r, int64_t d, int64_t h)
{
    const ck_axis *depth = &r->conv->axis[0], *height = &r->conv->axis[1];
    const int64_t id = band_source(depth, d), ih = band_source(height, h);
    if (id >= 0 && ih >= 0)
        return (row){r->x + (id * depth->x_stride + ih * height->x_stride) * r->item, ROW_ZERO};
    return (row){NULL, ih == CK_CONSTANT ? ROW_HEIGHT : id == CK_CONSTANT ? ROW_DEPTH : ROW_ZERO};
}

CK_INLINE real row_element(const char *x, int64_t i, const int32_t type)
{
    switch (type) {
    case CK_F32: return (real)((const float *)x)[i];
    case CK_F64: return (real)((const double *)x)[i];
    case CK_U8: return ((const uint8_t *)x)[i];
    case CK_I8: return ((const int8_t *)x)[i];
    case CK_U16: return ((const uint16_t *)x)[i];
    case CK_I16: return ((const int16_t *)x)[i];
    default: return (real)((const int32_t *)x)[i];
    }
}

static inline void row_copy(const real *x, int64_t step, int64_t count, real *to)
{
    int64_t i = 0;
    if (step != 1) {
        for (; i < count; i++) to[i] = x[i * step];
        return;
    }
    for (; i + LANES <= count; i += LANES) vec_store(to + i, vec_load(x + i));
    if (i < count) vec_store_n(to + i, vec_load_n(x + i, count - i), count - i);
}

/* One loop for each type, which the compiler vectorises where elements lie side by side. */
CK_INLINE void row_convert_(const char *restrict x, int64_t step, int64_t count, real *restrict to,
                            const int32_t type)
{
    if (step == 1)
        for (int64_t i = 0; i < count; i++) to[i] = row_element(x, i, type);
    else
        for (int64_t i = 0; i < count; i++) to[i] = row_element(x, i * step, type);
}
static inline void row_convert(const char *x, int32_t type, int64_t step, int64_t count, real *to)
{
    if (type == CK_REAL_TYPE) {
        row_copy((const real *)x, step, count, to);
        return;
    }
    switch (type) {
    case CK_F32: row_convert_(x, step, count, to, CK_F32); break;
    case CK_F64: row_convert_(x, step, count, to, CK_F64); break;
    case CK_U8: row_convert_(x, step, count, to, CK_U8); break;
    case CK_I8: row_convert_(x, step, count, to, CK_I8); break;
    case CK_U16: row_convert_(x, step, count, to, CK_U16); break;
    case CK_I16: row_convert_(x, step, count, to, CK_I16); break;
    default: row_convert_(x, step, count, to, CK_I32); break;
    }
}

/* How a window of columns lies across the ends of the rows, the same for every row. */
typedef struct row_cut {
    int64_t left, inside, right;        /* columns of padding, of x, of padding again */
    int64_t first;                      /* of x, before in_dilation takes elements out */
    const int64_t *left_edges, *right_edges; /* sources of the padding; NULL: the constant */
} row_cut;

/* Of the padded columns first ... first + count - 1, all of which there are. */
static inline row_cut row_cut_of(const rows *r, int64_t first, int64_t count)
{
    const int64_t *edges = r->conv->axis[2].edges;
    const int64_t left = max64(0, min64(count, r->begin - first));
    const int64_t right = max64(left, min64(count, r->end - first));
    return (row_cut){
        .left = left, .inside = right - left, .right = count - right,
        .first = first + left - r->begin,
        .left_edges = edges ? edges + first : NULL,
        .right_edges = edges ? edges + (first + right - (r->end - r->begin)) : NULL,
    };
}

/* `count` elements of padding at an end of row `at`. */
static inline void row_edge(const rows *r, row at, const int64_t *edges, int64_t count, real *to)
{
    const ck_axis *width = &r->conv->axis[2];
    const int32_t type = r->conv->types.x;
    for (int64_t i = 0; i < count; i++) {
        const int64_t source = edges ? edges[i] : CK_CONSTANT;
        if (source >= 0 && at.x)
            to[i] = r->direct ? ((const real *)at.x)[source]
                              : row_element(at.x, source * width->x_stride, type);
        else
            to[i] = source == CK_CONSTANT ? (real)width->pad_value : r->value[at.kind];
    }
}

/* `count` elements of the inside from `first` on, which in_dilation has spread. */
static inline void row_spread(const rows *r, row at, int64_t first, int64_t count, real *to)
{
    const ck_axis *width = &r->conv->axis[2];
    for (int64_t i = 0; i < count; i++) {
        const int64_t spread = first + i;
        to[i] = spread % width->in_dilation ? 0
              : row_element(at.x, spread / width->in_dilation * width->x_stride, r->conv->types.x);
    }
}

/* Write the columns of a cut of row `at`. */
static inline void row_put(const rows *r, row at, const row_cut *cut, real *to)
{
    const ck_axis *width = &r->conv->axis[2];
    real *inside = to + cut->left;
    row_edge(r, at, cut->left_edges, cut->left, to);
    row_edge(r, at, cut->right_edges, cut->right, inside + cut->inside);
    if (!at.x)
        band_fill(inside, r->value[at.kind], cut->inside);
    else if (r->direct)
        row_copy((const real *)at.x + cut->first, 1, cut->inside, inside);
    else if (width->in_dilation == 1)
        row_convert(at.x + cut->first * width->x_stride * r->item, r->conv->types.x,
                    width->x_stride, cut->inside, inside);
    else
        row_spread(r, at, cut->first, cut->inside, inside);
}

/* Write the padded columns first ... first + count - 1 of row `at`. */
static inline void row_write(const rows *r, row at, int64_t first, int64_t count, real *to)
{
    const row_cut cut = row_cut_of(r, first, count);
    row_put(r, at, &cut, to);
}

/* Whether a window of a row of x can be read where it lies. */
static inline int row_is_direct(const rows *r, row at, int64_t first, int64_t count)
{
    return at.x && r->direct && first >= r->begin && first + count <= r->end;
}

/* The padded columns first ... first + count - 1 of a row: where x has them, or in `scratch`. */
static inline const real *row_window(const rows *r, row at, int64_t first, int64_t count, real *scratch)
{
    if (row_is_direct(r, at, first, count)) return (const real *)at.x + (first - r->begin);
    row_write(r, at, first, count, scratch);
    return scratch;
}

/* Where the sums of one row go, and what is added to them on the way. */
typedef struct row_to {
    const ck_conv *conv;
    char *y;
    const real *residual;   /* NULL: none */
    int plain;              /* sums go to y as they are, side by side: a kernel may store them */
} row_to;

static inline row_to row_to_of(const ck_conv *conv, const ck_arrays *arrays, int64_t batch,
                               int64_t channel, int64_t d, int64_t h, int64_t w)
{
    const ck_axis *a = conv->axis;
    row_to to = {.conv = conv};
    to.y = (char *)arrays->y
         + (batch * conv->y_batch_stride + channel * conv->y_channel_stride + d * a[0].y_stride
            + h * a[1].y_stride + w * a[2].y_stride) * ck_item_bytes(conv->types.y);
    if (arrays->residual)
        to.residual = (const real *)arrays->residual + batch * conv->residual_batch_stride
                    + channel * conv->residual_channel_stride + d * a[0].residual_stride
                    + h * a[1].residual_stride + w * a[2].residual_stride;
    to.plain = conv->types.y == CK_REAL_TYPE && !to.residual && conv->activation == CK_NONE
            && a[2].y_stride == 1;
    return to;
}

/* The same place, `count` rows further down. */
static inline row_to row_to_down(row_to to, int64_t count)
{
    const ck_axis *height = &to.conv->axis[1];
    to.y += count * height->y_stride * ck_item_bytes(to.conv->types.y);
    if (to.residual) to.residual += count * height->residual_stride;
    return to;
}

/* Rounded to nearest even and saturated, in the low bits; NaN becomes 0. Adding 1.5 * 2^p, p the
 * bits behind the point, leaves the integer in the low bits of the sum. */
CK_INLINE vec row_rounded(vec v, const real low, const real high)
{
    if (low < 0) v = vec_select(v == v, v, vec_set1(0));
    v = vec_min(vec_max(v, vec_set1(low)), vec_set1(high));
    return v + vec_set1(sizeof(real) == 4 ? (real)0x1.8p23 : (real)0x1.8p52);
}
CK_INLINE void row_store_8(uint8_t *y, int64_t step, int64_t count, const real *sums, const real low,
                           const real high)
{
    int64_t i = 0;
    if (step == 1)
        for (; i + LANES <= count; i += LANES)
            vec_store_low8(y + i, row_rounded(vec_load(sums + i), low, high));
    for (; i < count; i += LANES) {
        const int64_t n = min64(LANES, count - i);
        uint8_t lanes[LANES];
        vec_store_low8(lanes, row_rounded(vec_load_n(sums + i, n), low, high));
        for (int64_t k = 0; k < n; k++) y[(i + k) * step] = lanes[k];
    }
}
CK_INLINE void row_store_16(uint16_t *y, int64_t step, int64_t count, const real *sums,
                            const real low, const real high)
{
    int64_t i = 0;
    if (step == 1)
        for (; i + LANES <= count; i += LANES)
            vec_store_low16(y + i, row_rounded(vec_load(sums + i), low, high));
    for (; i < count; i += LANES) {
        const int64_t n = min64(LANES, count - i);
        uint16_t lanes[LANES];
        vec_store_low16(lanes, row_rounded(vec_load_n(sums + i, n), low, high));
        for (int64_t k = 0; k < n; k++) y[(i + k) * step] = lanes[k];
    }
}
static inline void row_store(char *y, int32_t type, int64_t step, int64_t count, const real *sums)
{
    switch (type) {
    case CK_U8: row_store_8((uint8_t *)y, step, count, sums, 0, UINT8_MAX); break;
    case CK_I8: row_store_8((uint8_t *)y, step, count, sums, INT8_MIN, INT8_MAX); break;
    case CK_U16: row_store_16((uint16_t *)y, step, count, sums, 0, UINT16_MAX); break;
    case CK_I16: row_store_16((uint16_t *)y, step, count, sums, INT16_MIN, INT16_MAX); break;
    default:
        if (step == 1)
            row_copy(sums, 1, count, (real *)y);
        else
            for (int64_t i = 0; i < count; i++) ((real *)y)[i * step] = sums[i];
        break;
    }
}

/* Finish `count` sums that a kernel has left in scratch, bias included; sums[0] is the output
 * `column` columns from where the row starts. The sums are overwritten. */
CK_APART void row_finish(const row_to *to, real *sums, int64_t column, int64_t count)
{
    const ck_conv *conv = to->conv;
    const ck_axis *width = &conv->axis[2];
    if (to->residual) {
        const real *residual = to->residual + column * width->residual_stride;
        if (width->residual_stride == 1)
            for (int64_t i = 0; i < count; i++) sums[i] += residual[i];
        else
            for (int64_t i = 0; i < count; i++) sums[i] += residual[i * width->residual_stride];
    }
    if (conv->activation != CK_NONE)
        for (int64_t i = 0; i < count; i += LANES) {
            const int64_t n = min64(LANES, count - i);
            finish(conv, vec_load_n(sums + i, n), n, sums + i, 1, NULL, 0);
        }
    row_store(to->y + column * width->y_stride * ck_item_bytes(conv->types.y), conv->types.y,
              width->y_stride, count, sums);
}
#endif
