/* tables.c - numbers that depend on a size alone, such as twiddles: computed once, then
 * copied.
 *
 * A call packs its weights anew each time and cannot afford the sines. Nobody waits for
 * this cache: where it has no memory, or no room, the numbers are computed where they
 * are wanted.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include "core.h"

/* Sizes that a process uses in turn; 8 MiB serve signals of some millions of samples. */
enum { TABLES = 32, MOST_BYTES = 8 << 20, ALL_BYTES = 32 << 20 };

typedef struct table {
    ck_fill fill; /* of one kernel and ISA, so it also tells the type */
    int64_t size, bytes, last_use;
    int32_t readers; /* copying from it: it stays */
    void *memory;
} table;

static atomic_flag taken = ATOMIC_FLAG_INIT;
static table tables[TABLES]; /* free where memory is NULL */
static int64_t uses, all_bytes;

static void lock(void)
{
    while (atomic_flag_test_and_set_explicit(&taken, memory_order_acquire)) sched_yield();
}
static void unlock(void) { atomic_flag_clear_explicit(&taken, memory_order_release); }

/* The lock is held. */
static table *find(ck_fill fill, int64_t size)
{
    for (int i = 0; i < TABLES; i++)
        if (tables[i].memory && tables[i].fill == fill && tables[i].size == size) return &tables[i];
    return NULL;
}

/* Takes away the table that has been idle for longest; NULL: all are being read. The lock is
 * held. */
static void *remove_idle(void)
{
    table *best = NULL;
    for (int i = 0; i < TABLES; i++)
        if (tables[i].memory && !tables[i].readers
            && (!best || tables[i].last_use < best->last_use))
            best = &tables[i];
    if (!best) return NULL;
    void *memory = best->memory;
    all_bytes -= best->bytes;
    best->memory = NULL;
    return memory;
}

static table *free_place(void)
{
    for (int i = 0; i < TABLES; i++)
        if (!tables[i].memory) return &tables[i];
    return NULL;
}

static void keep(ck_fill fill, int64_t size, int64_t bytes, const void *from)
{
    void *memory = bytes <= MOST_BYTES ? ck_alloc_spare(bytes) : NULL;
    if (!memory) return;
    memcpy(memory, from, (size_t)bytes);
    lock();
    while (!find(fill, size) && !(free_place() && all_bytes + bytes <= ALL_BYTES)) {
        void *old = remove_idle();
        unlock();
        ck_free(old ? old : memory);
        if (!old) return; /* all are being read */
        lock();
    }
    if (!find(fill, size)) { /* else another thread was faster */
        *free_place() = (table){fill, size, bytes, ++uses, 0, memory};
        all_bytes += bytes;
        memory = NULL;
    }
    unlock();
    ck_free(memory);
}

void ck_table(ck_fill fill, int64_t size, int64_t bytes, void *to)
{
    lock();
    table *from = find(fill, size);
    if (from) {
        from->readers++;
        from->last_use = ++uses;
    }
    unlock();
    if (!from) {
        fill(size, to);
        keep(fill, size, bytes, to);
        return;
    }
    memcpy(to, from->memory, (size_t)bytes);
    lock();
    from->readers--;
    unlock();
}

void ck_release_tables(void)
{
    void *old;
    do {
        lock();
        old = remove_idle();
        unlock();
        ck_free(old);
    } while (old);
}

/* A child finds the lock free; a table that another thread was reading stays for good. */
__attribute__((constructor)) static void watch_forks(void) { pthread_atfork(lock, unlock, unlock); }
