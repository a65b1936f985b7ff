/* conv_direct_image_u8 - direct cross-correlation of images of bytes, one channel in and one
 * out per group, stride 1.
 *
 *   x        (batch, groups, depth, height, width)           bytes, any strides
 *   weights  (groups, KH, KW)                                integers or floats; packed: a filter
 *   y        (batch, groups, depth, out_height, out_width)   bytes or int32, any strides
 *
 * A few rows of x lie prepared in a ring: padded, and in cells of 32 bits, each of which holds the
 * 1, 2 or 4 pixels that one instruction multiplies for one output (bytes.h). Wherever the taps
 * lie, they are then found by a load, natural in its order, and nothing is shuffled in the tile:
 *
 *        bytes      0 1 2 3 4 5 6 7 8 ...
 *        WORDS      0 1 | 1 2 | 2 3 | 3 4 | ...             taps k, k + 1 at cell + k
 *        dilation 3 0 3 | 1 4 | 2 5 | 3 6 | ...             taps k, k + 1 at cell + 3 k
 *        BYTES      0 1 2 3 | 1 2 3 4 | 2 3 4 5 | ...       taps k ... k + 3 at cell + k
 *
 * A tile is ty output rows by TX vectors. A row of the ring serves every output row whose taps
 * reach it; the first and last ty - 1 rows are peeled off, since they serve fewer (here ty = 3 and
 * a filter of 3 rows; ty is at most the filter's height, and TY for 3 x 3, which is written out):
 *
 *        row 0   w0                    sum[0]
 *        row 1   w1 w0                 sum[0] sum[1]
 *        row 2   w2 w1 w0              sum[0] sum[1] sum[2]     TX loads feed
 *        row 3      w2 w1              sum[1] sum[2]            up to TY * TX products
 *        row 4         w2              sum[2]
 *
 * Registers: TY * TX + TX + 1 = 29 of 32 (AVX-512, NEON: 6 x 4); 13, and one for the product,
 * of 16 (AVX2, v2: 5 x 2).
 *
 * Integer weights give exact sums of 32 bits. Float weights become integers times one unit where
 * that is exact (a box, a binomial, a Sobel filter), or where it is faster and MAY_DIFFER allows;
 * else the sums are floats, and doubles where even these would lose too much.
 */
#define CK_REAL float
#include <float.h>
#include "band.h"
#include "bytes.h"

/* The most that the mean error of a sum may be, in units of y. A result is rounded differently
 * from the exact one where a tie lies between the two sums: in this part of all pixels. */
static const double MAY_DIFFER = 1e-3;
enum {
    PIXEL_MAX = 255,
    SUM_MAX = INT32_MAX / PIXEL_MAX, /* of the magnitudes of integer weights */
    WORD_MAX = 32767,
    SHUFFLE_REACH = 12, /* of the 16 bytes that four cells are shuffled from */
    HEIGHT_MAX = 255, REACH_MAX = 1023, /* the ring stays small */
    DOUBLES = BYTES + 1, /* a form of filters whose cells are FLOATS */
};

/* Block sizes, in conv->block. */
enum { BLOCK_ROWS, BLOCK_COLS };

/* The packed weights of a group: this, the weights as doubles, their cells. */
typedef struct filter {
    double unit;       /* what a sum counts */
    int64_t form;      /* FLOATS ... DOUBLES */
    int64_t cell_taps; /* taps in a cell */
    int64_t cells;     /* in a row of taps */
    int64_t start;     /* of every sum */
} filter;

typedef struct geometry {
    int64_t phases;    /* of rows: those a dilation apart share rows of x */
    int64_t row_blocks, col_blocks;
    int64_t reach;     /* columns from the first tap to the last */
    int64_t slots;     /* rows of the ring */
    int64_t pitch;     /* cells of one */
} geometry;

static int64_t round_up(int64_t a, int64_t step) { return ceil_div(a, step) * step; }

static geometry geometry_of(const ck_conv *conv)
{
    const ck_axis *h = &conv->axis[1], *w = &conv->axis[2];
    const int64_t reach = (w->kernel_size - 1) * w->dilation;
    const int64_t phases = min64(h->dilation, h->out_size);
    return (geometry){
        .phases = phases,
        .row_blocks = ceil_div(ceil_div(h->out_size, phases), conv->block[BLOCK_ROWS]),
        .col_blocks = ceil_div(w->out_size, conv->block[BLOCK_COLS]),
        .reach = reach,
        .slots = TY + h->kernel_size - 1,
        /* An odd number of cache lines: rows must not fall onto the same sets. */
        .pitch = (ceil_div(round_up(conv->block[BLOCK_COLS], TX * LANES) + reach, LINE) | 1) * LINE,
    };
}

static int is_byte(double a) { return a >= 0 && a <= PIXEL_MAX && a == floor(a); }

