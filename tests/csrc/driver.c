/* driver.c - every kernel that this CPU can run, against a naive loop, without Python.
 *
 *     driver [-n cases] [-s seed] [-p fault]
 *
 * Draws problems and arrays whose values are small integers, so that every sum is exact
 * and any order of adding is the same number. What a kernel may write is filled with NaN
 * and lies between guard bytes; what it may not read, around and between the elements of
 * x, is NaN too. Built with -fsanitize=address the arrays stand alone on the heap.
 *
 * -p plants a fault, to show that a check would find it: "overrun", "hole", "order",
 * "leak", "undefined", "race".
 */
#include "core.h"

#include <complex.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { GUARD = 0 };
#else
enum { GUARD = 256 };
#endif
enum { GUARD_BYTE = 0xA5, NAN_BYTE = 0xFF }; /* bytes of 0xFF are a NaN of any width */
enum { AXES = 5, BATCH = 0, CHANNEL = 1, FIRST = 2 };
enum { MAX_EDGES = 64, MAX_TAPS = 300, MAX_MACS = 300 * 1000 };

static const char *fault = "";

static bool planted(const char *name)
{
    return !strcmp(fault, name);
}

/* ---- numbers drawn, the same on every machine ---------------------------- */

typedef uint64_t rng;
typedef double complex number;

static int64_t draw(rng *r, int64_t low, int64_t high) /* low ... high */
{
    *r += UINT64_C(0x9E3779B97F4A7C15); /* splitmix64 */
    uint64_t z = *r;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return low + (int64_t)(z % (uint64_t)(high - low + 1));
}

static bool one_in(rng *r, int64_t n)
{
    return draw(r, 1, n) == 1;
}

/* ---- failing ------------------------------------------------------------- */

static void print_conv(const ck_conv *c)
{
    printf("  batch %lld groups %lld channels %lld -> %lld activation %d threads %lld\n",
           (long long)c->batch, (long long)c->groups, (long long)c->in_channels,
           (long long)c->out_channels, (int)c->activation, (long long)c->threads);
    for (int i = 0; i < 3; i++) {
        const ck_axis *a = &c->axis[i];
        printf("  in %lld (x%lld) pad %lld+%lld%s kernel %lld stride %lld dilation %lld"
               " out %lld; strides x %lld y %lld\n",
               (long long)a->in_size, (long long)a->in_dilation, (long long)a->pad_before,
               (long long)a->pad_after, a->edges ? " by table" : "",
               (long long)a->kernel_size, (long long)a->stride, (long long)a->dilation,
               (long long)a->out_size, (long long)a->x_stride, (long long)a->y_stride);
    }
}

static _Noreturn void fail(const ck_kernel *kernel, const ck_conv *conv,
                           const char *format, ...)
{
    va_list list;
    va_start(list, format);
    printf("FAILED %s %s: ", kernel ? kernel->name : "", kernel ? kernel->isa : "");
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    if (conv)
        print_conv(conv);
    exit(1);
}

/* ---- memory between guards ----------------------------------------------- */

typedef struct buffer {
    char *block; /* guard, bytes, guard */
    int64_t bytes;
} buffer;

static void *inside(const buffer *b)
{
    return b->block + GUARD;
}

static void fill_nan(buffer *b)
{
    memset(inside(b), NAN_BYTE, (size_t)b->bytes);
}

static buffer new_buffer(int64_t bytes)
{
    /* Of whole lines, as an allocator's: aligned_alloc wants them. */
    size_t all = (size_t)(GUARD + bytes + GUARD);
    char *block = GUARD ? aligned_alloc(64, (all + 63) / 64 * 64) : NULL;
    if (!GUARD && posix_memalign((void **)&block, 64, all ? all : 1))
        block = NULL;
    if (!block)
        fail(NULL, NULL, "the driver itself has no memory");
    buffer b = {block, bytes};
    memset(block, GUARD_BYTE, all);
    fill_nan(&b);
    return b;
}

static bool is_intact(const buffer *b)
{
    for (int64_t i = 0; i < GUARD; i++)
        if ((unsigned char)b->block[i] != GUARD_BYTE
            || (unsigned char)b->block[GUARD + b->bytes + i] != GUARD_BYTE)
            return false;
    return true;
}

/* ---- arrays of any strides ----------------------------------------------- */

typedef struct array {
    buffer memory;
    int64_t first; /* element 0, 0, 0, 0, 0 */
    int64_t size[AXES], stride[AXES];
    int32_t type;
} array;

/* An array with its axes in any order in memory, gaps between the elements, some
 * axes backwards; `broadcast`: some with a stride of 0. */
