/* strip.h - a block of rows filtered along its columns first and along its rows then, for
 * filters that are an outer product.
 *
 * A work item is a strip: some output rows by some output columns. Its rows of x are a table of
 * pointers, into x where that holds elements side by side, so that rows of padding cost nothing
 * and nothing is copied. `down` filters them into rows of partial sums, panel by panel of a few
 * vectors; the columns of padding are then copies of other partial sums; `across` filters a row
 * of these into y:
 *
 *        rows of x                 partial sums                       y
 *     [ - - - - - - - ]
 *     [ - - - - - - - ]  down   <.[ - - - - - - - ].>   across   [ - - - - - - - ]
 *     [ - - - - - - - ] ------> <.[ - - - - - - - ].> ---------> [ - - - - - - - ]
 *     [ - - - - - - - ]             edges copied
 *
 * Integers are converted on the way, one panel at a time into L1. Where x cannot be read in place,
 * or an edge needs a column that the strip does not have, the padded columns are written there.
 */
#ifndef CONVKIT_STRIP_H
#define CONVKIT_STRIP_H
#include "rows.h"

/* Element types of the kernels: sums of 8-bit integers are as exact as their weights in float,
 * those of 16-bit integers need double. */
#define CK_STRIP_TYPES_F32 { \
    CK_REAL_TYPES, \
    {CK_U8, CK_F32, CK_U8, CK_F32}, {CK_U8, CK_F32, CK_F32, CK_F32}, \
    {CK_I8, CK_F32, CK_I8, CK_F32}, {CK_I8, CK_F32, CK_F32, CK_F32}, \
}
#define CK_STRIP_TYPES_F64 { \
    CK_REAL_TYPES, {CK_U8, CK_F64, CK_U8, CK_F64}, \
    {CK_U16, CK_F32, CK_U16, CK_F64}, {CK_I16, CK_F32, CK_I16, CK_F64}, \
}

/* Block sizes, in conv->block; whether x is read in place; the rest is the kernel's own. */
enum { BLOCK_ROWS, BLOCK_COLS, BLOCK_IN_PLACE, BLOCK_OWN };

enum {
    /* Elements past a row of partial sums that a kernel may read: its widest tile. They are 0. */
    STRIP_SLACK = 16 * LANES,
    PANEL = 4 * LANES, /* columns that go down together at most */
    /* Elements from the first tap of an axis to the last: they bound the scratch. */
    MOST_DOWN = 2048,
    MOST_ACROSS = 8192,
};

typedef struct strips {
    int64_t row_blocks, col_blocks;
    int64_t down, across;    /* elements from the first tap of an axis to the last */
    int64_t sources;         /* rows of x of one strip */
    int64_t columns;         /* of padded x, of one strip */
    int64_t pitch;           /* of rows in scratch: an odd number of cache lines */
} strips;

/* One work item. */
typedef struct strip {
    const ck_conv *conv;
    const real *weights;     /* packed, of this group */
    real bias;
    int64_t rows, cols;      /* of outputs */
    int64_t sources;         /* rows of x: those of output row h start at row h of them */
    int64_t first, columns;  /* of padded x, those that go down */
    const rows *input;
    struct row *row;         /* the rows of x */
    const void **x;          /* where their columns lie, if x is read in place */
    real *panel;             /* columns that go down together, if x is not read itself */
    const real **panel_rows;
    real *sums;              /* the partial sums of the first column */
    int64_t pitch;
    real *spare;             /* two rows */
} strip;

static inline int64_t taps_reach(const ck_axis *axis) { return (axis->kernel_size - 1) * axis->dilation; }

static inline strips strips_of(const ck_conv *conv)
{
    strips s = {
        .row_blocks = ceil_div(conv->axis[1].out_size, conv->block[BLOCK_ROWS]),
        .col_blocks = ceil_div(conv->axis[2].out_size, conv->block[BLOCK_COLS]),
        .down = taps_reach(&conv->axis[1]),
        .across = taps_reach(&conv->axis[2]),
    };
    s.sources = conv->block[BLOCK_ROWS] + s.down;
    s.columns = conv->block[BLOCK_COLS] + s.across;
    s.pitch = (ceil_div(s.columns + STRIP_SLACK, LINE) | 1) * LINE;
    return s;
}