static const char *why_not(const ck_conv *conv)
{
    const ck_axis *a = conv->axis;
    if (conv->in_channels != conv->groups || conv->out_channels != conv->groups)
        return "it takes one input and one output channel per group";
    if (a[0].kernel_size != 1 || a[0].in_size != a[0].out_size || a[0].in_dilation != 1
        || a[0].stride != 1 || a[0].pad_before != 0)
        return "it filters two axes";
    if (a[1].stride != 1 || a[2].stride != 1 || a[1].in_dilation != 1 || a[2].in_dilation != 1)
        return "it takes stride 1 and no input dilation";
    if (a[1].kernel_size > HEIGHT_MAX || a[2].dilation > REACH_MAX
        || a[2].kernel_size > REACH_MAX / a[2].dilation + 1)
        return "it takes filters of up to 255 rows and 1024 columns";
    if (!is_byte(a[1].pad_value) || !is_byte(a[2].pad_value))
        return "it takes padding by bytes";
    if (conv->activation != CK_NONE) return "it takes no activation";
    static const int64_t largest[CK_TYPES] = {[CK_U8] = 255, [CK_I8] = 128, [CK_I16] = 32768};
    if (a[1].kernel_size * a[2].kernel_size * largest[conv->types.w] > SUM_MAX)
        return "its sums could pass 32 bits";
    return NULL;
}

static double cost(const ck_conv *conv)
{
    const ck_axis *h = &conv->axis[1], *w = &conv->axis[2];
    const int form = conv->types.w < CK_U8 ? SHORT_FLOATS ? WORDS : FLOATS
                   : BYTE_TAPS && conv->types.w == CK_I8 ? BYTES : WORDS;
    const int64_t taps = form == FLOATS ? 1 : form == WORDS ? WORD_TAPS : 4;
    const double products = (double)(h->kernel_size * ceil_div(w->kernel_size, taps));
    const double images = (double)(conv->batch * conv->groups * conv->axis[0].out_size);
    const double vectors = (double)ceil_div(w->out_size, LANES);
    /* Cycles of a vector of products and of one of outputs, of a row, of an image; measured on
     * Cascade Lake. */
    const double product = form == WORDS && !CK_BYTES_DOT ? 1.2 : 0.75;
    const double row = vectors * (products * product + 7) + 110 + 8 * (double)w->kernel_size;
    const double halo = (double)h->kernel_size * (vectors * 3 + 60);
    const double outputs = images * (double)(h->out_size * w->out_size);
    const double bytes = outputs * (double)(1 + ck_item_bytes(conv->types.y));
    const double memory = bytes > (double)ck_cache_bytes(2) ? bytes * 1e-10 : 0;
    return images * ((double)h->out_size * row + halo + 800) / 3e9 + memory;
}

static void plan(ck_conv *conv)
{
    const ck_axis *h = &conv->axis[1], *w = &conv->axis[2];
    conv->block[BLOCK_ROWS] = conv->block[BLOCK_COLS] = 1;
    const geometry g = geometry_of(conv);
    /* The ring stays in L1. Where it would be a narrow one, columns read twice cost more. */
    const int64_t tile = TX * LANES, in_l1 = ck_cache_bytes(1) * 7 / 8 / (int64_t)sizeof(int32_t);
    const int64_t most = max64(256, in_l1 / g.slots - g.reach) / tile * tile;
    const int64_t col_blocks = ceil_div(w->out_size, most);
    const int64_t cols = round_up(ceil_div(w->out_size, col_blocks), tile);

    const int64_t rows = ceil_div(h->out_size, g.phases);
    const int64_t images = conv->batch * conv->groups * conv->axis[0].out_size;
    const int64_t others = images * g.phases * col_blocks;
    const int64_t wanted = conv->threads > 1 ? 8 * conv->threads : 1;
    const int64_t row_blocks =
        max64(1, min64(ceil_div(wanted, others), rows / (2 * max64(TY, h->kernel_size))));
    conv->block[BLOCK_ROWS] = ceil_div(rows, row_blocks);
    conv->block[BLOCK_COLS] = min64(cols, w->out_size);
}

/* ---- weights ------------------------------------------------------------- */

static int64_t filter_bytes(const ck_conv *conv)
{
    const int64_t each = sizeof(double) + sizeof(int32_t);
    return round_up((int64_t)sizeof(filter) + tap_count(conv) * each, 64);
}
static int64_t packed_bytes(const ck_conv *conv) { return conv->groups * filter_bytes(conv); }

static double weight_at(const void *w, int64_t i, int32_t type)
{
    switch (type) {
    case CK_F32: return ((const float *)w)[i];
    case CK_F64: return ((const double *)w)[i];
    case CK_U8: return ((const uint8_t *)w)[i];
    case CK_I8: return ((const int8_t *)w)[i];
    default: return ((const int16_t *)w)[i];
    }
}

typedef struct range {
    double smallest, largest; /* magnitudes, of those that are not 0 */
    double positive, negative; /* sums of magnitudes */
} range;

