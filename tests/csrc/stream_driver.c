/* stream_driver.c - every kernel of streams that this CPU can run, against a naive sum.
 *
 *     stream_driver [-n cases] [-s seed] [-p fault]
 *
 * Draws filters, channels and blocks, and cuts a stream into pieces of any size. The
 * packed filter, the state, the pieces of x and of y each stand alone on the heap,
 * exactly as large as they are said to be, for -fsanitize=address to see what is touched
 * beside.
 *
 * -p plants a fault, to show that a check would find it: "overrun", "value", "bits".
 */
#include "core.h"

#include <complex.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef double complex number;

static const char *fault = "";
static uint64_t rng;

static int64_t draw(int64_t low, int64_t high) /* low ... high; splitmix64 */
{
    rng += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = rng;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    z ^= z >> 31;
    return low + (int64_t)(z % (uint64_t)(high - low + 1));
}

static _Noreturn void fail(const ck_stream *s, const char *what, int64_t at)
{
    printf("FAILED %s %s: %s at %lld\n", s->kernel->name, s->kernel->isa, what, (long long)at);
    printf("  taps %lld channels %lld filters %lld block %lld levels %d\n", (long long)s->taps,
           (long long)s->channels, (long long)s->filters, (long long)s->block,
           (int)s->level_count);
    exit(1);
}

static void *memory(int64_t bytes, int value)
{
    void *block = NULL;
    if (posix_memalign(&block, 64, bytes ? (size_t)bytes : 1))
        exit(2);
    return memset(block, value, (size_t)bytes);
}

static bool is_complex(int32_t type)
{
    return type == CK_C64 || type == CK_C128;
}

static number get(const void *from, int64_t at, int32_t type)
{
    switch (type) {
    case CK_F32: return ((const float *)from)[at];
    case CK_F64: return ((const double *)from)[at];
    case CK_C64: return ((const float complex *)from)[at];
    default: return ((const double complex *)from)[at];
    }
}

static void put(void *to, int64_t at, int32_t type, number value)
{
    switch (type) {
    case CK_F32: ((float *)to)[at] = (float)creal(value); break;
    case CK_F64: ((double *)to)[at] = creal(value); break;
    case CK_C64: ((float complex *)to)[at] = (float complex)value; break;
    default: ((double complex *)to)[at] = value;
    }
}

static void *numbers(int64_t count, int32_t type)
{
    void *block = memory(count * ck_item_bytes(type), 0);
    for (int64_t i = 0; i < count; i++) {
        const double re = (double)draw(-1000, 1000) * 1e-3;
        const double im = (double)draw(-1000, 1000) * 1e-3;
        put(block, i, type, is_complex(type) ? re + I * im : re);
    }
    return block;
}

/* Element n of channel c of a piece of `count` samples. */
static int64_t place(const ck_stream *s, int64_t c, int64_t n, int64_t count)
{
    return s->interleaved ? n * s->channels + c : c * count + n;
}

/* Pushes samples [begin, begin + count) of x, (channels, total), and puts the outputs
 * there in y. */
static void push(const ck_stream *s, const void *x, void *y, int64_t total, int64_t begin,
                 int64_t count)
{
    const int32_t type = s->kernel->type;
    const int64_t bytes = s->channels * count * ck_item_bytes(type);
    void *in = memory(bytes, 0), *out = memory(bytes, 0xFF);
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t n = 0; n < count; n++)
            put(in, place(s, c, n, count), type, get(x, c * total + begin + n, type));
    if (ck_stream_push(s, in, out, count))
        fail(s, "a push is refused", begin);
    if (!strcmp(fault, "overrun"))
        ((volatile char *)out)[bytes] = 0;
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t n = 0; n < count; n++)
            put(y, c * total + begin + n, type, get(out, place(s, c, n, count), type));
    free(in);
    free(out);
}

static void check(const ck_stream *s, const void *v, const void *x, const void *y,
                  int64_t total)
{
    const int32_t type = s->kernel->type;
    /* |x|, |v| <= sqrt(2): roundings of a transform over about eight filters. */
    const double u = type == CK_F32 || type == CK_C64 ? 0x1p-24 : 0x1p-53;
    const double taps = (double)s->taps, window = 8 * taps + 4096;
    const double most = 8 * log2(window) * u * 2 * sqrt(window) * sqrt(taps);
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t n = 0; n < total; n++) {
            const int64_t filter = s->filters == 1 ? 0 : c;
            number sum = 0;
            bool bad = false;
            for (int64_t k = 0; k < s->taps && k <= n; k++) {
                const number sample = get(x, c * total + n - k, type);
                bad |= isnan(creal(sample));
                sum += get(v, filter * s->taps + k, type) * sample;
            }
            const number got = get(y, c * total + n, type);
            if (bad ? !isnan(creal(got)) : !(cabs(got - sum) <= most))
                fail(s, bad ? "a NaN is missing" : "a wrong value", n);
        }
}

