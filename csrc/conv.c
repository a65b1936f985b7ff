/* conv.c - the way into a kernel: checks a descriptor, finds the workspace, shares the work out. */
#include <string.h>
#include "core.h"

enum {
    /* Scratch and packed weights up to this size live on the stack: a short call
     * then takes no lock. */
    STACK_BYTES = 16 * 1024,
    /* Tickets per thread: enough that a thread which is late costs little. */
    TICKETS = 8,
    ALIGNMENT = 64
};

/* Below this many seconds of work a second thread costs more than it brings. */
static const double THREADS_FROM = 30e-6;
/* From here on the pool runs the call even on one thread, since it polls for Ctrl-C. */
static const double POLL_FROM = 2e-3;
/* No size or sum of strides may pass this, so that kernels can add a few without a check. */
static const int64_t SIZE_MAX_ = INT64_MAX / 64;

/* *total += a * b, within SIZE_MAX_; non-zero on overflow. */
static int add_product(int64_t *total, int64_t a, int64_t b)
{
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product)) return 1;
    if (__builtin_add_overflow(*total, product, total)) return 1;
    return *total > SIZE_MAX_ || *total < -SIZE_MAX_;
}

static int multiply(int64_t *total, int64_t factor)
{
    const int64_t before = *total;
    *total = 0;
    return add_product(total, before, factor);
}

static int32_t check_axis(ck_axis *axis)
{
    if (axis->in_size < 0 || axis->out_size < 0 || axis->in_dilation < 1 || axis->pad_before < 0
        || axis->pad_after < 0 || axis->kernel_size < 1 || axis->stride < 1 || axis->dilation < 1)
        return CK_EINVAL;
    int64_t padded = axis->in_size > 0, reach = 1;
    if ((axis->in_size && add_product(&padded, axis->in_size - 1, axis->in_dilation))
        || add_product(&padded, 1, axis->pad_before) || add_product(&padded, 1, axis->pad_after)
        || add_product(&reach, axis->kernel_size - 1, axis->dilation))
        return CK_EOVERFLOW;
    if (axis->out_size != (padded < reach ? 0 : (padded - reach) / axis->stride + 1))
        return CK_EINVAL;
    /* A step that is never made may be of any size: one within the array is as good. */
    if (axis->out_size == 1 && axis->stride > padded - reach + 1)
        axis->stride = padded - reach + 1;
    if (axis->kernel_size == 1) axis->dilation = 1;
    for (int64_t i = 0; axis->edges && i < axis->pad_before + axis->pad_after; i++)
        if (axis->edges[i] >= axis->in_size || axis->edges[i] < CK_ZERO) return CK_EINVAL;
    return CK_OK;
}

/* The bytes around a pointer that an array of these sizes and strides touches. */
static int32_t extent(int64_t item_size, const int64_t sizes[5], const int64_t strides[5],
                      int64_t *low, int64_t *high)
{
    *low = *high = 0;
    for (int i = 0; i < 5; i++)
        if (sizes[i] == 0) return CK_OK;
    *high = 1;
    for (int i = 0; i < 5; i++)
        if (sizes[i] > 1 && add_product(strides[i] < 0 ? low : high, strides[i], sizes[i] - 1))
            return CK_EOVERFLOW;
    return multiply(low, item_size) || multiply(high, item_size) ? CK_EOVERFLOW : CK_OK;
}

static int takes(const ck_kernel *kernel, const ck_types *types)
{
    for (int32_t i = 0; i < kernel->type_count; i++)
        if (!memcmp(&kernel->types[i], types, sizeof *types)) return 1;
    return 0;
}

