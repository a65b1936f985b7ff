/* stream.c - the way into the kernels of streams/: sizes are checked here. */
#include "core.h"

/* More taps and channels than anyone has; all sizes stay far below 63 bits. */
static const int64_t MOST_TAPS = INT64_C(1) << 32, MOST_CHANNELS = INT64_C(1) << 20,
                     MOST_TOGETHER = INT64_C(1) << 42;

/* Pushes that take longer than this many seconds poll for Ctrl-C, so often. */
static const double POLL_FROM = 2e-3;

int32_t ck_stream_plan(ck_stream *stream)
{
    if (stream->taps < 1 || stream->channels < 1 || stream->block < 0
        || (stream->filters != 1 && stream->filters != stream->channels))
        return CK_EINVAL;
    if (stream->taps > MOST_TAPS || stream->channels > MOST_CHANNELS
        || stream->taps > MOST_TOGETHER / stream->channels)
        return CK_EOVERFLOW;
    stream->kernel->plan(stream);
    return CK_OK;
}

static int misaligned(int32_t type, const void *p)
{
    return (uintptr_t)p % (uintptr_t)ck_align_bytes(type) != 0;
}

int32_t ck_stream_pack(const ck_stream *stream, const void *taps)
{
    if (misaligned(stream->kernel->type, taps)) return CK_EALIGN;
    return stream->kernel->pack(stream, taps);
}

typedef struct job {
    const ck_stream *stream;
    const void *x;
    void *y;
    int64_t count, each;
} job;

static void ticket(void *arg, int64_t index, int32_t worker)
{
    const job *j = arg;
    const int64_t begin = index * j->each, left = j->count - begin;
    const int64_t end = begin + (left < j->each ? left : j->each);
    (void)worker; /* the only one: one ticket goes on where the other ended */
    j->stream->kernel->push(j->stream, j->x, j->y, j->count, begin, end);
}

int32_t ck_stream_push(const ck_stream *stream, const void *x, void *y, int64_t count)
{
    const int32_t type = stream->kernel->type;
    if (misaligned(type, x) || misaligned(type, y)) return CK_EALIGN;
    if (count < 0) return CK_EINVAL;
    job j = {stream, x, y, count, count};
    if ((double)count * stream->seconds < POLL_FROM) {
        ticket(&j, 0, 0);
        return CK_OK;
    }
    j.each = 1 + (int64_t)(POLL_FROM / stream->seconds);
    return ck_parallel((count + j.each - 1) / j.each, 1, ticket, &j);
}