static range range_of(const double *w, int64_t n)
{
    range r = {INFINITY, 0, 0, 0};
    for (int64_t i = 0; i < n; i++) {
        const double a = fabs(w[i]);
        if (a > 0) r.smallest = fmin(r.smallest, a);
        r.largest = fmax(r.largest, a);
        *(w[i] < 0 ? &r.negative : &r.positive) += a;
    }
    return r;
}

/* Rounds the weights to multiples k of `unit`, and their sum too, which is what counts where an
 * image is even. Returns the mean error of a sum: of pixels that are independent, at most the
 * standard deviation of one, 127.5, times the root of the sum of squares of the weights' errors,
 * and what the mean of all adds; *start takes that of the middle grey off. */
static double quantise(const double *w, int64_t n, double unit, int32_t *k, int64_t *start)
{
    double off = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        k[i] = (int32_t)rint(w[i] / unit);
        off += w[i] / unit - k[i];
    }
    while (fabs(off) > 0.5) {
        const int step = off > 0 ? 1 : -1;
        int64_t best = 0;
        for (int64_t i = 1; i < n; i++)
            if ((w[i] / unit - k[i]) * step > (w[best] / unit - k[best]) * step) best = i;
        k[best] += step;
        off -= step;
    }
    for (int64_t i = 0; i < n; i++) squares += (w[i] / unit - k[i]) * (w[i] / unit - k[i]);
    *start = (int64_t)rint(off * PIXEL_MAX / 2);
    return (sqrt(squares) + fabs(off)) * PIXEL_MAX / 2 * unit;
}

/* The unit of which all weights are small multiples, or 0. It is the smallest weight or a small
 * part of it; float weights such as 1/9 and 2/9 agree to a last bit or two only. */
static double common_unit(const double *w, int64_t n, range r)
{
    for (int parts = 1; parts <= 16; parts++) {
        const double unit = (float)(r.smallest / parts);
        if (!(r.largest <= unit * WORD_MAX)) return 0;
        int64_t i = 0;
        while (i < n && fabs(w[i] - rint(w[i] / unit) * unit) <= ldexp(fabs(w[i]), -22)) i++;
        if (i == n) return unit;
    }
    return 0;
}

/* Whether the weights are bytes, and a shuffle reaches from the first pixel to the last. */
static int are_bytes(const int32_t *k, int64_t n, int64_t dilation)
{
    int64_t i = 0;
    while (i < n && k[i] >= INT8_MIN && k[i] <= INT8_MAX) i++;
    return BYTE_TAPS && i == n && (BYTE_TAPS - 1) * dilation <= SHUFFLE_REACH;
}

/* Chooses how the filter's sums are made. k takes its weights if they are integers, else w has
 * them. */
static void choose(const ck_conv *conv, filter *f, double *w, int32_t *k)
{
    const int64_t n = tap_count(conv), dilation = conv->axis[2].dilation;
    const range r = range_of(w, n);
    const double all = r.positive + r.negative, most = fmax(r.positive, r.negative);
    /* A float sum stays below `most` and loses 0.29 units of its last place in each step. */
    const double lost = 0.29 * PIXEL_MAX * ldexp(most, -24) * sqrt((double)n + 1);
    const int is_float = conv->types.w < CK_U8;

    f->form = WORDS;
    f->start = 0;
    f->unit = !is_float || all == 0 ? 1 : common_unit(w, n, r);
    if (f->unit && all / f->unit <= SUM_MAX
        && quantise(w, n, f->unit, k, &f->start) <= MAY_DIFFER) {
        const int fits_floats = most / f->unit * PIXEL_MAX <= 1 << 24;
        if (!is_float || SHORT_FLOATS || !fits_floats || are_bytes(k, n, dilation)) return;
        for (int64_t i = 0; i < n; i++) w[i] = k[i];
        f->form = FLOATS;
        f->start = 0;
        return;
    }
    f->unit = (float)fmax(r.largest / (WORD_MAX - 1), all / (SUM_MAX - (double)n));
    if (SHORT_FLOATS && all <= FLT_MAX && f->unit >= FLT_MIN
        && quantise(w, n, f->unit, k, &f->start) <= MAY_DIFFER)
        return;
    f->start = 0;
    f->unit = 1;
    f->form = lost <= MAY_DIFFER ? FLOATS : DOUBLES; /* also where a weight is NaN */
}

/* In place: a cell never lies behind the first of its weights. */
static void pack_cells(const filter *f, const double *w, int32_t *k, int64_t height, int64_t width)
{
    const int bits = (int)(32 / f->cell_taps);
    for (int64_t row = 0; row < height; row++)
        for (int64_t cell = 0; cell < f->cells; cell++) {
            const int64_t first = cell * f->cell_taps, at = row * width + first;
            const float as_float = (float)w[at];
            uint32_t value = 0;
            if (f->form == FLOATS)
                memcpy(&value, &as_float, sizeof value);
            else
                for (int64_t t = 0; t < min64(f->cell_taps, width - first); t++)
                    value |= ((uint32_t)k[at + t] & UINT32_MAX >> (32 - bits)) << (t * bits);
            memcpy(&k[row * f->cells + cell], &value, sizeof value);
        }
}