static array new_array(rng *r, const int64_t size[AXES], int32_t type, bool broadcast)
{
    array a = {.type = type};
    memcpy(a.size, size, sizeof a.size);
    int order[AXES] = {0, 1, 2, 3, 4};
    if (one_in(r, 2))
        for (int i = AXES - 1; i > 0; i--) {
            int j = (int)draw(r, 0, i), swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
    int64_t step = one_in(r, 4) ? draw(r, 2, 3) : 1, last = 0;
    for (int i = AXES - 1; i >= 0; i--) {
        int axis = order[i];
        if (size[axis] == 1 && one_in(r, 4)) {
            a.stride[axis] = INT64_C(1) << 40; /* never used: there is one element */
            continue;
        }
        if (broadcast && one_in(r, 16))
            continue;
        a.stride[axis] = step;
        if (size[axis] > 0)
            last += (size[axis] - 1) * step;
        if (size[axis] > 1 && one_in(r, 8)) {
            a.first += (size[axis] - 1) * step;
            a.stride[axis] = -step;
        }
        step =
            step * (size[axis] > 1 ? size[axis] : 1) + (one_in(r, 8) ? draw(r, 1, 3) : 0);
    }
    int64_t elements = 1;
    for (int i = 0; i < AXES; i++)
        elements *= size[i];
    a.memory = new_buffer(elements ? (last + 1) * ck_item_bytes(type) : 0);
    if (!elements)
        a.first = 0;
    return a;
}

static int64_t locate(const array *a, const int64_t index[AXES])
{
    int64_t at = a->first;
    for (int i = 0; i < AXES; i++)
        if (index[i])
            at += index[i] * a->stride[i];
    return at;
}

/* An element of any type, as a number that holds all of them. */
static number get(const void *memory, int64_t at, int32_t type)
{
    switch (type) {
    case CK_F32: return ((const float *)memory)[at];
    case CK_F64: return ((const double *)memory)[at];
    case CK_C64: return ((const float complex *)memory)[at];
    case CK_C128: return ((const double complex *)memory)[at];
    case CK_U8: return ((const uint8_t *)memory)[at];
    case CK_I8: return ((const int8_t *)memory)[at];
    case CK_U16: return ((const uint16_t *)memory)[at];
    case CK_I16: return ((const int16_t *)memory)[at];
    default: return ((const int32_t *)memory)[at];
    }
}

/* Rounded to nearest and saturated where the type holds integers. */
static number rounded(number value, int32_t type)
{
    static const double low[CK_TYPES] = {[CK_I8] = INT8_MIN, [CK_I16] = INT16_MIN,
                                         [CK_I32] = INT32_MIN};
    static const double high[CK_TYPES] = {[CK_U8] = UINT8_MAX, [CK_I8] = INT8_MAX,
                                          [CK_U16] = UINT16_MAX, [CK_I16] = INT16_MAX,
                                          [CK_I32] = INT32_MAX};
    if (type == CK_F32)
        return (float)creal(value);
    if (type == CK_C64)
        return (float complex)value;
    return type < CK_U8 ? value : fmin(fmax(rint(creal(value)), low[type]), high[type]);
}

static void put(void *memory, int64_t at, int32_t type, number value)
{
    switch (type) {
    case CK_F32: ((float *)memory)[at] = (float)creal(value); break;
    case CK_F64: ((double *)memory)[at] = creal(value); break;
    case CK_C64: ((float complex *)memory)[at] = (float complex)value; break;
    case CK_C128: ((double complex *)memory)[at] = value; break;
    case CK_U8: ((uint8_t *)memory)[at] = (uint8_t)creal(value); break;
    case CK_I8: ((int8_t *)memory)[at] = (int8_t)creal(value); break;
    case CK_U16: ((uint16_t *)memory)[at] = (uint16_t)creal(value); break;
    case CK_I16: ((int16_t *)memory)[at] = (int16_t)creal(value); break;
    default: ((int32_t *)memory)[at] = (int32_t)creal(value);
    }
}

static void *origin(const array *a)
{
    return (char *)inside(&a->memory) + a->first * ck_item_bytes(a->type);
}

/* Steps through all indices; false after the last. */
static bool next_index(const array *a, int64_t index[AXES])
{
    for (int i = AXES - 1; i >= 0; i--) {
        if (++index[i] < a->size[i])
            return true;
        index[i] = 0;
    }
    return false;
}

static bool is_empty(const array *a)
{
    for (int i = 0; i < AXES; i++)
        if (!a->size[i])
            return true;
    return false;
}

/* Small integers, or, to tell one order of adding from another, fractions. */
static number draw_value(rng *r, bool exact, int32_t type)
{
    const int64_t low = type == CK_U8 || type == CK_U16 ? 0 : -4;
    const bool whole = exact || type >= CK_U8;
    double part[2];
    for (int i = 0; i < 2; i++)
        part[i] = whole ? (double)draw(r, low, 4) : (double)draw(r, -1000000, 1000000) * 1e-6;
    return type == CK_C64 || type == CK_C128 ? part[0] + I * part[1] : part[0];
}

static void fill_array(rng *r, array *a, bool exact)
{
    int64_t index[AXES] = {0};
    if (is_empty(a))
        return;
    do
        put(inside(&a->memory), locate(a, index), a->type, draw_value(r, exact, a->type));
    while (next_index(a, index));
}

static buffer new_vector(rng *r, int64_t count, int32_t type, bool exact)
{
    buffer b = new_buffer(count * ck_item_bytes(type));
    for (int64_t i = 0; i < count; i++)
        put(inside(&b), i, type, draw_value(r, exact, type));
    return b;
}

/* ---- problems ------------------------------------------------------------ */

typedef struct problem {
    ck_conv conv;
    int64_t edges[3][MAX_EDGES];
    bool has_bias, has_residual;
} problem;

static void draw_axis(rng *r, ck_axis *a, int64_t *edges, bool wide)
{
    a->kernel_size = one_in(r, 4) ? 1 : draw(r, 1, wide ? 9 : 4);
    if (wide && one_in(r, 16))
        a->kernel_size = draw(r, 10, one_in(r, 4) ? MAX_TAPS : 70);
    a->stride = one_in(r, 3) ? draw(r, 1, 4) : 1;
    a->dilation = one_in(r, 3) ? draw(r, 1, 5) : 1;
    a->in_dilation = one_in(r, 5) ? draw(r, 1, 3) : 1;
    if (wide && one_in(r, 16)) /* resampling by a ratio, in vectors of any width */
        a->stride = draw(r, 1, 40), a->in_dilation = one_in(r, 2) ? 1 : draw(r, 1, 40);
    a->pad_before = one_in(r, 2) ? 0 : draw(r, 0, 5);
    a->pad_after = one_in(r, 2) ? 0 : draw(r, 0, 5);
    a->pad_value = one_in(r, 3) ? (double)draw(r, -4, 4) : 0;

    /* As many outputs as a whole number of vectors of 2 to 16 lanes, one more or one
     * less: the edges of every tile. */
    int64_t outs = draw(r, 0, 6);
    if (wide)
        outs = (INT64_C(1) << draw(r, 1, one_in(r, 4) ? 9 : 4)) * draw(r, 1, 5) + draw(r, -1, 1);
    int64_t spread = (outs - 1) * a->stride + (a->kernel_size - 1) * a->dilation + 1
                     - a->pad_before - a->pad_after + draw(r, 0, a->stride - 1);
    a->in_size = spread < 1 ? draw(r, 0, 3) : (spread - 1) / a->in_dilation + 1;
    if (one_in(r, 40))
        a->in_size = 0;

    int64_t padded = a->pad_before + a->pad_after;
    padded += a->in_size ? (a->in_size - 1) * a->in_dilation + 1 : 0;
    int64_t reach = (a->kernel_size - 1) * a->dilation + 1;
    a->out_size = padded < reach ? 0 : (padded - reach) / a->stride + 1;

    a->edges = one_in(r, 2) ? NULL : edges;
    for (int64_t i = 0; i < a->pad_before + a->pad_after; i++)
        edges[i] = draw(r, CK_ZERO, a->in_size - 1);
}

static int64_t draw_channels(rng *r)
{
    if (one_in(r, 3)) /* around the widths of vectors and tiles */
        return (INT64_C(1) << draw(r, 1, 6)) + draw(r, -1, 1);
    return draw(r, 1, 5);
}

static double macs_of(const ck_conv *c)
{
    double macs = (double)c->batch * (double)c->out_channels * (double)c->in_channels
                  / (double)c->groups;
    for (int i = 0; i < 3; i++)
        macs *= (double)(c->axis[i].out_size * c->axis[i].kernel_size);
    return macs;
}

static problem draw_problem(rng *r)
{
    problem p;
    do {
        memset(&p, 0, sizeof p);
        ck_conv *c = &p.conv;
        c->batch = one_in(r, 30) ? 0 : draw(r, 1, 3);
        bool single = one_in(r, 3);
        c->groups = one_in(r, 2) ? 1 : single ? draw_channels(r) : draw(r, 2, 6);
        c->in_channels = c->groups * (single ? 1 : one_in(r, 40) ? 0 : draw_channels(r));
        c->out_channels = c->groups * (single ? (one_in(r, 4) ? 2 : 1)
                                       : one_in(r, 40) ? 0 : draw_channels(r));
        int64_t rank = draw(r, 1, 3);
        for (int i = 0; i < 3; i++) {
            c->axis[i] = (ck_axis){.in_size = 1,
                                   .in_dilation = 1,
                                   .kernel_size = 1,
                                   .stride = 1,
                                   .dilation = 1,
                                   .out_size = 1};
            if (i >= 3 - rank)
                draw_axis(r, &c->axis[i], p.edges[i], i == 2 || (i == 1 && one_in(r, 4)));
        }
        c->threads = draw(r, 1, 3);
        c->activation = one_in(r, 2) ? CK_NONE : (int32_t)draw(r, CK_CLIP, CK_LEAKY_RELU);
        if (one_in(r, 8))
            c->activation = CK_HARDSWISH;
        c->activation_low = c->activation == CK_LEAKY_RELU ? 0.5 : -3;
        c->activation_high = 50;
        p.has_bias = one_in(r, 2);
        p.has_residual = one_in(r, 3);
    } while (macs_of(&p.conv) > MAX_MACS);
    return p;
}

/* ---- what is right ------------------------------------------------------- */

/* Where the padded element `at` of an axis comes from: an index, CK_CONSTANT, CK_ZERO. */
static int64_t source(const ck_axis *a, int64_t at)
{
    int64_t spread = a->in_size ? (a->in_size - 1) * a->in_dilation + 1 : 0;
    int64_t i = at - a->pad_before;
    if (i >= 0 && i < spread)
        return i % a->in_dilation ? CK_ZERO : i / a->in_dilation;
    if (!a->edges)
        return CK_CONSTANT;
    return a->edges[i < 0 ? at : at - spread];
}

/* An element of padded x: as np.pad fills it, axis after axis, the last constant wins. */
static number padded(const ck_conv *c, const array *x, int64_t b, int64_t channel,
                     const int64_t at[3])
{
    int64_t index[AXES] = {b, channel, 0, 0, 0};
    bool zero = false;
    for (int i = 2; i >= 0; i--) {
        int64_t from = source(&c->axis[i], at[i]);
        if (from == CK_CONSTANT)
            return c->axis[i].pad_value;
        zero = zero || from == CK_ZERO;
        index[FIRST + i] = from;
    }
    return zero ? 0 : get(inside(&x->memory), locate(x, index), x->type);
}

static number activate(const ck_conv *c, number sum)
{
    const double v = creal(sum);
    switch (c->activation) {
    case CK_CLIP:
        return fmin(fmax(v, c->activation_low), c->activation_high);
    case CK_LEAKY_RELU:
        return v < 0 ? v * c->activation_low : v;
    case CK_HARDSWISH:
        return v * fmin(fmax(v + 3, 0), 6) / 6;
    default:
        return sum;
    }
}

typedef struct arrays {
    array x, residual, y;
    buffer w, bias, packed;
} arrays;

static number reference(const problem *p, const arrays *a, const int64_t index[AXES])
{
    const ck_conv *c = &p->conv;
    int64_t channels = c->in_channels / c->groups;
    int64_t group = index[CHANNEL] / (c->out_channels / c->groups);
    int64_t tap = index[CHANNEL] * channels; /* w: (out_channels, channels, kd, kh, kw) */
    for (int i = 0; i < 3; i++)
        tap *= c->axis[i].kernel_size;
    number sum = 0;
    for (int64_t ic = 0; ic < channels; ic++)
        for (int64_t kd = 0; kd < c->axis[0].kernel_size; kd++)
            for (int64_t kh = 0; kh < c->axis[1].kernel_size; kh++)
                for (int64_t kw = 0; kw < c->axis[2].kernel_size; kw++) {
                    const int64_t k[3] = {kd, kh, kw};
                    int64_t at[3];
                    for (int i = 0; i < 3; i++)
                        at[i] = index[FIRST + i] * c->axis[i].stride
                                + k[i] * c->axis[i].dilation;
                    sum += padded(c, &a->x, index[BATCH], group * channels + ic, at)
                           * get(inside(&a->w), tap++, c->types.w);
                }
    if (p->has_bias)
        sum += get(inside(&a->bias), index[CHANNEL], c->types.sum);
    if (p->has_residual)
        sum +=
            get(inside(&a->residual.memory), locate(&a->residual, index), c->types.sum);
    return rounded(activate(c, sum), c->types.y);
}

/* ---- one problem on one kernel ------------------------------------------- */

/* Weights of the structure that the descriptor states. */
static buffer new_weights(rng *r, const ck_conv *c, bool exact)
{
    const int64_t channels = c->in_channels / c->groups;
    const int64_t taps = c->axis[0].kernel_size * c->axis[1].kernel_size
                         * c->axis[2].kernel_size;
    const int32_t type = c->types.w;
    buffer w = new_vector(r, c->out_channels * channels * taps, type, exact);
    for (int64_t i = 0; c->structure != CK_DENSE && i < c->out_channels * channels; i++) {
        double factor[3][MAX_TAPS]; /* small integers: every product is exact */
        const bool is_signed = type != CK_U8 && type != CK_U16;
        for (int axis = 0; axis < 3; axis++)
            for (int64_t k = 0; k < c->axis[axis].kernel_size; k++)
                factor[axis][k] = c->structure == CK_BOX ? axis + 1
                                                         : (double)draw(r, -is_signed, 2);
        int64_t at = i * taps;
        for (int64_t kd = 0; kd < c->axis[0].kernel_size; kd++)
            for (int64_t kh = 0; kh < c->axis[1].kernel_size; kh++)
                for (int64_t kw = 0; kw < c->axis[2].kernel_size; kw++)
                    put(inside(&w), at++, type,
                        factor[0][kd] * factor[1][kh] * factor[2][kw]);
    }
    return w;
}

static arrays new_arrays(rng *r, problem *p, bool exact)
{
    ck_conv *c = &p->conv;
    const ck_axis *k = c->axis;
    const int64_t x_size[AXES] = {c->batch, c->in_channels, k[0].in_size, k[1].in_size,
                                  k[2].in_size};
    const int64_t y_size[AXES] = {c->batch, c->out_channels, k[0].out_size, k[1].out_size,
                                  k[2].out_size};
    arrays a = {
        .x = new_array(r, x_size, c->types.x, true),
        .residual = new_array(r, y_size, c->types.sum, true),
        .y = new_array(r, y_size, c->types.y, false),
        .w = new_weights(r, c, exact),
        .bias = new_vector(r, c->out_channels, c->types.sum, exact),
    };
    fill_array(r, &a.x, exact);
    fill_array(r, &a.residual, exact);
    c->x_batch_stride = a.x.stride[BATCH];
    c->x_channel_stride = a.x.stride[CHANNEL];
    c->y_batch_stride = a.y.stride[BATCH];
    c->y_channel_stride = a.y.stride[CHANNEL];
    c->residual_batch_stride = a.residual.stride[BATCH];
    c->residual_channel_stride = a.residual.stride[CHANNEL];
    for (int i = 0; i < 3; i++) {
        c->axis[i].x_stride = a.x.stride[FIRST + i];
        c->axis[i].y_stride = a.y.stride[FIRST + i];
        c->axis[i].residual_stride = a.residual.stride[FIRST + i];
    }
    return a;
}

static void free_arrays(arrays *a)
{
    const buffer all[] = {a->x.memory, a->residual.memory, a->y.memory, a->w,
                          a->bias,     a->packed};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i].block);
}