static int32_t check(ck_conv *conv, const ck_kernel *kernel)
{
    if (conv->batch < 0 || conv->groups < 1 || conv->in_channels < 0 || conv->out_channels < 0
        || conv->in_channels % conv->groups || conv->out_channels % conv->groups
        || !takes(kernel, &conv->types) || conv->threads < 0 || conv->threads > 256
        || conv->activation < CK_NONE || conv->activation > CK_HARDSWISH
        || conv->structure < CK_DENSE || conv->structure > CK_BOX)
        return CK_EINVAL;
    int64_t outputs = conv->batch, products = conv->in_channels / conv->groups;
    if (multiply(&outputs, conv->out_channels)) return CK_EOVERFLOW;
    for (int i = 0; i < 3; i++) {
        const int32_t code = check_axis(&conv->axis[i]);
        if (code) return code;
        if (multiply(&outputs, conv->axis[i].out_size)
            || multiply(&products, conv->axis[i].kernel_size))
            return CK_EOVERFLOW;
    }
    if (multiply(&products, conv->out_channels) || multiply(&products, ck_item_bytes(conv->types.w)))
        return CK_EOVERFLOW;

    const ck_axis *a = conv->axis;
    const int64_t x_sizes[5] = {conv->batch, conv->in_channels, a[0].in_size, a[1].in_size, a[2].in_size};
    const int64_t x_strides[5] = {conv->x_batch_stride, conv->x_channel_stride,
                                  a[0].x_stride, a[1].x_stride, a[2].x_stride};
    const int64_t y_sizes[5] = {conv->batch, conv->out_channels, a[0].out_size, a[1].out_size, a[2].out_size};
    const int64_t y_strides[5] = {conv->y_batch_stride, conv->y_channel_stride,
                                  a[0].y_stride, a[1].y_stride, a[2].y_stride};
    const int64_t x_bytes = ck_item_bytes(conv->types.x), y_bytes = ck_item_bytes(conv->types.y);
    const int32_t code = extent(x_bytes, x_sizes, x_strides, &conv->x_low, &conv->x_high);
    return code ? code : extent(y_bytes, y_sizes, y_strides, &conv->y_low, &conv->y_high);
}