static double *doubles_of(const filter *f) { return (double *)(f + 1); }
static int32_t *weight_cells(const ck_conv *conv, const filter *f)
{
    return (int32_t *)(doubles_of(f) + tap_count(conv));
}

static void pack(const ck_conv *conv, const void *weights, void *packed)
{
    const int64_t n = tap_count(conv), dilation = conv->axis[2].dilation;
    for (int64_t group = 0; group < conv->groups; group++) {
        filter *f = (filter *)((char *)packed + group * filter_bytes(conv));
        double *w = doubles_of(f);
        int32_t *k = weight_cells(conv, f);
        for (int64_t i = 0; i < n; i++) w[i] = weight_at(weights, group * n + i, conv->types.w);
        choose(conv, f, w, k);
        f->cell_taps = 1;
        if (f->form == WORDS && are_bytes(k, n, dilation)) {
            f->form = BYTES;
            f->cell_taps = BYTE_TAPS;
            for (int64_t i = 0; i < n; i++) f->start += BYTE_ZERO * k[i];
        } else if (f->form == WORDS && dilation <= SHUFFLE_REACH) {
            f->cell_taps = WORD_TAPS;
        }
        f->cells = ceil_div(conv->axis[2].kernel_size, f->cell_taps);
        if (f->form != DOUBLES)
            pack_cells(f, w, k, conv->axis[1].kernel_size, conv->axis[2].kernel_size);
    }
}

/* ---- rows of x ----------------------------------------------------------- */

static uint8_t edge_byte(const ck_axis *axis, const uint8_t *row, uint8_t inside, int64_t at)
{
    const int64_t source = band_source(axis, at);
    if (source == CK_CONSTANT) return (uint8_t)axis->pad_value;
    if (!row) return inside;
    return source == CK_ZERO ? 0 : row[source * axis->x_stride];
}

/* Padded bytes [first, first + count) of a row. `row` is NULL for a row of padding: all of its
 * inside is `inside`. */
static void fill_bytes(const ck_axis *axis, const uint8_t *row, uint8_t inside, int64_t first,
                       int64_t count, uint8_t *to)
{
    const band_run run = band_run_of(axis, first, 1, count);
    for (int64_t i = 0; i < run.left; i++) to[i] = edge_byte(axis, row, inside, first + i);
    for (int64_t i = run.right; i < count; i++) to[i] = edge_byte(axis, row, inside, first + i);
    to += run.left;
    count = run.right - run.left;
    if (!row) {
        memset(to, inside, (size_t)count);
        return;
    }
    row += (first + run.left - axis->pad_before) * axis->x_stride;
    if (axis->x_stride == 1)
        memcpy(to, row, (size_t)count);
    else
        for (int64_t i = 0; i < count; i++) to[i] = row[i * axis->x_stride];
}

/* Which bytes of x are in four cells. */
static cells pattern_of(const filter *f, int64_t dilation)
{
    _Alignas(cells) int8_t from[VEC_BYTES];
    const int64_t bytes = 4 / f->cell_taps; /* of a pixel */
    for (int64_t i = 0; i < VEC_BYTES; i++) {
        const int64_t byte = i % 4, cell = i % 16 / 4;
        from[i] = (int8_t)(byte % bytes ? -1 : cell + byte / bytes * dilation);
    }
    cells pattern;
    memcpy(&pattern, from, sizeof pattern);
    return pattern;
}

/* `count` cells, and up to LANES - 1 more. */
CK_APART void fill_cells(int64_t form, cells pattern, const uint8_t *x, int64_t count, int32_t *to)
{
    const cells zero = cells_set1((int32_t)(BYTE_ZERO * 0x01010101u));
    if (form == FLOATS || form == DOUBLES)
        for (int64_t i = 0; i < count; i += LANES)
            cells_store(to + i, (cells)__builtin_convertvector(cells_of(x + i, pattern), vec));
    else if (form == BYTES && BYTE_ZERO)
        for (int64_t i = 0; i < count; i += LANES)
            cells_store(to + i, cells_of(x + i, pattern) ^ zero);
    else
        for (int64_t i = 0; i < count; i += LANES) cells_store(to + i, cells_of(x + i, pattern));
}

/* ---- sums on their way to y ---------------------------------------------- */

typedef struct output {
    const ck_conv *conv;
    const filter *f;
    void *y;              /* of element (0, 0) of the image */
    const void *residual; /* NULL: none */
    double bias;
    int plain;            /* nothing is added, columns lie side by side */
} output;