static void check_guards(const ck_kernel *kernel, const ck_conv *conv, const arrays *a)
{
    if (!is_intact(&a->y.memory))
        fail(kernel, conv, "wrote outside y");
    if (!is_intact(&a->packed))
        fail(kernel, conv, "wrote outside the packed weights");
}

/* Of kernels that round: what a transform of some hundred elements of this size may lose. */
static bool is_right(const ck_kernel *kernel, int32_t type, number got, number right)
{
    if (!kernel->rounds)
        return got == right;
    return cabs(got - right) <= (type == CK_F32 || type == CK_C64 ? 2e-3 : 1e-11);
}

static void check_values(const ck_kernel *kernel, const problem *p, const arrays *a)
{
    int64_t index[AXES] = {0};
    const int32_t type = p->conv.types.y;
    const int64_t bytes = ck_item_bytes(type);
    buffer rest =
        new_buffer(a->y.memory.bytes); /* y less its elements: NaN, if all is well */
    memcpy(inside(&rest), inside(&a->y.memory), (size_t)rest.bytes);
    if (!is_empty(&a->y))
        do {
            int64_t at = locate(&a->y, index);
            number got = get(inside(&a->y.memory), at, type);
            number right = reference(p, a, index);
            if (!is_right(kernel, type, got, right))
                fail(kernel, &p->conv, "y[%d, %d, %d, %d, %d] is %.17g%+.17gi, not %.17g%+.17gi",
                     (int)index[0], (int)index[1], (int)index[2], (int)index[3],
                     (int)index[4], creal(got), cimag(got), creal(right), cimag(right));
            memset((char *)inside(&rest) + at * bytes, NAN_BYTE, (size_t)bytes);
        } while (next_index(&a->y, index));
    for (int64_t i = 0; i < rest.bytes; i++)
        if (((unsigned char *)inside(&rest))[i] != NAN_BYTE)
            fail(kernel, &p->conv, "wrote between the elements of y");
    free(rest.block);
}