static const char *strip_why_not(const ck_conv *conv)
{
    const ck_axis *a = conv->axis;
    if (conv->in_channels != conv->groups || conv->out_channels != conv->groups)
        return "it takes one input and one output channel per group";
    if (a[0].kernel_size != 1)
        return "it takes filters along the last two axes";
    if (a[1].stride != 1 || a[2].stride != 1)
        return "it takes a stride of 1";
    if (a[1].in_dilation != 1 || a[2].in_dilation != 1)
        return "it takes an input dilation of 1";
    if (a[1].kernel_size == 1 || a[2].kernel_size == 1)
        return "it takes filters of two taps or more along each axis";
    if (a[1].kernel_size > MOST_DOWN || a[1].dilation > MOST_DOWN || taps_reach(&a[1]) > MOST_DOWN
        || a[2].kernel_size > MOST_ACROSS || a[2].dilation > MOST_ACROSS
        || taps_reach(&a[2]) > MOST_ACROSS)
        return "its taps reach too far";
    return NULL;
}

/* The columns of a strip that come from the inside of x, as [begin, end) of its own. */
typedef struct inside {
    int64_t begin, end;
} inside;
static inline inside inside_of(const ck_axis *width, int64_t first, int64_t columns)
{
    const int64_t begin = min64(columns, max64(0, width->pad_before - first));
    return (inside){begin, max64(begin, min64(columns, width->pad_before + width->in_size - first))};
}

/* Where the partial sum of column `at` of a strip is found: a column of the inside; -1: nowhere,
 * -2: it is 0. */
static inline int64_t strip_source(const ck_axis *width, inside in, int64_t first, int64_t at)
{
    const int64_t source = band_source(width, first + at);
    if (source < 0) return source == CK_CONSTANT && width->pad_value == 0 ? -2 : -1;
    const int64_t column = source + width->pad_before - first;
    return column >= in.begin && column < in.end ? column : -1;
}

static inline int has_own_edges(const ck_axis *width, int64_t first, int64_t columns)
{
    const inside in = inside_of(width, first, columns);
    for (int64_t i = 0; i < in.begin; i++)
        if (strip_source(width, in, first, i) == -1) return 0;
    for (int64_t i = in.end; i < columns; i++)
        if (strip_source(width, in, first, i) == -1) return 0;
    return in.end - in.begin >= LANES;
}

static int reads_in_place(const ck_conv *conv)
{
    const ck_axis *a = conv->axis, *width = &a[2];
    const int64_t cols = conv->block[BLOCK_COLS], blocks = ceil_div(width->out_size, cols);
    if (width->x_stride != 1) return 0;
    /* A row of zeros is one of any type. */
    if (conv->types.x != CK_REAL_TYPE && (a[0].pad_value != 0 || a[1].pad_value != 0)) return 0;
    /* Only the first strip and the last two of a row meet an edge then. */
    if (blocks > 1 && max64(width->pad_before, width->pad_after) > cols) return 0;
    for (int64_t block = 0; block < blocks; block = max64(block + 1, blocks - 2)) {
        const int64_t here = min64(cols, width->out_size - block * cols);
        if (!has_own_edges(width, block * cols, here + taps_reach(width))) return 0;
    }
    return 1;
}

/* Scratch: the rows of x, where their columns lie, and those of a panel; where edges are copied
 * from; the panel; rows of one value, two spare rows, the partial sums. */
static inline int64_t strip_table_bytes(const strips *s)
{
    const int64_t each = (int64_t)(sizeof(row) + 2 * sizeof(void *));
    return ceil_div(s->sources * each + s->columns * (int64_t)sizeof(int64_t), 64) * 64;
}
static int64_t strip_scratch_bytes(const ck_conv *conv)
{
    const strips s = strips_of(conv);
    const int64_t rows = ROW_VALUES + 2 + conv->block[BLOCK_ROWS];
    return strip_table_bytes(&s) + (s.sources * PANEL + rows * s.pitch) * (int64_t)sizeof(real);
}

static int64_t strip_items(const ck_conv *conv)
{
    const strips s = strips_of(conv);
    return conv->batch * conv->groups * conv->axis[0].out_size * s.row_blocks * s.col_blocks;
}

/* Seconds of a kernel that takes `down` and `across` cycles for a vector of each; the rest are
 * edges, conversions and stores. */