/* What a row of tiles computes: ty output rows, of which each needs `height` rows of the ring. */
typedef struct tile_row {
    const int32_t *const *rows; /* of the ring, from the first one needed on */
    const int32_t *w;
    int64_t height;
    int64_t cells, step;        /* of a row of the filter, and how far apart they find theirs */
    int32_t start;
    int32_t *sums;              /* room for a tile */
    const output *out;
    int64_t oh, oh_step, ow, cols;
    uint8_t *y;                 /* where plain sums go as bytes; NULL: through finish() */
    int64_t y_step;
    float unit;
} tile_row;

static double sum_at(const void *p, int64_t i, int32_t type)
{
    return type == CK_F32 ? ((const float *)p)[i]
         : type == CK_F64 ? ((const double *)p)[i] : ((const int32_t *)p)[i];
}

/* Output (oh, ow), rounded to nearest even and saturated; NaN becomes 0. */
static void finish_one(const output *out, double sum, int64_t oh, int64_t ow)
{
    const ck_conv *conv = out->conv;
    const ck_axis *h = &conv->axis[1], *w = &conv->axis[2];
    const int64_t at = oh * h->y_stride + ow * w->y_stride;
    sum = sum * out->f->unit + out->bias;
    if (out->residual)
        sum += sum_at(out->residual, oh * h->residual_stride + ow * w->residual_stride,
                      conv->types.sum);
    if (conv->types.y == CK_U8)
        ((uint8_t *)out->y)[at] = (uint8_t)(sum > 0 ? rint(fmin(sum, PIXEL_MAX)) : 0);
    else
        ((int32_t *)out->y)[at] = (int32_t)fmin(fmax(sum, INT32_MIN), INT32_MAX);
}

/* How a sum becomes a byte; WHOLE: the unit is 1. */
enum { FROM_FLOATS, FROM_WORDS, FROM_WHOLE };
CK_INLINE void store_bytes(uint8_t *y, const cells sum[TX], int64_t live, float unit,
                           const int from)
{
    cells v[TX];
    CK_UNROLL for (int t = 0; t < TX; t++)
        v[t] = from == FROM_WHOLE ? sum[t]
             : cells_round((from == FROM_FLOATS ? (vec)sum[t]
                                                : __builtin_convertvector(sum[t], vec))
                           * vec_set1(unit));
    cells_to_bytes(v, y, live);
}

/* The sums of a tile of ty rows, the first `live` columns of each. */
CK_APART void finish(const tile_row *in, int64_t column, int64_t ty, int64_t live)
{
    const output *out = in->out;
    for (int64_t i = 0; i < ty; i++) {
        const int32_t *sums = in->sums + i * TX * LANES;
        const float *floats = (const float *)sums;
        const int64_t oh = in->oh + i * in->oh_step, ow = in->ow + column;
        if (in->y) {
            cells v[TX];
            CK_UNROLL for (int t = 0; t < TX; t++) v[t] = cells_load(sums + t * LANES);
            if (out->f->form == FLOATS)
                store_bytes(in->y + i * in->y_step + column, v, live, in->unit, FROM_FLOATS);
            else
                store_bytes(in->y + i * in->y_step + column, v, live, in->unit, FROM_WORDS);
        } else if (out->plain) {
            memcpy((int32_t *)out->y + oh * out->conv->axis[1].y_stride + ow, sums,
                   (size_t)live * sizeof *sums);
        } else {
            for (int64_t c = 0; c < live; c++)
                finish_one(out, out->f->form == FLOATS ? floats[c] : sums[c], oh, ow + c);
        }
    }
}

/* ---- tiles --------------------------------------------------------------- */

/* A row of x for the output rows lo ... hi; w is the row of weights that row 0 takes. */
CK_INLINE void row_of_cells(const int32_t *x, int64_t step, const int32_t *w, int64_t count,
                            cells sum[TY][TX], const int ty, const int tx, const int lo,
                            const int hi, const int form)
{
    for (int64_t k = 0; k < count; k++, x += step) {
        cells value[TX];
        CK_UNROLL for (int t = 0; t < tx; t++) {
            value[t] = cells_load(x + t * LANES);
            vec_pin(value[t]);
        }
        CK_UNROLL for (int i = 0; i < ty; i++) {
            if (i < lo || i > hi) continue;
            cells weight = cells_set1(w[k - i * count]);
            vec_pin(weight);
            CK_UNROLL for (int t = 0; t < tx; t++) {
                sum[i][t] = cells_dot(sum[i][t], value[t], weight, form);
                vec_pin(sum[i][t]); /* else gcc adds integers in orders that need more registers */
            }
        }
    }
}

/* ty rows by tx vectors from `column` on, the first `live` columns of them. The filter has
 * `fixed` rows of `fixed_cells` each; where that is 0 it has any number, but no fewer than ty. */