static ck_arrays pointers(const problem *p, const arrays *a)
{
    return (ck_arrays){
        origin(&a->x),
        inside(&a->packed),
        p->has_bias ? inside(&a->bias) : NULL,
        p->has_residual ? origin(&a->residual) : NULL,
        origin(&a->y),
    };
}

/* The kernel itself, its items in two pieces, the second one first. */
static void run_kernel(rng *r, const ck_kernel *kernel, const problem *p, arrays *a)
{
    if (is_empty(&a->y))
        return;
    const ck_arrays all = pointers(p, a);
    int64_t items = kernel->items(&p->conv);
    int64_t middle = draw(r, 0, items);
    const int64_t ranges[2][2] = {{middle, items}, {0, middle}};
    for (int i = 0; i < 2; i++) {
        buffer scratch = new_buffer(kernel->scratch_bytes(&p->conv));
        kernel->run(&p->conv, &all, inside(&scratch), ranges[i][0], ranges[i][1]);
        if (!is_intact(&scratch))
            fail(kernel, &p->conv, "wrote outside its scratch");
        free(scratch.block);
    }
    if (planted("overrun"))
        memset((char *)inside(&a->y.memory) + a->y.memory.bytes, 0, 1);
    if (planted("hole"))
        put(all.y, 0, p->conv.types.y, NAN);
    check_guards(kernel, &p->conv, a);
}

