/* band.h - the part of the padded input that one work item reads.
 *
 * A kernel never meets an edge, a stride or a layout: it reads a band, a small
 * copy of its input in which padding, input dilation and strides are resolved.
 * The band of one channel is a stack of rows; tap (kd, kh, kw) of the output
 * (od, oh, ow) of the band stands at
 *
 *     band_tap(kd, kh, kw) + od * plane_step + oh * row_step + ow
 *
 * so the outputs of a row lie side by side for every stride:
 *
 *     width 10, stride 1     0 1 2 3 4 5 6 7 8 9
 *     width 10, stride 2     0 2 4 6 8 | 1 3 5 7 9        one run per phase
 *     3 taps, dilation 100   0 1 2 | 100 101 102 | 200 201 202   one per tap
 *
 * The last form, "sparse", stores one slot per tap and output; it is taken on
 * any axis where it is the shorter one.
 */
#ifndef CONVKIT_BAND_H
#define CONVKIT_BAND_H
#include <string.h>
#include "core.h"
#include "vec.h"

static inline int64_t min64(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max64(int64_t a, int64_t b) { return a > b ? a : b; }

/* A 64-bit division takes up to 95 cycles (Skylake), as long as a short row of outputs; most
 * divisors here are 1, or larger than what they divide. */
static inline int64_t ceil_div(int64_t a, int64_t b)
{
    return b == 1 ? a : a <= b ? a > 0 : (a + b - 1) / b;
}
/* The last digit, to the base n, of *rest; *rest keeps the others. */
static inline int64_t split(int64_t *rest, int64_t n)
{
    if (n == 1) return 0;
    const int64_t digit = *rest % n;
    *rest /= n;
    return digit;
}

/* `count` things in `parts` nearly equal parts: part i has share.each + (i < share.more). */
typedef struct share {
    int64_t parts, each, more;
} share;
static inline share share_of(int64_t count, int64_t most)
{
    const int64_t parts = ceil_div(count, most);
    return parts ? (share){parts, count / parts, count % parts} : (share){0, 0, 0};
}

typedef struct band_axis {
    int64_t outs;      /* outputs the band serves along this axis */
    int64_t slots;     /* elements it stores (width: of one phase or tap) */
    int64_t tap_step, out_step;
    int sparse;
} band_axis;

typedef struct band {
    band_axis depth, height, width;
    int64_t runs;      /* of the width: phases or taps, `width.slots` apart */
    int64_t row_pitch, plane_step, row_step, channel_pitch;
} band;

enum {
    /* Elements past a row that a kernel may read, never use: its widest tile. */
    BAND_SLACK = 16 * LANES,
    LINE = 64 / sizeof(real)
};

static inline band_axis band_axis_of(const ck_axis *axis, int64_t outs)
{
    const int64_t dense = (outs - 1) * axis->stride + (axis->kernel_size - 1) * axis->dilation + 1;
    int64_t sparse;
    if (!__builtin_mul_overflow(outs, axis->kernel_size, &sparse) && sparse < dense)
        return (band_axis){outs, sparse, outs, 1, 1};
    return (band_axis){outs, dense, axis->dilation, axis->stride, 0};
}

/* The padded element that slot `slot` of an axis holds, for outputs from `first` on. */
static inline int64_t band_padded(const band_axis *b, const ck_axis *axis, int64_t first, int64_t slot)
{
    if (b->sparse)
        return (first + slot % b->outs) * axis->stride + slot / b->outs * axis->dilation;
    return first * axis->stride + slot;
}

static inline band band_of(const ck_conv *conv, int64_t depths, int64_t rows, int64_t cols)
{
    const ck_axis *w = &conv->axis[2];
    band b = {
        .depth = band_axis_of(&conv->axis[0], depths),
        .height = band_axis_of(&conv->axis[1], rows),
        .width = band_axis_of(w, cols),
    };
    if (b.width.sparse) {
        b.runs = w->kernel_size;
        b.width.slots = cols;
    } else {
        b.runs = min64(w->stride, b.width.slots);
        b.width.slots = ceil_div(b.width.slots, b.runs);
    }
    b.row_pitch = b.runs * b.width.slots;
    b.plane_step = b.depth.out_step * b.height.slots * b.row_pitch;
    b.row_step = b.height.out_step * b.row_pitch;
    /* An odd number of cache lines: channels must not fall onto the same sets. */
    b.channel_pitch =
        (ceil_div(b.depth.slots * b.height.slots * b.row_pitch, LINE) | 1) * LINE;
    return b;
}

/* The most output rows, at least one, whose band of one channel has at most `budget` elements. */
static inline int64_t band_rows(const ck_conv *conv, int64_t cols, int64_t budget)
{
    int64_t low = 1, high = conv->axis[1].out_size;
    while (low < high) {
        const int64_t rows = (low + high + 1) / 2;
        if (band_of(conv, 1, rows, cols).channel_pitch <= budget)
            low = rows;
        else
            high = rows - 1;
    }
    return low;
}

static inline int64_t band_tap(const band *b, const ck_conv *conv, int64_t kd, int64_t kh, int64_t kw)
{
    int64_t column = kw * conv->axis[2].dilation;
    if (b->width.sparse)
        column = kw * b->width.slots;
    else if (b->runs > 1)
        column = column % b->runs * b->width.slots + column / b->runs;
    return (kd * b->depth.tap_step * b->height.slots + kh * b->height.tap_step) * b->row_pitch + column;
}

static inline int64_t tap_count(const ck_conv *conv)
{
    return conv->axis[0].kernel_size * conv->axis[1].kernel_size * conv->axis[2].kernel_size;
}

/* Offsets of all taps, in the order of the weights. */
static inline void band_taps(const band *b, const ck_conv *conv, int64_t *taps)
{
    for (int64_t kd = 0; kd < conv->axis[0].kernel_size; kd++)
        for (int64_t kh = 0; kh < conv->axis[1].kernel_size; kh++)
            for (int64_t kw = 0; kw < conv->axis[2].kernel_size; kw++)
                *taps++ = band_tap(b, conv, kd, kh, kw);
}

/* Index into x of a padded element, CK_CONSTANT or CK_ZERO. */
static inline int64_t band_source(const ck_axis *axis, int64_t padded)
{
    const int64_t spread = axis->in_size ? (axis->in_size - 1) * axis->in_dilation + 1 : 0;
    const int64_t at = padded - axis->pad_before;
    if (at >= 0 && at < spread) {
        if (axis->in_dilation == 1) return at;
        return at % axis->in_dilation ? CK_ZERO : at / axis->in_dilation;
    }
    const int64_t edge = at < 0 ? padded : axis->pad_before + at - spread;
    if (edge >= axis->pad_before + axis->pad_after) return CK_ZERO; /* past the last output's reach */
    return axis->edges ? axis->edges[edge] : CK_CONSTANT;
}

static inline void band_fill(real *to, real value, int64_t count)
{
    const vec v = vec_set1(value);
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) vec_store(to + i, v);
    for (; i < count; i++) to[i] = value;
}