static double strip_cost(const ck_conv *conv, double down, double across)
{
    const strips s = strips_of(conv);
    const double rows = (double)conv->batch * conv->groups * conv->axis[0].out_size * conv->axis[1].out_size;
    const double vectors = (double)ceil_div(conv->axis[2].out_size, LANES);
    const double padded = vectors * (double)s.columns / (double)conv->block[BLOCK_COLS];
    /* Rows of x are met by so many strips. */
    const double met = (double)s.sources / (double)conv->block[BLOCK_ROWS];
    const double fill = !conv->block[BLOCK_IN_PLACE] ? 12 : conv->types.x == CK_REAL_TYPE ? 0 : 1;
    const double store = conv->types.y == CK_REAL_TYPE && conv->axis[2].y_stride == 1 ? 2 : 3;
    const double cycles = (conv->block[BLOCK_IN_PLACE] ? vectors : padded) * (down + fill * met)
                        + vectors * (across + store) + 2 * (double)s.across + 100;
    return rows * cycles / 3e9 + 1e-6;
}

/* Strips of `rows` rows, and of as many columns as keep a few rows of partial sums in L1 and those
 * past the edges of the strip a small part. */
static void strip_plan(ck_conv *conv, int64_t rows)
{
    const ck_axis *width = &conv->axis[2];
    const int64_t most = max64(4096 / (int64_t)sizeof(real), 8 * taps_reach(width));
    const share blocks = share_of(width->out_size, most);
    conv->block[BLOCK_ROWS] = rows;
    conv->block[BLOCK_COLS] = ceil_div(blocks.each + (blocks.more > 0), LANES) * LANES;
    conv->block[BLOCK_IN_PLACE] = reads_in_place(conv);
}

/* Find the rows of x of a strip; those of padding are written to `constant`, one of each kind. */
static inline void strip_rows(const strip *s, int64_t depth, int64_t height, real *constant)
{
    const rows *r = s->input;
    int filled[ROW_VALUES] = {0};
    for (int64_t h = 0; h < s->sources; h++) {
        const struct row at = row_at(r, depth, height + h);
        real *value = constant + at.kind * s->pitch;
        s->row[h] = at;
        if (!s->conv->block[BLOCK_IN_PLACE]) continue;
        s->x[h] = at.x ? (const void *)(at.x + (s->first - r->begin) * r->item) : value;
        if (!at.x && !filled[at.kind]++) band_fill(value, r->value[at.kind], s->columns);
    }
}

CK_INLINE void panel_convert_(const strip *s, int64_t column, int64_t count, const int32_t type)
{
    for (int64_t h = 0; h < s->sources; h++) {
        const char *x = (const char *)s->x[h] + column * ck_item_bytes(type);
        for (int64_t i = 0; i < count; i += LANES)
            for (int64_t lane = 0; lane < LANES; lane++)
                s->panel[h * PANEL + i + lane] = row_element(x, i + lane, type);
    }
}
static inline void panel_convert(const strip *s, int64_t column, int64_t count)
{
    switch (s->conv->types.x) {
    case CK_U8: panel_convert_(s, column, count, CK_U8); break;
    case CK_I8: panel_convert_(s, column, count, CK_I8); break;
    case CK_U16: panel_convert_(s, column, count, CK_U16); break;
    default: panel_convert_(s, column, count, CK_I16); break;
    }
}

/* Some columns of the rows of x, as reals: from `column` of each row on. */
typedef struct panel {
    const real *const *x;
    int64_t column;
} panel;

CK_APART panel strip_panel(const strip *s, int64_t column, int64_t count)
{
    const ck_conv *conv = s->conv;
    if (conv->block[BLOCK_IN_PLACE]) {
        if (conv->types.x == CK_REAL_TYPE) return (panel){(const real *const *)s->x, column};
        panel_convert(s, column, count);
        return (panel){s->panel_rows, 0};
    }
    const int64_t live = min64(count, s->columns);
    for (int64_t h = 0; h < s->sources; h++) {
        row_write(s->input, s->row[h], s->first + column, live, s->panel + h * PANEL);
        band_fill(s->panel + h * PANEL + live, 0, count - live);
    }
    return (panel){s->panel_rows, 0};
}

/* Where the panel of `count` columns begins that comes to `column`: the last one goes over some
 * columns again, to the same sums, not past the end. */
static inline int64_t panel_begin(const strip *s, int64_t column, int64_t count)
{
    return max64(0, min64(column, s->columns - count));
}