/* Through conv.c and the pool, with weights packed before or on the way. */
static int32_t run_library(const ck_kernel *kernel, const problem *p, arrays *a,
                           bool packing)
{
    const ck_arrays all = pointers(p, a);
    fill_nan(&a->y.memory);
    int32_t code = packing ? ck_conv_call(&p->conv, kernel, all.x, inside(&a->w),
                                          all.bias, all.residual, all.y)
                           : ck_conv_run(&p->conv, kernel, all.x, all.weights, all.bias,
                                         all.residual, all.y);
    check_guards(kernel, &p->conv, a);
    return code;
}

/* A kernel is never asked about a problem without outputs. */
static void pack(const ck_kernel *kernel, const problem *p, arrays *a)
{
    free(a->packed.block);
    a->packed = new_buffer(is_empty(&a->y) ? 0 : kernel->packed_bytes(&p->conv));
    if (!is_empty(&a->y))
        kernel->pack(&p->conv, inside(&a->w), inside(&a->packed));
}

/* Plans `p` for the kernel; makes its arrays and packs its weights. */
static arrays prepare(rng *r, const ck_kernel *kernel, problem *p, bool exact)
{
    arrays a = new_arrays(r, p, exact);
    int32_t code = ck_conv_plan(&p->conv, kernel);
    if (code)
        fail(kernel, &p->conv, "ck_conv_plan answers %d", code);
    pack(kernel, p, &a);
    return a;
}