static inline void band_copy(real *to, const real *from, int64_t step, int64_t count)
{
    int64_t i = 0;
    if (step == 1)
        for (; i + LANES <= count; i += LANES) vec_store(to + i, vec_load(from + i));
    for (; i < count; i++) to[i] = from[i * step];
}

/* Elements [begin, end) of the padded elements first, first + step, ... of a row, one by
 * one. `row` is NULL for a row of padding or of a hole between dilated rows: all of its
 * inside is `inside`. */
static inline void band_edge(const ck_axis *axis, const real *row, real inside, int64_t first,
                             int64_t step, int64_t begin, int64_t end, real *to)
{
    for (int64_t i = begin; i < end; i++) {
        const int64_t source = band_source(axis, first + i * step);
        if (source == CK_CONSTANT)
            to[i] = (real)axis->pad_value;
        else if (!row)
            to[i] = inside;
        else
            to[i] = source == CK_ZERO ? 0 : row[source * axis->x_stride];
    }
}

/* One run of a row: the padded elements first, first + step, ... (count of them), of which
 * those in [left, right) come from the inside of x. */
typedef struct band_run {
    int64_t first, count, left, right;
} band_run;

static inline band_run band_run_of(const ck_axis *axis, int64_t first, int64_t step, int64_t count)
{
    const int64_t spread = axis->in_size ? (axis->in_size - 1) * axis->in_dilation + 1 : 0;
    const int64_t at = first - axis->pad_before;
    const int64_t left = at < 0 ? min64(count, ceil_div(-at, step)) : 0;
    const int64_t right = at < spread ? min64(count, ceil_div(spread - at, step)) : 0;
    return (band_run){first, count, left, max64(left, right)};
}

