/* alloc.c - every byte of native memory: counted, and made to fail on request.
 *
 * A block is a line of 64 bytes that holds its size, followed by what the
 * caller sees:
 *
 *     | header (64) | bytes, rounded up to lines of 64 |
 *                   ^ what is handed out
 *
 * A workspace that is given back stays in a short list for the next call: a
 * fresh megabyte costs 250 page faults, some 100 us; one from the list 20 ns.
 */
#include "core.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

enum { LINE = 64 };

typedef struct block {
    _Alignas(LINE) int64_t bytes; /* header included */
} block;

static _Atomic int64_t live, peak;
static _Atomic int64_t fail_after = -1;

/* True for the call that ck_fail_alloc chose. */
static bool must_fail(void)
{
    return atomic_load_explicit(&fail_after, memory_order_relaxed) >= 0
           && atomic_fetch_sub(&fail_after, 1) == 0;
}

static block *get_block(int64_t bytes)
{
    if (bytes < 0 || bytes > INT64_MAX - 2 * LINE)
        return NULL;
    int64_t size = (bytes + 2 * LINE - 1) / LINE * LINE;
    block *got = (uint64_t)size > PTRDIFF_MAX ? NULL : aligned_alloc(LINE, (size_t)size);
    if (!got)
        return NULL;
    got->bytes = size;
    int64_t now = atomic_fetch_add(&live, size) + size;
    int64_t most = atomic_load(&peak);
    while (most < now && !atomic_compare_exchange_weak(&peak, &most, now)) {
    }
    return got;
}

static void drop_block(block *old)
{
    atomic_fetch_sub(&live, old->bytes);
    free(old);
}

void *ck_alloc(int64_t bytes)
{
    block *got = must_fail() ? NULL : get_block(bytes);
    return got ? got + 1 : NULL;
}

void *ck_alloc_spare(int64_t bytes)
{
    block *got = get_block(bytes);
    return got ? got + 1 : NULL;
}

void ck_free(void *memory)
{
    if (memory)
        drop_block((block *)memory - 1);
}

/* The idle workspaces, longest idle first. Eight serve as many concurrent
 * callers; 64 MiB hold what any but the largest calls need, and are little
 * enough to keep. */
enum { IDLE_BLOCKS = 8, IDLE_BYTES = 64 << 20 };

/* Held for some 10 ns at a time, so spinning beats a mutex, which takes twice as long. */
static atomic_flag taken = ATOMIC_FLAG_INIT;
static block *idle[IDLE_BLOCKS + 1]; /* one more while the newest comes in */
static int32_t idle_count;
static int64_t idle_bytes;

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&taken, memory_order_acquire))
        sched_yield();
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&taken, memory_order_release);
}

/* Takes idle[index] off the list; the lock is held. */
static block *remove_idle(int32_t index)
{
    block *got = idle[index];
    idle_bytes -= got->bytes;
    idle_count--;
    for (int32_t i = index; i < idle_count; i++)
        idle[i] = idle[i + 1];
    return got;
}

void *ck_take_workspace(int64_t bytes)
{
    if (must_fail())
        return NULL;
    lock();
    int32_t best = -1; /* the smallest that is large enough, the newest of these */
    for (int32_t i = idle_count - 1; i >= 0; i--)
        if (idle[i]->bytes - LINE >= bytes
            && (best < 0 || idle[i]->bytes < idle[best]->bytes))
            best = i;
    block *got = best < 0 ? NULL : remove_idle(best);
    unlock();
    if (!got)
        got = get_block(bytes);
    return got ? got + 1 : NULL;
}

void ck_give_workspace(void *memory)
{
    if (!memory)
        return;
    block *old[IDLE_BLOCKS + 1]; /* freed outside of the lock: that is slow */
    int32_t count = 0;
    lock();
    idle[idle_count] = (block *)memory - 1;
    idle_bytes += idle[idle_count++]->bytes;
    while (idle_count > IDLE_BLOCKS || idle_bytes > IDLE_BYTES)
        old[count++] = remove_idle(0);
    unlock();
    while (count > 0)
        drop_block(old[--count]);
}

void ck_release_caches(void)
{
    ck_release_tables();
    for (;;) {
        lock();
        block *old = idle_count > 0 ? remove_idle(idle_count - 1) : NULL;
        unlock();
        if (!old)
            return;
        drop_block(old);
    }
}

/* A thread that forks holds the lock, so that the child finds the list whole
 * and the lock free, whatever other threads were doing. */
__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(lock, unlock, unlock);
}

int64_t ck_live_bytes(void)
{
    return atomic_load(&live);
}

int64_t ck_peak_bytes(void)
{
    return atomic_load(&peak);
}

void ck_reset_peak(void)
{
    atomic_store(&peak, atomic_load(&live));
}

void ck_fail_alloc(int64_t after)
{
    atomic_store(&fail_after, after);
}