static void test_values(rng r, const ck_kernel *kernel, problem p)
{
    arrays a = prepare(&r, kernel, &p, true);
    run_kernel(&r, kernel, &p, &a);
    check_values(kernel, &p, &a);
    free_arrays(&a);
}

/* The same bits however the work is shared out. */
static void test_bits(rng r, const ck_kernel *kernel, problem p)
{
    const double pretended[] = {0, 1e-3, 5}; /* inline, a few tickets, many */
    arrays a = prepare(&r, kernel, &p, false);
    run_kernel(&r, kernel, &p, &a);
    size_t bytes = (size_t)a.y.memory.bytes;
    buffer first = new_buffer((int64_t)bytes);
    memcpy(inside(&first), inside(&a.y.memory), bytes);
    for (int64_t threads = 1; threads <= 3; threads++) {
        p.conv.threads = threads;
        if (ck_conv_plan(&p.conv, kernel))
            fail(kernel, &p.conv, "no plan for %d threads", (int)threads);
        pack(kernel, &p, &a);
        for (int i = 0; i < 3; i++) {
            p.conv.seconds = pretended[i];
            int32_t code = run_library(kernel, &p, &a, one_in(&r, 2));
            if (code)
                fail(kernel, &p.conv, "running it answers %d", code);
            if (planted("order") && threads > 1 && bytes)
                ((char *)inside(&a.y.memory))[0] ^= 1;
            if (memcmp(inside(&first), inside(&a.y.memory), bytes))
                fail(kernel, &p.conv, "other bits on %d threads, %g s", (int)threads,
                     pretended[i]);
        }
    }
    free(first.block);
    free_arrays(&a);
}

/* Every allocation of a call fails once: the call says so and loses nothing. */
static void test_no_memory(rng r, const ck_kernel *kernel, problem p)
{
    arrays a = prepare(&r, kernel, &p, true);
    p.conv.seconds = 1e-3; /* through the allocator, not the stack */
    int64_t failed = 0, live = ck_live_bytes();
    int32_t code = CK_ENOMEM;
    for (; code == CK_ENOMEM; failed++) {
        ck_release_caches();
        live = ck_live_bytes();
        ck_fail_alloc(failed);
        code = run_library(kernel, &p, &a, true);
        ck_fail_alloc(-1);
        ck_release_caches();
        if (ck_live_bytes() != live)
            fail(kernel, &p.conv, "%lld bytes were lost",
                 (long long)(ck_live_bytes() - live));
    }
    if (code)
        fail(kernel, &p.conv, "with memory again it answers %d", code);
    if (failed < 2 && !is_empty(&a.y))
        fail(kernel, &p.conv, "no allocation was seen to fail");
    check_values(kernel, &p, &a);
    free_arrays(&a);
}