static int64_t round_up(int64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* Nothing to write: kernels, which divide by block sizes, are not asked. */
static int is_empty(const ck_conv *conv)
{
    return !conv->batch || !conv->out_channels || !conv->axis[0].out_size
        || !conv->axis[1].out_size || !conv->axis[2].out_size;
}

int32_t ck_conv_plan(ck_conv *conv, const ck_kernel *kernel)
{
    const int32_t code = check(conv, kernel);
    if (code || is_empty(conv)) return code;
    if (kernel->why_not(conv)) return CK_EINVAL;
    memset(conv->block, 0, sizeof conv->block);
    if (conv->threads == 0) conv->threads = 1;
    kernel->plan(conv);
    conv->seconds = kernel->cost(conv);
    conv->items = kernel->items(conv);
    conv->scratch_bytes = round_up(kernel->scratch_bytes(conv));
    return CK_OK;
}

void ck_conv_pack(const ck_conv *conv, const ck_kernel *kernel, const void *w, void *packed)
{
    if (!is_empty(conv)) kernel->pack(conv, w, packed);
}

static int64_t threads_for(const ck_conv *conv)
{
    const int64_t threads = conv->seconds < THREADS_FROM ? 1 : convkit_get_num_threads();
    return threads < conv->items ? threads : conv->items;
}

int64_t ck_conv_workspace(const ck_conv *conv)
{
    return is_empty(conv) ? 0 : threads_for(conv) * conv->scratch_bytes;
}

typedef struct job {
    const ck_conv *conv;
    const ck_kernel *kernel;
    const ck_arrays *arrays;
    char *scratch;
    int64_t tickets;
} job;

/* floor(items * index / tickets) without the product, which could pass 63 bits. */
static int64_t share(const job *j, int64_t index)
{
    const int64_t each = j->conv->items / j->tickets, more = j->conv->items % j->tickets;
    return each * index + (index < more ? index : more);
}

static void run_items(const ck_conv *conv, const ck_kernel *kernel, const ck_arrays *arrays,
                      void *scratch, int64_t begin, int64_t end)
{
    if (!conv->flushes) {
        kernel->run(conv, arrays, scratch, begin, end);
        return;
    }
    const uint64_t before = ck_flush();
    kernel->run(conv, arrays, scratch, begin, end);
    ck_unflush(before);
}

static void ticket(void *arg, int64_t index, int32_t worker)
{
    const job *j = arg;
    run_items(j->conv, j->kernel, j->arrays, j->scratch + worker * j->conv->scratch_bytes,
              share(j, index), share(j, index + 1));
}

static int overlap(const ck_conv *conv, const void *x, const void *y)
{
    const char *xb = x, *yb = y;
    return conv->x_low < conv->x_high /* x may be empty */
        && xb + conv->x_low < yb + conv->y_high && yb + conv->y_low < xb + conv->x_high;
}

static int misaligned(int32_t type, const void *p)
{
    return ((uintptr_t)p & (uintptr_t)(ck_align_bytes(type) - 1)) != 0; /* a power of two */
}

int32_t ck_conv_run(const ck_conv *conv, const ck_kernel *kernel, const void *x,
                    const void *weights, const void *bias, const void *residual, void *y)
{
    const ck_types *types = &conv->types;
    if (misaligned(types->x, x) || misaligned(types->y, y) || misaligned(types->sum, bias)
        || misaligned(types->sum, residual))
        return CK_EALIGN;
    if (is_empty(conv)) return CK_OK;
    if (overlap(conv, x, y)) return CK_EOVERLAP;
    const ck_arrays arrays = {x, weights, bias, residual, y};
    const int64_t items = conv->items, scratch = conv->scratch_bytes;
    const int64_t threads = threads_for(conv);

    _Alignas(ALIGNMENT) char stack[STACK_BYTES];
    if (conv->seconds < THREADS_FROM && scratch <= STACK_BYTES) {
        run_items(conv, kernel, &arrays, stack, 0, items);
        return CK_OK;
    }
    int64_t bytes = threads;
    if (multiply(&bytes, scratch)) return CK_EOVERFLOW;
    char *workspace = ck_take_workspace(bytes);
    if (!workspace) return CK_ENOMEM;

    int32_t code = CK_OK;
    job j = {conv, kernel, &arrays, workspace, TICKETS * threads};
    if (conv->seconds > POLL_FROM * (double)j.tickets) /* at most about 2 ms each */
        j.tickets = conv->seconds < 3600 ? (int64_t)(conv->seconds / POLL_FROM) : items;
    if (j.tickets > items) j.tickets = items;
    if (threads == 1 && conv->seconds < POLL_FROM)
        run_items(conv, kernel, &arrays, workspace, 0, items);
    else
        code = ck_parallel(j.tickets, (int32_t)threads, ticket, &j);
    ck_give_workspace(workspace);
    return code;
}

int32_t ck_conv_call(const ck_conv *conv, const ck_kernel *kernel, const void *x,
                     const void *w, const void *bias, const void *residual, void *y)
{
    if (misaligned(conv->types.w, w)) return CK_EALIGN;
    if (is_empty(conv)) return CK_OK;
    _Alignas(ALIGNMENT) char stack[STACK_BYTES];
    const int64_t bytes = kernel->packed_bytes(conv);
    void *packed = bytes <= STACK_BYTES ? stack : ck_take_workspace(bytes);
    if (!packed) return CK_ENOMEM;
    kernel->pack(conv, w, packed);
    const int32_t code = ck_conv_run(conv, kernel, x, packed, bias, residual, y);
    if (packed != stack) ck_give_workspace(packed);
    return code;
}

int32_t ck_quick_run(const ck_quick *quick, const void *x, void *y)
{
    return ck_conv_run(quick->conv, quick->kernel, x, quick->weights, quick->bias, NULL, y);
}

/* `bytes` is a constant: of a size unknown to the compiler memcpy takes 30 cycles an item. */
static inline void flip(const char *w, char *to, int64_t taps, const int64_t bytes)
{
    for (int64_t i = 0; i < taps; i++)
        memcpy(to + i * bytes, w + (taps - 1 - i) * bytes, (size_t)bytes);
}

/* Weights of one channel, back to front or conjugated. */
static void reform(const char *w, char *to, int32_t w_form, int32_t type, int64_t taps)
{
    if (w_form == CK_CONJUGATED) {
        memcpy(to, w, (size_t)(taps * ck_item_bytes(type)));
        for (int64_t i = 0; type == CK_C64 && i < taps; i++) ((float *)to)[2 * i + 1] *= -1;
        for (int64_t i = 0; type == CK_C128 && i < taps; i++) ((double *)to)[2 * i + 1] *= -1;
        return;
    }
    switch (ck_item_bytes(type)) {
    case 1: flip(w, to, taps, 1); break;
    case 2: flip(w, to, taps, 2); break;
    case 4: flip(w, to, taps, 4); break;
    case 8: flip(w, to, taps, 8); break;
    case 16: flip(w, to, taps, 16); break;
    }
}

int32_t ck_quick_call(const ck_quick *quick, const void *x, const void *w, const void *bias, void *y)
{
    const ck_conv *conv = quick->conv;
    if (quick->w_form == CK_AS_IS || is_empty(conv))
        return ck_conv_call(conv, quick->kernel, x, w, bias, NULL, y);

    if (misaligned(conv->types.w, w)) return CK_EALIGN;
    const int64_t taps = conv->axis[0].kernel_size * conv->axis[1].kernel_size
                       * conv->axis[2].kernel_size; /* of one channel: `convolve` knows no others */
    const int64_t bytes = taps * ck_item_bytes(conv->types.w);
    _Alignas(ALIGNMENT) char stack[1024];
    char *formed = bytes <= (int64_t)sizeof stack ? stack : ck_take_workspace(bytes);
    if (!formed) return CK_ENOMEM;
    reform(w, formed, quick->w_form, conv->types.w, taps);
    const int32_t code = ck_conv_call(conv, quick->kernel, x, formed, bias, NULL, y);
    if (formed != stack) ck_give_workspace(formed);
    return code;
}