static void test(const ck_stream_kernel *kernel)
{
    const int32_t type = kernel->type;
    ck_stream s = {.kernel = kernel};
    s.taps = draw(1, draw(1, 3) > 1 ? 700 : 3000);
    s.channels = draw(1, 3);
    s.filters = draw(1, 2) == 1 ? 1 : s.channels;
    if (draw(1, 2) == 1)
        s.block = draw(1, 3) == 1 ? draw(1, 600) : INT64_C(1) << draw(5, 9);
    s.direct = draw(1, 8) == 1;
    s.interleaved = (int32_t)draw(0, 1);
    if (ck_stream_plan(&s))
        fail(&s, "no plan", 0);
    void *v = numbers(s.filters * s.taps, type);
    s.packed = memory(s.packed_bytes, 0xFF);
    s.state = memory(s.state_bytes, 0);
    if (ck_stream_pack(&s, v))
        fail(&s, "no packing", 0);

    const int64_t total = draw(1, 2 * s.taps + 600);
    const int64_t bytes = s.channels * total * ck_item_bytes(type);
    void *x = numbers(s.channels * total, type), *y = memory(bytes, 0);
    if (draw(1, 2) == 1)
        put(x, draw(0, s.channels * total - 1), type, NAN);
    for (int64_t done = 0, count; done < total; done += count) {
        count = draw(0, draw(1, 3) == 1 ? 700 : 70);
        if (s.block && draw(1, 2) == 1)
            count = s.block;
        count = count < total - done ? count : total - done;
        push(&s, x, y, total, done, count);
    }
    if (!strcmp(fault, "value"))
        put(y, total / 2, type, get(y, total / 2, type) + 1);
    check(&s, v, x, y, total);

    /* A copy of the state goes on with the same bits. */
    ck_stream other = s;
    other.state = memory(s.state_bytes, 0);
    memcpy(other.state, s.state, (size_t)s.state_bytes);
    void *again = memory(bytes, 0);
    push(&s, x, y, total, 0, total);
    push(&other, x, again, total, 0, total);
    if (!strcmp(fault, "bits"))
        ((char *)again)[0] ^= 1;
    if (memcmp(y, again, (size_t)bytes))
        fail(&s, "a copy of the state gives other bits", 0);

    void *all[] = {v, x, y, again, s.packed, s.state, other.state};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* Sizes that pass 63 bits, or make no sense, are refused. */
static void test_refusals(const ck_stream_kernel *kernel)
{
    const int64_t many = INT64_C(1) << 31;
    ck_stream all[] = {
        {.kernel = kernel, .taps = 0, .channels = 1, .filters = 1},
        {.kernel = kernel, .taps = 3, .channels = 3, .filters = 2},
        {.kernel = kernel, .taps = many, .channels = 1 << 19, .filters = 1},
    };
    const int32_t answers[] = {CK_EINVAL, CK_EINVAL, CK_EOVERFLOW};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (ck_stream_plan(&all[i]) != answers[i])
            fail(&all[i], "takes sizes that it must refuse", 0);
}

int main(int argc, char **argv)
{
    int64_t cases = 60;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "-n"))
            cases = atoll(argv[i + 1]);
        if (!strcmp(argv[i], "-s"))
            rng = (uint64_t)atoll(argv[i + 1]);
        if (!strcmp(argv[i], "-p"))
            fault = argv[i + 1];
    }
    for (int32_t i = 0; i < ck_stream_kernel_count; i++) {
        const ck_stream_kernel *kernel = ck_stream_kernels[i];
        if (!ck_cpu_has(kernel->isa))
            continue;
        test_refusals(kernel);
        for (int64_t n = 0; n < cases; n++)
            test(kernel);
        printf("%s %s: %lld streams\n", kernel->isa, kernel->name, (long long)cases);
    }
    puts("all kernels agree");
    return 0;
}