/* ---- descriptors that lie ------------------------------------------------ */

static void set_extreme(rng *r, int64_t *field)
{
    const int64_t extremes[] = {0,
                                -1,
                                1,
                                INT32_MAX,
                                INT64_MAX,
                                INT64_MIN,
                                INT64_MAX / 2,
                                INT64_C(1) << 40,
                                -(INT64_C(1) << 62)};
    if (one_in(r, 4))
        *field = extremes[draw(r, 0, sizeof extremes / sizeof *extremes - 1)];
}

/* The output size the axis should state, where 64 bits hold it. */
static void state_out_size(ck_axis *a)
{
    if (a->in_size < 0 || a->in_dilation < 1 || a->pad_before < 0 || a->pad_after < 0
        || a->kernel_size < 1 || a->stride < 1 || a->dilation < 1)
        return;
    __int128 have = (__int128)a->pad_before + a->pad_after;
    have += a->in_size ? (__int128)(a->in_size - 1) * a->in_dilation + 1 : 0;
    __int128 reach = (__int128)(a->kernel_size - 1) * a->dilation + 1;
    __int128 outs = have < reach ? 0 : (have - reach) / a->stride + 1;
    a->out_size = outs > INT64_MAX ? INT64_MAX : (int64_t)outs;
}

/* Any descriptor is refused, or its sizes can be asked for without wrapping round. */
static bool test_liar(rng r, const ck_kernel *kernel, problem p)
{
    ck_conv *c = &p.conv;
    c->types = kernel->types[0];
    int64_t *fields[] = {
        &c->batch,   &c->groups,         &c->in_channels,      &c->out_channels,
        &c->threads, &c->x_batch_stride, &c->x_channel_stride, &c->y_batch_stride};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (one_in(&r, 8))
            set_extreme(&r, fields[i]);
    ck_axis *a = &c->axis[draw(&r, 0, 2)];
    int64_t *of_axis[] = {&a->in_size,  &a->in_dilation, &a->kernel_size, &a->stride,
                          &a->dilation, &a->x_stride,    &a->y_stride,    &a->out_size};
    for (size_t i = 0; i < sizeof of_axis / sizeof *of_axis; i++)
        set_extreme(&r, of_axis[i]);
    if (!a->edges) {
        set_extreme(&r, &a->pad_before);
        set_extreme(&r, &a->pad_after);
    }
    if (!one_in(&r, 4))
        state_out_size(a);

    int32_t code = ck_conv_plan(c, kernel);
    if (code)
        return code == CK_EINVAL || code == CK_EOVERFLOW;
    if (!c->batch || !c->out_channels || !c->axis[0].out_size || !c->axis[1].out_size
        || !c->axis[2].out_size)
        return ck_conv_workspace(c) == 0;
    return kernel->items(c) >= 0 && kernel->packed_bytes(c) >= 0
           && kernel->scratch_bytes(c) >= 0 && ck_conv_workspace(c) >= 0;
}

/* A valid descriptor with one field that passes 63 bits says CK_EOVERFLOW. */
static void test_overflow(const ck_kernel *kernel)
{
    ck_conv valid = {.batch = 1, .groups = 1, .in_channels = 1, .out_channels = 1};
    for (int i = 0; i < 3; i++)
        valid.axis[i] = (ck_axis){.in_size = 1,
                                  .in_dilation = 1,
                                  .kernel_size = 1,
                                  .stride = 1,
                                  .dilation = 1,
                                  .out_size = 1,
                                  .x_stride = 1,
                                  .y_stride = 1};
    valid.types = kernel->types[0];
    valid.threads = 1;
    ck_conv wide = valid, strided = valid, padded = valid;
    wide.axis[2].in_size = wide.axis[2].out_size = INT64_MAX / 2;
    strided.axis[2].in_size = strided.axis[2].out_size = INT64_C(1) << 40;
    strided.axis[2].x_stride = INT64_C(1) << 40;
    padded.axis[2].pad_before = INT64_MAX / 2;
    padded.axis[2].pad_after = INT64_MAX / 2 + 5;
    ck_conv *all[] = {&wide, &strided, &padded};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!kernel->why_not(&valid) && ck_conv_plan(all[i], kernel) != CK_EOVERFLOW)
            fail(kernel, all[i], "overflow number %d was not seen", (int)i);
}

/* ---- all of it ----------------------------------------------------------- */

/* 3 x 3 taps and nothing between them, which is all that some kernels of layers take. */
static void make_3x3(ck_conv *c)
{
    for (int i = 0; i < 3; i++) {
        ck_axis *a = &c->axis[i];
        a->kernel_size = i ? 3 : 1;
        a->stride = a->dilation = a->in_dilation = 1;
        state_out_size(a);
    }
}

