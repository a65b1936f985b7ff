/* core.h - what the C files offer each other; Python sees abi.h only. */
#ifndef CONVKIT_CORE_H
#define CONVKIT_CORE_H
#include "abi.h"

#if defined(__GNUC__)
#define CK_EXPORT __attribute__((visibility("default")))
#else
#define CK_EXPORT
#endif

/* alloc.c: 64-byte aligned, counted, NULL when it fails. A workspace is an
 * allocation that is kept for the next call when it is given back. */
void *ck_alloc(int64_t bytes);
void ck_free(void *block);
void *ck_take_workspace(int64_t bytes);
void ck_give_workspace(void *block);

/* pool.c: run task(arg, index, worker) for every index in [0, count), shared
 * among at most `threads` threads; worker is in [0, threads), and no two tasks
 * run at the same time with the same worker. CK_OK or CK_ECANCELED. */
typedef void (*ck_task)(void *arg, int64_t index, int32_t worker);
int32_t ck_parallel(int64_t count, int32_t threads, ck_task task, void *arg);

/* pool.c: a kernel calls this between tiles, at least every few milliseconds.
 * Non-zero: the call has been cancelled, return at once. */
int32_t ck_checkpoint(void);
#endif