/* The inside in one go; the edges too where they are constant, else one by one. */
static inline void band_fill_run(const ck_axis *axis, const real *row, real inside, band_run run,
                                 int64_t step, real *to)
{
    const int64_t left = run.left, right = run.right;
    if (axis->edges) {
        band_edge(axis, row, inside, run.first, step, 0, left, to);
        band_edge(axis, row, inside, run.first, step, right, run.count, to);
    } else {
        band_fill(to, (real)axis->pad_value, left);
        band_fill(to + right, (real)axis->pad_value, run.count - right);
    }
    if (!row)
        band_fill(to + left, inside, right - left);
    else if (axis->in_dilation == 1)
        band_copy(to + left, row + (run.first - axis->pad_before + left * step) * axis->x_stride,
                  step * axis->x_stride, right - left);
    else
        band_edge(axis, row, inside, run.first, step, left, right, to);
}

/* Row (d, h) of the bands of some channels. x and `to` point at the start of the first one. */
static inline void band_row(const band *b, const ck_conv *conv, const real *x, int64_t channels,
                            const int64_t first[3], int64_t d, int64_t h, real *to)
{
    const ck_axis *depth = &conv->axis[0], *height = &conv->axis[1], *width = &conv->axis[2];
    const int64_t id = band_source(depth, band_padded(&b->depth, depth, first[0], d));
    const int64_t ih = band_source(height, band_padded(&b->height, height, first[1], h));
    /* np.pad's order, axis after axis: the last constant wins. */
    const real inside = ih == CK_CONSTANT ? (real)height->pad_value
                      : id == CK_CONSTANT ? (real)depth->pad_value : 0;
    const real *row = id >= 0 && ih >= 0 ? x + id * depth->x_stride + ih * height->x_stride : NULL;

    to += (d * b->height.slots + h) * b->row_pitch;
    for (int64_t r = 0; r < b->runs; r++) {
        const int64_t at = first[2] * width->stride + (b->width.sparse ? r * width->dilation : r);
        const band_run run = band_run_of(width, at, width->stride, b->width.slots);
        for (int64_t c = 0; c < channels; c++)
            band_fill_run(width, row ? row + c * conv->x_channel_stride : NULL, inside, run,
                          width->stride, to + c * b->channel_pitch + r * b->width.slots);
    }
}

/* Cycles of moving `count` elements of a row between x or y and scratch: whole vectors, every
 * step-th, or one by one, which takes longer where each has a line of its own. */
static inline double move_cycles(int64_t stride, int64_t step, int64_t count)
{
    const double alone = stride > LINE || stride < -LINE ? 8 : 2.5;
    return (double)count * (stride == 1 && step == 1 ? 2.0 / LANES : alone);
}

/* Of what a row of outputs adds to the band of one channel. */
static inline double band_cycles(const ck_conv *conv)
{
    const ck_axis *height = &conv->axis[1], *width = &conv->axis[2];
    return (double)min64(height->stride, height->kernel_size)
         * move_cycles(width->x_stride, width->stride, width->in_size);
}

/* Fill the band of `channels` channels for the outputs from `first` on; x points at element 0
 * of the first channel. A few channels at a time go through the rows together: what a row is
 * gets found out once for all of them, and yet x is read nearly in the order in which it lies.
 * Where channels lie side by side that is the order of rows. */
static inline void band_pack(const band *b, const ck_conv *conv, const real *x, int64_t channels,
                             const int64_t first[3], real *to)
{
    const int64_t depths = b->depth.slots, heights = b->height.slots;
    const int64_t used = depths * heights * b->row_pitch;
    const int64_t together = conv->x_channel_stride < conv->axis[2].x_stride ? channels : 8;
    /* Lanes past a row's last output are computed and dropped, but a denormal found there by
     * chance makes the whole instruction take 150 cycles: only zeros may stand past the rows. */
    for (int64_t c = 0; c < channels; c++)
        band_fill(to + c * b->channel_pitch + used, 0, b->channel_pitch - used);
    band_fill(to + channels * b->channel_pitch, 0, BAND_SLACK);

    for (int64_t c = 0; c < channels; c += together)
        for (int64_t d = 0; d < depths; d++)
            for (int64_t h = 0; h < heights; h++)
                band_row(b, conv, x + c * conv->x_channel_stride, min64(together, channels - c),
                         first, d, h, to + c * b->channel_pitch);
}
#endif