/* A problem in the kernel's types number `turn`; false if the kernel does not take it. */
static bool draw_for(const ck_kernel *kernel, rng *r, int64_t turn, problem *p)
{
    *p = draw_problem(r);
    for (int i = 0; i < 3; i++) /* the copy has tables of its own */
        if (p->conv.axis[i].edges)
            p->conv.axis[i].edges = p->edges[i];
    ck_conv *c = &p->conv;
    c->types = kernel->types[turn % kernel->type_count];
    const bool is_complex = c->types.y == CK_C64 || c->types.y == CK_C128;
    if (is_complex || c->types.y >= CK_U8) /* no activation of theirs is exact */
        c->activation = CK_NONE;
    if (c->types.x == CK_U8 || c->types.x == CK_U16)
        for (int i = 0; i < 3; i++)
            c->axis[i].pad_value = fabs(c->axis[i].pad_value);
    if (kernel->why_not(c))
        c->structure = (int32_t)draw(r, CK_SEPARABLE, CK_BOX);
    if (kernel->why_not(c)) {
        c->structure = CK_DENSE;
        make_3x3(c);
    }
    return !kernel->why_not(c) && macs_of(c) <= MAX_MACS;
}

/* The first problem of some that the kernel takes; false if it takes none of them. */
static bool problem_for(const ck_kernel *kernel, rng *r, int64_t turn, problem *p)
{
    for (int i = 0; i < 64; i++)
        if (draw_for(kernel, r, turn, p))
            return true;
    return false;
}

typedef struct crowd {
    const ck_kernel *kernel;
    int64_t cases;
    rng seed;
} crowd;

static int race; /* written by all, when planted */

static void *be_one_of_many(void *arg)
{
    const crowd *c = arg;
    for (int64_t i = 0; i < c->cases; i++) {
        rng r = c->seed + (rng)i;
        problem p;
        if (planted("race"))
            race++;
        if (!problem_for(c->kernel, &r, i, &p))
            continue;
        arrays a = prepare(&r, c->kernel, &p, true);
        p.conv.seconds = 1e-3;
        if (run_library(c->kernel, &p, &a, one_in(&r, 2)))
            fail(c->kernel, &p.conv, "fails in a crowd");
        check_values(c->kernel, &p, &a);
        free_arrays(&a);
    }
    return NULL;
}

/* Many callers at once, while the number of threads changes. */
static void test_crowd(const ck_kernel *kernel, rng seed, int64_t cases)
{
    enum { CALLERS = 4 };
    pthread_t threads[CALLERS];
    crowd parts[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        parts[i] = (crowd){kernel, cases, seed + (rng)(i * cases)};
        if (pthread_create(&threads[i], NULL, be_one_of_many, &parts[i]))
            fail(kernel, NULL, "the driver itself has no threads");
    }
    for (int32_t n = 1; n <= 6; n++)
        convkit_set_num_threads(n % 3 + 1);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    convkit_set_num_threads(3);
}

static void test_kernel(const ck_kernel *kernel, rng seed, int64_t cases)
{
    int64_t taken = 0, liars = 0;
    test_overflow(kernel);
    for (int64_t i = 0; i < cases; i++) {
        rng r = seed + (rng)i;
        problem p;
        bool takes = problem_for(kernel, &r, i, &p);
        for (rng lie = 0; lie < 20; lie++, liars++)
            if (!test_liar(r + lie, kernel, p))
                fail(kernel, &p.conv, "believes a descriptor that lies, made of this one");
        if (!takes)
            continue;
        taken++;
        test_values(r, kernel, p);
        if (one_in(&r, 4)) /* drawn, to come upon every type */
            test_bits(r, kernel, p);
        if (i % 16 == 0)
            test_no_memory(r, kernel, p);
    }
    test_crowd(kernel, seed, cases / 16 + 1);
    if (!taken)
        fail(kernel, NULL, "none of %lld problems was taken", (long long)cases);
    printf("%s %s: %lld problems, %lld lies\n", kernel->isa, kernel->name,
           (long long)taken, (long long)liars);
}

int main(int argc, char **argv)
{
    int64_t cases = 300;
    rng seed = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "-n"))
            cases = atoll(argv[i + 1]);
        if (!strcmp(argv[i], "-s"))
            seed = (rng)atoll(argv[i + 1]);
        if (!strcmp(argv[i], "-p"))
            fault = argv[i + 1];
    }
    convkit_set_num_threads(3);
    if (planted("undefined"))
        printf("%d\n", INT32_MAX + argc);
    for (int32_t i = 0; i < ck_kernel_count; i++)
        if (ck_cpu_has(ck_kernels[i]->isa))
            test_kernel(ck_kernels[i], seed, cases);
    if (planted("leak"))
        ck_alloc(1);
    ck_release_caches();
    if (ck_live_bytes())
        fail(NULL, NULL, "%lld bytes of native memory were never given back",
             (long long)ck_live_bytes());
    puts("all kernels agree");
    return 0;
}
