/* core.h - what the C files offer each other; Python sees abi.h only. */
#ifndef CONVKIT_CORE_H
#define CONVKIT_CORE_H
#include "abi.h"

#if defined(__GNUC__)
#define CK_EXPORT __attribute__((visibility("default")))
#else
#define CK_EXPORT
#endif

/* Bytes of an element, and of the component that it is aligned to. */
static inline int64_t ck_item_bytes(int32_t type)
{
    static const int8_t bytes[CK_TYPES] = {4, 8, 8, 16, 1, 1, 2, 2, 4};
    return bytes[type];
}
static inline int64_t ck_align_bytes(int32_t type)
{
    const int complex_type = type == CK_C64 || type == CK_C128;
    return ck_item_bytes(type) >> complex_type;
}

/* Arithmetic with a subnormal number takes 150 cycles on many CPUs: 100 times as long as without.
 * ck_flush makes such numbers zero in this thread, and answers what ck_unflush wants. */
#if defined(__x86_64__)
#include <xmmintrin.h>
enum { CK_FLUSH = 0x8040 }; /* flush to zero, denormals are zero */
static inline uint64_t ck_flush(void)
{
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | CK_FLUSH);
    return before;
}
static inline void ck_unflush(uint64_t before)
{
    _mm_setcsr((_mm_getcsr() & ~(unsigned)CK_FLUSH) | ((unsigned)before & CK_FLUSH));
}
#elif defined(__aarch64__)
static inline uint64_t ck_flush(void)
{
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before));
    __asm__ volatile("msr fpcr, %0" : : "r"(before | UINT64_C(1) << 24));
    return before;
}
static inline void ck_unflush(uint64_t before) { __asm__ volatile("msr fpcr, %0" : : "r"(before)); }
#else
static inline uint64_t ck_flush(void) { return 0; }
static inline void ck_unflush(uint64_t before) { (void)before; }
#endif

/* alloc.c: 64-byte aligned, counted, NULL when it fails. A workspace is an
 * allocation that is kept for the next call when it is given back. */
void *ck_alloc(int64_t bytes);
void ck_free(void *block);
void *ck_take_workspace(int64_t bytes);
void ck_give_workspace(void *block);
/* For a copy that only saves time: ck_fail_alloc passes it by, since no caller would notice. */
void *ck_alloc_spare(int64_t bytes);

/* tables.c: `bytes` bytes of numbers that depend on `size` alone, as fill(size, to) writes
 * them; copied from the last time where there was one. */
typedef void (*ck_fill)(int64_t size, void *to);
void ck_table(ck_fill fill, int64_t size, int64_t bytes, void *to);
void ck_release_tables(void);

/* pool.c: run task(arg, index, worker) for every index in [0, count), shared
 * among at most `threads` threads; worker is in [0, threads), and no two tasks
 * run at the same time with the same worker. CK_OK or CK_ECANCELED. */
typedef void (*ck_task)(void *arg, int64_t index, int32_t worker);
int32_t ck_parallel(int64_t count, int32_t threads, ck_task task, void *arg);

/* pool.c: a kernel calls this between tiles, at least every few milliseconds.
 * Non-zero: the call has been cancelled, return at once. */
int32_t ck_checkpoint(void);
#endif