/* Copy the partial sums of the columns that are no inside. */
static inline void strip_edges(const ck_axis *width, inside in, int64_t first, int64_t columns,
                               int64_t rows, int64_t pitch, int64_t *from, real *sums)
{
    int64_t edges = 0;
    for (int64_t i = 0; i < columns; i++) {
        if (i == in.begin) i = in.end;
        if (i == columns) break;
        const int64_t source = strip_source(width, in, first, i);
        from[edges++] = source < 0 ? columns : source; /* zeros stand past the columns */
    }
    if (!edges) return;
    for (int64_t h = 0; h < rows; h++, sums += pitch) {
        for (int64_t i = 0; i < in.begin; i++) sums[i] = sums[from[i]];
        for (int64_t i = in.begin; i < edges; i++) sums[in.end + i - in.begin] = sums[from[i]];
    }
}

/* Sums of one row of y, `across` the partial sums of one row. Whole vectors of `to` may be
 * written but for the last one. */
typedef void strip_across(const strip *s, const real *sums, real *to);
typedef void strip_down(const strip *s);

CK_INLINE void strip_run(const ck_conv *conv, const ck_arrays *arrays, int64_t weights, void *scratch,
                         int64_t begin, int64_t end, strip_down *down, strip_across *across)
{
    const strips s = strips_of(conv);
    const ck_axis *width = &conv->axis[2];
    const int64_t max_rows = conv->block[BLOCK_ROWS], max_cols = conv->block[BLOCK_COLS];
    struct row *row_table = scratch;
    const void **x = (const void **)(row_table + s.sources);
    const real **panel_rows = (const real **)(x + s.sources);
    int64_t *from = (int64_t *)(panel_rows + s.sources);
    real *panel = (real *)((char *)scratch + strip_table_bytes(&s));
    real *constant = panel + s.sources * PANEL;
    real *spare = constant + ROW_VALUES * s.pitch;
    real *sums = spare + 2 * s.pitch;
    int64_t cleared = -1;

    for (int64_t h = 0; h < s.sources; h++) panel_rows[h] = panel + h * PANEL;
    band_fill(spare, 0, 2 * s.pitch);
    for (int64_t item = begin; item < end; item++) {
        int64_t rest = item;
        /* Down first: the next strip has most rows of x in common. */
        const int64_t height = split(&rest, s.row_blocks) * max_rows;
        const int64_t col = split(&rest, s.col_blocks) * max_cols;
        const int64_t depth = split(&rest, conv->axis[0].out_size);
        const int64_t group = split(&rest, conv->groups), batch = rest;
        const int64_t rows = min64(max_rows, conv->axis[1].out_size - height);
        const int64_t cols = min64(max_cols, width->out_size - col);
        const int64_t columns = cols + s.across;
        const struct rows r = rows_of(conv, arrays->x, batch, group);
        const inside in = conv->block[BLOCK_IN_PLACE] ? inside_of(width, col, columns)
                                                      : (inside){0, columns};
        const strip here = {
            .conv = conv, .rows = rows, .cols = cols, .pitch = s.pitch, .spare = spare,
            .weights = (const real *)arrays->weights + group * weights,
            .bias = arrays->bias ? ((const real *)arrays->bias)[group] : 0,
            .sources = rows + s.down, .first = col + in.begin, .columns = in.end - in.begin,
            .input = &r, .row = row_table, .x = x, .panel = panel, .panel_rows = panel_rows,
            .sums = sums + in.begin,
        };

        /* A denormal found by chance past the columns would take 150 cycles. */
        for (int64_t h = 0; h < max_rows && columns != cleared; h++)
            band_fill(sums + h * s.pitch + columns, 0, s.pitch - columns);
        cleared = columns;
        strip_rows(&here, depth * conv->axis[0].stride, height, constant);
        down(&here);
        if (conv->block[BLOCK_IN_PLACE]) strip_edges(width, in, col, columns, rows, s.pitch, from, sums);
        if (ck_checkpoint()) return;

        row_to to = row_to_of(conv, arrays, batch, group, depth, height, col);
        for (int64_t h = 0; h < rows; h++, to = row_to_down(to, 1)) {
            if (to.plain) {
                across(&here, sums + h * s.pitch, (real *)to.y);
            } else {
                across(&here, sums + h * s.pitch, spare);
                row_finish(&to, spare, 0, cols);
            }
            if (ck_checkpoint()) return;
        }
    }
}
#endif