CK_INLINE void tile(const tile_row *in, int64_t column, int64_t live, const int ty, const int tx,
                    const int form, const int fixed, const int fixed_cells)
{
    const int64_t step = in->step, height = in->height, count = fixed ? fixed_cells : in->cells;
    cells sum[TY][TX];

    CK_UNROLL for (int i = 0; i < ty; i++)
        CK_UNROLL for (int t = 0; t < tx; t++) sum[i][t] = cells_set1(in->start);
    if (fixed) {
        CK_UNROLL for (int r = 0; r < ty + fixed - 1; r++) {
            row_of_cells(in->rows[r] + column, step, in->w + r * count, count, sum, ty, tx,
                         r < fixed ? 0 : r - fixed + 1, r < ty ? r : ty - 1, form);
            __asm__("" ::: "memory"); /* there are no registers to keep the weights in */
        }
    } else {
        CK_UNROLL for (int r = 0; r < ty - 1; r++)
            row_of_cells(in->rows[r] + column, step, in->w + r * count, count, sum, ty, tx, 0, r,
                         form);
        for (int64_t r = ty - 1; r < height; r++)
            row_of_cells(in->rows[r] + column, step, in->w + r * count, count, sum, ty, tx, 0,
                         ty - 1, form);
        CK_UNROLL for (int r = 0; r < ty - 1; r++)
            row_of_cells(in->rows[height + r] + column, step, in->w + (height + r) * count, count,
                         sum, ty, tx, r + 1, ty - 1, form);
    }
    uint8_t *y = in->y ? in->y + column : NULL;
    if (tx == TX && y && form != FLOATS && in->unit == 1) {
        CK_UNROLL for (int i = 0; i < ty; i++, y += in->y_step)
            store_bytes(y, sum[i], TX * LANES, 1, FROM_WHOLE);
    } else if (tx == TX && y) {
        CK_UNROLL for (int i = 0; i < ty; i++, y += in->y_step)
            store_bytes(y, sum[i], TX * LANES, in->unit, form == FLOATS ? FROM_FLOATS : FROM_WORDS);
    } else {
        CK_UNROLL for (int i = 0; i < ty; i++)
            CK_UNROLL for (int t = 0; t < tx; t++)
                cells_store(in->sums + (i * TX + t) * LANES, sum[i][t]);
        finish(in, column, ty, live);
    }
}

/* All columns by tiles of tx vectors; the last one reaches back over what is done where there
 * are columns enough. */
CK_INLINE void tiles(const tile_row *in, const int ty, const int tx, const int form,
                     const int fixed, const int fixed_cells)
{
    const int64_t step = tx * LANES, last = in->cols - step;
    CK_ROLLED for (int64_t q = 0; q < in->cols; q += step) {
        if (tx == TX && q > last) q = last;
        tile(in, q, tx == TX ? step : min64(step, in->cols - q), ty, tx, form, fixed, fixed_cells);
    }
}

/* One unrolled body for each number of rows. */
CK_INLINE void any_rows(const tile_row *in, int64_t ty, const int tx, const int form)
{
    switch (ty) {
    case 1: tiles(in, 1, tx, form, 0, 0); break;
    case 2: tiles(in, 2, tx, form, 0, 0); break;
    case 3: tiles(in, 3, tx, form, 0, 0); break;
    case 4: tiles(in, 4, tx, form, 0, 0); break;
    case 5: tiles(in, 5, tx, form, 0, 0); break;
#if VEC_WIDE
    case 6: tiles(in, 6, tx, form, 0, 0); break;
#endif
    default: break;
    }
}

typedef void tiles_function(const tile_row *in, int64_t ty);
/* 3 x 3 and 5 x 5, of one form; any other filter; images narrower than a tile. */
typedef struct form_tiles {
    tiles_function *three, *five, *wide, *narrow;
} form_tiles;

CK_APART void floats_3(const tile_row *in, int64_t ty)
{
    (void)ty; /* a constant */
    tiles(in, TY, TX, FLOATS, 3, 3);
}
CK_APART void floats_5(const tile_row *in, int64_t ty)
{
    (void)ty; /* a constant */
    tiles(in, 5, TX, FLOATS, 5, 5);
}
CK_APART void floats(const tile_row *in, int64_t ty)
{
    any_rows(in, ty, TX, FLOATS);
}
CK_APART void narrow_floats(const tile_row *in, int64_t ty)
{
    any_rows(in, ty, 1, FLOATS);
}

enum { WORDS_3 = (3 + WORD_TAPS - 1) / WORD_TAPS, WORDS_5 = (5 + WORD_TAPS - 1) / WORD_TAPS };
CK_APART void words_3(const tile_row *in, int64_t ty)
{
    (void)ty; /* a constant */
    tiles(in, TY, TX, WORDS, 3, WORDS_3);
}
CK_APART void words_5(const tile_row *in, int64_t ty)
{
    (void)ty; /* a constant */
    tiles(in, 5, TX, WORDS, 5, WORDS_5);
}
CK_APART void words(const tile_row *in, int64_t ty)
{
    any_rows(in, ty, TX, WORDS);
}
CK_APART void narrow_words(const tile_row *in, int64_t ty)
{
    any_rows(in, ty, 1, WORDS);
}

#if CK_BYTES_DOT
CK_APART void bytes_3(const tile_row *in, int64_t ty)
{
    (void)ty; /* a constant */
    tiles(in, TY, TX, BYTES, 3, 1);
}
CK_APART void bytes_5(const tile_row *in, int64_t ty)
{
    (void)ty; /* a constant */
    tiles(in, 5, TX, BYTES, 5, 2);
}
CK_APART void bytes(const tile_row *in, int64_t ty)
{
    any_rows(in, ty, TX, BYTES);
}
CK_APART void narrow_bytes(const tile_row *in, int64_t ty)
{
    any_rows(in, ty, 1, BYTES);
}
#endif

/* The same in doubles. */
CK_APART void add_product(double *restrict sum, double w, const float *restrict x, int64_t count)
{
    for (int64_t c = 0; c < count; c++) sum[c] += w * x[c];
}
static void doubles(const tile_row *in, int64_t ty)
{
    enum { STRIP = TY * TX * LANES / 2 };
    const double *w = doubles_of(in->out->f);
    double *sum = (double *)in->sums;
    for (int64_t i = 0; i < ty; i++)
        for (int64_t q = 0; q < in->cols; q += STRIP) {
            const int64_t live = min64(STRIP, in->cols - q);
            memset(sum, 0, STRIP * sizeof *sum);
            for (int64_t r = 0; r < in->height; r++)
                for (int64_t k = 0; k < in->cells; k++)
                    add_product(sum, w[r * in->cells + k],
                                (const float *)in->rows[i + r] + q + k * in->step, live);
            for (int64_t c = 0; c < live; c++)
                finish_one(in->out, sum[c], in->oh + i * in->oh_step, in->ow + q + c);
        }
}

/* What computes rows of tiles, and how many output rows at a time. */
typedef struct choice {
    tiles_function *run;
    int64_t together;
} choice;

static choice choice_of(const tile_row *in, int64_t rows)
{
    static const form_tiles all[] = {
        {floats_3, floats_5, floats, narrow_floats},
        {words_3, words_5, words, narrow_words},
#if CK_BYTES_DOT
        {bytes_3, bytes_5, bytes, narrow_bytes},
#endif
    };
    const int64_t form = in->out->f->form;
    const int64_t taps = in->out->conv->axis[2].kernel_size;
    const int64_t usual = form == FLOATS ? taps : ceil_div(taps, form == WORDS ? WORD_TAPS : 4);
    const int64_t together = min64(min64(TY, in->height), rows);
    if (form == DOUBLES) return (choice){doubles, together};
    if (in->cols < TX * LANES) return (choice){all[form].narrow, together};
    if (rows >= TY && in->cells == usual && in->height == taps) {
        if (taps == 3) return (choice){all[form].three, TY};
        if (taps == 5) return (choice){all[form].five, 5};
    }
    return (choice){all[form].wide, together};
}

/* ---- items --------------------------------------------------------------- */

/* Scratch: pointers to the rows that a tile reads, its sums, a row of bytes, the ring. */
typedef struct layout {
    int64_t sums, line, ring, bytes;
} layout;

static layout layout_of(const geometry *g)
{
    layout l;
    l.sums = round_up(g->slots * (int64_t)sizeof(int32_t *), 64);
    l.line = l.sums + TY * TX * VEC_BYTES;
    l.ring = l.line + round_up(g->pitch + CELLS_REACH, 64);
    l.bytes = l.ring + g->slots * g->pitch * (int64_t)sizeof(int32_t);
    return l;
}

static int64_t scratch_bytes(const ck_conv *conv)
{
    const geometry g = geometry_of(conv);
    return layout_of(&g).bytes;
}

static int64_t items(const ck_conv *conv)
{
    const geometry g = geometry_of(conv);
    return conv->batch * conv->groups * conv->axis[0].out_size * g.phases * g.row_blocks
         * g.col_blocks;
}

/* Rows oh, oh + g->phases, ... (`rows` of them), columns [ow, ow + cols) of one image. */
static void run_item(const geometry *g, const output *out, const uint8_t *x, char *scratch,
                     int64_t oh, int64_t rows, int64_t ow, int64_t cols)
{
    const ck_conv *conv = out->conv;
    const ck_axis *h = &conv->axis[1], *w = &conv->axis[2];
    const filter *f = out->f;
    const layout l = layout_of(g);
    const int32_t **of_tile = (const int32_t **)scratch;
    uint8_t *line = (uint8_t *)scratch + l.line;
    int32_t *ring = (int32_t *)(scratch + l.ring);
    const cells pattern = pattern_of(f, w->dilation);
    tile_row in = {
        .rows = of_tile,
        .w = weight_cells(conv, f),
        .height = h->kernel_size,
        .cells = f->cells,
        .step = f->cell_taps * w->dilation,
        .start = (int32_t)f->start,
        .sums = (int32_t *)(scratch + l.sums),
        .out = out,
        .oh_step = g->phases,
        .ow = ow,
        .cols = cols,
        .y_step = g->phases * h->y_stride,
        .unit = (float)f->unit,
    };
    const choice tiles = choice_of(&in, rows);
    const int64_t count = round_up(cols, LANES) + (f->cells - 1) * in.step;
    int64_t filled = 0, slot = 0; /* rows of the ring; where the next one goes */

    for (int64_t done = 0; done < rows; done += tiles.together) {
        /* The last rows reach back over what is done, down to the oldest row of the ring. */
        const int64_t first = min64(done, rows - tiles.together);
        const int64_t needed = tiles.together + in.height - 1;
        for (; filled < first + needed; filled++) {
            const int64_t ih = band_source(h, oh + filled * h->dilation);
            const uint8_t inside = ih == CK_CONSTANT ? (uint8_t)h->pad_value : 0;
            const uint8_t *row = ih >= 0 ? x + ih * h->x_stride : NULL;
            fill_bytes(w, row, inside, ow, cols + g->reach, line);
            /* Blocks of columns are too short for the CPU to see where x goes on. */
            if (row && ih < h->in_size - TY * h->dilation)
                for (int64_t i = 0; i < cols; i += 64)
                    __builtin_prefetch(row + TY * h->dilation * h->x_stride + ow + i);
            fill_cells(f->form, pattern, line, count, ring + slot * g->pitch);
            slot = slot + 1 == g->slots ? 0 : slot + 1;
        }
        int64_t from = slot;
        for (int64_t r = needed - 1; r >= 0; r--) {
            from = from == 0 ? g->slots - 1 : from - 1;
            of_tile[r] = ring + from * g->pitch;
        }
        in.oh = oh + first * g->phases;
        if (out->plain && conv->types.y == CK_U8)
            in.y = (uint8_t *)out->y + in.oh * h->y_stride + ow;
        tiles.run(&in, tiles.together);
        if (ck_checkpoint()) return;
    }
}

static void run(const ck_conv *conv, const ck_arrays *arrays, void *scratch, int64_t begin,
                int64_t end)
{
    const geometry g = geometry_of(conv);
    const ck_axis *a = conv->axis;
    const int64_t max_rows = conv->block[BLOCK_ROWS], max_cols = conv->block[BLOCK_COLS];
    for (int64_t item = begin; item < end; item++) {
        int64_t rest = item;
        const int64_t ow = split(&rest, g.col_blocks) * max_cols;
        const int64_t block = split(&rest, g.row_blocks) * max_rows;
        const int64_t phase = split(&rest, g.phases);
        const int64_t depth = split(&rest, a[0].out_size);
        const int64_t group = split(&rest, conv->groups), batch = rest;
        const int64_t rows = ceil_div(a[1].out_size - phase, g.phases) - block;
        if (rows <= 0) continue;
        const uint8_t *x = (const uint8_t *)arrays->x + batch * conv->x_batch_stride
                         + group * conv->x_channel_stride + depth * a[0].x_stride;
        output out = {
            .conv = conv,
            .f = (const filter *)((const char *)arrays->weights + group * filter_bytes(conv)),
            .y = (char *)arrays->y + ck_item_bytes(conv->types.y) * (batch * conv->y_batch_stride
                 + group * conv->y_channel_stride + depth * a[0].y_stride),
            .bias = arrays->bias ? sum_at(arrays->bias, group, conv->types.sum) : 0,
            .plain = !arrays->bias && !arrays->residual && a[2].y_stride == 1,
        };
        if (arrays->residual)
            out.residual = (const char *)arrays->residual + ck_item_bytes(conv->types.sum)
                         * (batch * conv->residual_batch_stride + group
                         * conv->residual_channel_stride + depth * a[0].residual_stride);
        run_item(&g, &out, x, scratch, phase + block * g.phases, min64(max_rows, rows), ow,
                 min64(max_cols, a[2].out_size - ow));
        if (ck_checkpoint()) return;
    }
}

static const ck_types types[] = {
    {CK_U8, CK_F32, CK_U8, CK_F32}, {CK_U8, CK_F64, CK_U8, CK_F64},
    {CK_U8, CK_I8, CK_U8, CK_I32}, {CK_U8, CK_I8, CK_I32, CK_I32},
    {CK_U8, CK_U8, CK_U8, CK_I32}, {CK_U8, CK_U8, CK_I32, CK_I32},
    {CK_U8, CK_I16, CK_U8, CK_I32}, {CK_U8, CK_I16, CK_I32, CK_I32},
};
const ck_kernel CK_KERNEL(conv_direct_image_u8) = {
    "conv_direct_image_u8", CK_ISA_NAME, types, sizeof types / sizeof *types, 0, why_not, cost,
    plan, packed_bytes, pack, scratch_bytes, items, run,
};
