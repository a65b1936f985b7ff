/* pool_driver.c - what pool.c and alloc.c promise, one named claim per run. */
#define _GNU_SOURCE
#include "core.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define CHECK(truth)                                                   \
    do {                                                               \
        if (!(truth)) {                                                \
            printf("%s:%d: not so: %s\n", __func__, __LINE__, #truth); \
            exit(1);                                                   \
        }                                                              \
    } while (0)

enum { WORKERS = 4, TASKS = 1000 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void work_for(double seconds)
{
    double end = now() + seconds;
    while (now() < end) {
    }
}

/* Threads of this process, once they are `wanted` or a second has passed. */
static int count_threads(int wanted)
{
    int count = 0;
    for (double end = now() + 1; now() < end && count != wanted;) {
        DIR *tasks = opendir("/proc/self/task");
        count = -2; /* "." and ".." */
        while (readdir(tasks))
            count++;
        closedir(tasks);
    }
    return count;
}

/* ---- sharing out --------------------------------------------------------- */

typedef struct tally {
    _Atomic int done[TASKS];
    _Atomic int inside[WORKERS]; /* tasks that run as this worker now */
    _Atomic int by_others;
    double seconds; /* that each task takes */
} tally;

static void count(void *arg, int64_t index, int32_t worker)
{
    tally *t = arg;
    CHECK(worker >= 0 && worker < WORKERS);
    CHECK(atomic_fetch_add(&t->inside[worker], 1) == 0);
    work_for(t->seconds);
    t->done[index]++;
    t->by_others += worker != 0;
    atomic_fetch_sub(&t->inside[worker], 1);
}

static void check_section(int64_t tasks, int32_t threads, double seconds)
{
    tally *t = calloc(1, sizeof *t);
    t->seconds = seconds;
    CHECK(ck_parallel(tasks, threads, count, t) == CK_OK);
    for (int i = 0; i < TASKS; i++)
        CHECK(t->done[i] == (i < tasks));
    free(t);
}

static void every_task_is_done_once(void)
{
    for (int i = 0; i < 100; i++)
        for (int32_t threads = 1; threads <= WORKERS; threads++)
            check_section(i * 10 % TASKS, threads, 0);
    check_section(TASKS, WORKERS, 20e-6);
}

static void workers_help(void)
{
    tally *t = calloc(1, sizeof *t);
    t->seconds = 1e-3;
    CHECK(ck_parallel(200, WORKERS, count, t) == CK_OK);
    CHECK(t->by_others > 0);
    free(t);
}

static void nested_task(void *arg, int64_t index, int32_t worker)
{
    (void)index;
    CHECK(worker == 0);
    ++*(int64_t *)arg; /* alone: no atomic */
}

static void nest(void *arg, int64_t index, int32_t worker)
{
    (void)worker;
    int64_t sum = 0;
    CHECK(ck_parallel(10, WORKERS, nested_task, &sum) == CK_OK);
    ((_Atomic int *)arg)[index] = (int)sum;
}

static void nested_calls_run_alone(void)
{
    _Atomic int sums[100] = {0};
    CHECK(ck_parallel(100, WORKERS, nest, sums) == CK_OK);
    for (int i = 0; i < 100; i++)
        CHECK(sums[i] == 10);
}

static void *call_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++)
        check_section(50, WORKERS, 1e-6);
    return NULL;
}

static void many_callers_do_not_wait_for_each_other(void)
{
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, call_often, NULL);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
}

/* ---- threads ------------------------------------------------------------- */

static void threads_are_made_on_first_use_and_leave(void)
{
    CHECK(count_threads(1) == 1);
    check_section(100, WORKERS, 0);
    CHECK(count_threads(WORKERS) == WORKERS);
    convkit_set_num_threads(2);
    CHECK(count_threads(2) == 2);
    check_section(100, WORKERS, 0);
    CHECK(count_threads(2) == 2);
    convkit_set_num_threads(WORKERS);
    check_section(100, WORKERS, 0);
    CHECK(count_threads(WORKERS) == WORKERS);
    CHECK(convkit_set_num_threads(0) == CK_EINVAL
          && convkit_set_num_threads(257) == CK_EINVAL);
}

static void fewer_threads_do_where_the_system_gives_no_more(void)
{
    struct rlimit small = {64 << 20, 64 << 20}; /* room for no stack of 256 MiB */
    pthread_attr_t big;
    pthread_attr_init(&big);
    pthread_attr_setstacksize(&big, 256 << 20);
    pthread_setattr_default_np(&big);
    setrlimit(RLIMIT_AS, &small);
    check_section(TASKS, WORKERS, 0);
    CHECK(count_threads(1) == 1);
}

static void read_mask(void *arg, int64_t index, int32_t worker)
{
    (void)index;
    work_for(1e-3);
    if (worker)
        pthread_sigmask(SIG_SETMASK, NULL, &((sigset_t *)arg)[worker]);
}

static void workers_block_signals(void)
{
    sigset_t masks[WORKERS], own;
    for (int i = 0; i < WORKERS; i++)
        sigemptyset(&masks[i]);
    ck_parallel(100, WORKERS, read_mask, masks);
    int blocked = 0;
    for (int i = 1; i < WORKERS; i++)
        blocked += sigismember(&masks[i], SIGINT) && !sigismember(&masks[i], SIGSEGV);
    CHECK(blocked > 0);
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    CHECK(!sigismember(&own, SIGINT));
}

static void read_fp_mode(void *arg, int64_t index, int32_t worker)
{
    (void)worker;
    work_for(1e-3);
#if defined(__x86_64__)
    ((unsigned *)arg)[index] = _mm_getcsr() & ~0x3fu;
#elif defined(__aarch64__)
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    ((unsigned *)arg)[index] = (unsigned)mode;
#endif
}

static void workers_share_the_fp_mode_of_their_caller(void)
{
    unsigned modes[100] = {0};
    for (int flush = 0; flush < 2; flush++) {
#if defined(__x86_64__)
        _mm_setcsr(flush ? _mm_getcsr() | 0x8040 : _mm_getcsr() & ~0x8040u);
#elif defined(__aarch64__)
        __asm__ volatile("msr fpcr, %0" ::"r"(flush ? UINT64_C(1) << 24 : 0));
#endif
        ck_parallel(100, WORKERS, read_fp_mode, modes);
        for (int i = 1; i < 100; i++)
            CHECK(modes[i] == modes[0]);
    }
}

static void idle_threads_use_no_cpu(void)
{
    struct rusage before, after;
    check_section(100, WORKERS, 0);
    usleep(50 * 1000);
    getrusage(RUSAGE_SELF, &before);
    usleep(500 * 1000);
    getrusage(RUSAGE_SELF, &after);
    int64_t us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000
                 + after.ru_utime.tv_usec - before.ru_utime.tv_usec
                 + (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000
                 + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    printf("%lld us of CPU in 500 ms\n", (long long)us);
    CHECK(us < 5000);
}

/* ---- cancelling ---------------------------------------------------------- */

static _Atomic int polls, polls_until_stop;
static pthread_t poller;

static int32_t count_polls(void)
{
    CHECK(pthread_equal(pthread_self(), poller));
    return ++polls >= polls_until_stop;
}

static void long_task(void *arg, int64_t index, int32_t worker)
{
    (void)index;
    (void)worker;
    ++*(_Atomic int *)arg;
    work_for(2e-3);
}

static void endless_task(void *arg, int64_t index, int32_t worker)
{
    (void)index;
    (void)worker;
    while (!ck_checkpoint())
        ++*(_Atomic int *)arg;
}

static void late_worker_task(void *arg, int64_t index, int32_t worker)
{
    (void)index;
    if (worker) /* the caller has nothing to do but wait */
        endless_task(arg, index, worker);
    else
        work_for(1e-3);
}

static void check_stop(int64_t tasks, int32_t threads, ck_task task)
{
    _Atomic int done = 0;
    polls = 0;
    polls_until_stop = 2;
    poller = pthread_self();
    ck_set_poll(count_polls);
    double start = now();
    CHECK(ck_parallel(tasks, threads, task, &done) == CK_ECANCELED);
    double seconds = now() - start;
    printf("stopped after %.0f ms\n", seconds * 1e3);
    CHECK(polls == 2 && seconds > 0.03 && seconds < 0.5);
    CHECK(done < tasks || tasks < 100);
    ck_set_poll(NULL);
    check_section(100, threads, 0); /* all is well again */
}

static void a_poll_stops_all_threads(void)
{
    check_stop(1000000, WORKERS, long_task);
    check_stop(1000000, 1, long_task);
    check_stop(WORKERS, WORKERS, endless_task);
    check_stop(1, 1, endless_task);
    check_stop(50, WORKERS, late_worker_task);
}

static void stop_inside(void *arg, int64_t index, int32_t worker)
{
    (void)index;
    (void)worker;
    if (ck_parallel(1000, WORKERS, long_task, arg) != CK_OK)
        CHECK(ck_checkpoint());
}

static void a_stop_reaches_nested_calls(void)
{
    check_stop(1000000, WORKERS, stop_inside);
}

static void without_a_poll_nothing_stops(void)
{
    _Atomic int done = 0;
    CHECK(ck_parallel(50, WORKERS, long_task, &done) == CK_OK && done == 50);
    CHECK(!ck_checkpoint());
}

static _Atomic bool in_poll;

static int32_t slow_poll(void)
{
    in_poll = true;
    usleep(50 * 1000);
    in_poll = false;
    return 0;
}

static void *work_alone(void *done)
{
    ck_parallel(50, 1, long_task, done);
    return NULL;
}

static void a_poll_has_ended_when_it_is_taken_away(void)
{
    _Atomic int done = 0;
    pthread_t thread;
    ck_set_poll(slow_poll);
    pthread_create(&thread, NULL, work_alone, &done);
    while (!in_poll)
        usleep(100);
    ck_set_poll(NULL);
    CHECK(!in_poll);
    pthread_join(thread, NULL);
    CHECK(done == 50);
}

/* ---- forking ------------------------------------------------------------- */

static void check_child(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        alarm(5);
        check_section(TASKS, WORKERS, 0);
        void *workspace = ck_take_workspace(1000);
        CHECK(workspace);
        ck_give_workspace(workspace);
        CHECK(count_threads(WORKERS) == WORKERS);
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void a_child_of_an_idle_parent_has_a_pool(void)
{
    check_child();
    check_section(TASKS, WORKERS, 0);
    check_child();
    check_section(TASKS, WORKERS, 0);
}

static _Atomic bool stop_calling;

static void *keep_calling(void *unused)
{
    (void)unused;
    while (!stop_calling) {
        check_section(64, WORKERS, 20e-6);
        ck_give_workspace(ck_take_workspace(1000));
    }
    return NULL;
}

static void a_child_of_a_busy_parent_has_a_pool(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, keep_calling, NULL);
    for (int i = 0; i < 30; i++) {
        usleep(2000);
        check_child();
    }
    stop_calling = true;
    pthread_join(thread, NULL);
}

static int32_t fork_in_poll(void)
{
    fflush(stdout);
    if (!fork())
        alarm(5);
    return 0;
}

static void a_child_forked_inside_a_section_stops_it(void)
{
    _Atomic int done = 0;
    pid_t parent = getpid();
    ck_set_poll(fork_in_poll);
    int32_t code = ck_parallel(60, 2, long_task, &done);
    ck_set_poll(NULL);
    if (getpid() != parent)
        _exit(code != CK_ECANCELED);
    CHECK(code == CK_OK);
    for (int status; wait(&status) > 0;)
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- alloc.c ------------------------------------------------------------- */

static void memory_is_counted_and_aligned(void)
{
    void *a = ck_alloc(1), *b = ck_alloc(1000);
    CHECK((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0);
    int64_t live = ck_live_bytes();
    CHECK(live >= 1001 && live < 1001 + 4 * 64);
    ck_free(a);
    ck_free(b);
    ck_free(NULL);
    CHECK(ck_live_bytes() == 0 && ck_peak_bytes() == live);
    ck_reset_peak();
    CHECK(ck_peak_bytes() == 0);
    CHECK(!ck_alloc(-1) && !ck_alloc(INT64_MAX) && !ck_take_workspace(INT64_MAX - 64));
    CHECK(ck_live_bytes() == 0);
}

static void allocations_fail_on_request(void)
{
    ck_give_workspace(ck_take_workspace(100));
    ck_fail_alloc(1);
    void *a = ck_take_workspace(100); /* a kept one counts too */
    CHECK(a && !ck_alloc(100));
    ck_give_workspace(a);
    void *b = ck_alloc(100);
    CHECK(b);
    ck_free(b);
}

static void workspaces_are_kept_and_fit(void)
{
    char *small = ck_take_workspace(1000), *large = ck_take_workspace(100000);
    memset(small, 1, 1000);
    memset(large, 1, 100000);
    ck_give_workspace(large);
    ck_give_workspace(small);
    CHECK(ck_live_bytes() > 101000);
    CHECK(ck_take_workspace(500) == small && ck_take_workspace(1001) == large);
    ck_give_workspace(small);
    ck_give_workspace(large);
    ck_give_workspace(NULL);
    ck_release_caches();
    CHECK(ck_live_bytes() == 0);
}

static void no_more_than_64_mib_is_kept(void)
{
    enum { COUNT = 40 };
    void *all[COUNT];
    for (int i = 0; i < COUNT; i++)
        all[i] = ck_take_workspace(INT64_C(20) << 20);
    CHECK(ck_live_bytes() > INT64_C(800) << 20);
    for (int i = 0; i < COUNT; i++)
        ck_give_workspace(all[i]);
    CHECK(ck_live_bytes() <= INT64_C(64) << 20 && ck_live_bytes() > INT64_C(59) << 20);
    for (int i = 0; i < COUNT; i++)
        all[i] = ck_take_workspace(1000 + i);
    for (int i = 0; i < COUNT; i++)
        ck_give_workspace(all[i]);
    CHECK(ck_live_bytes() < 8 * 2000); /* the newest push out the oldest */
}

static void *take_and_give(void *seed)
{
    for (int64_t i = 0; i < 20000; i++) {
        int64_t bytes = (i * 7919 + *(int64_t *)seed) % 5000;
        char *a = ck_take_workspace(bytes), *b = ck_take_workspace(bytes / 2);
        memset(a, 1, (size_t)bytes);
        memset(b, 2, (size_t)(bytes / 2));
        ck_give_workspace(a);
        ck_give_workspace(b);
    }
    return NULL;
}

static void workspaces_belong_to_one_thread_at_a_time(void)
{
    pthread_t threads[4];
    int64_t seeds[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, take_and_give, &seeds[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_release_caches();
    CHECK(ck_live_bytes() == 0);
}

/* ---- main ---------------------------------------------------------------- */

#define CLAIM(name) {#name, name}

static const struct claim {
    const char *name;
    void (*check)(void);
} claims[] = {
    CLAIM(every_task_is_done_once),
    CLAIM(workers_help),
    CLAIM(nested_calls_run_alone),
    CLAIM(many_callers_do_not_wait_for_each_other),
    CLAIM(threads_are_made_on_first_use_and_leave),
    CLAIM(fewer_threads_do_where_the_system_gives_no_more),
    CLAIM(workers_block_signals),
    CLAIM(workers_share_the_fp_mode_of_their_caller),
    CLAIM(idle_threads_use_no_cpu),
    CLAIM(a_poll_stops_all_threads),
    CLAIM(a_stop_reaches_nested_calls),
    CLAIM(without_a_poll_nothing_stops),
    CLAIM(a_poll_has_ended_when_it_is_taken_away),
    CLAIM(a_child_of_an_idle_parent_has_a_pool),
    CLAIM(a_child_of_a_busy_parent_has_a_pool),
    CLAIM(a_child_forked_inside_a_section_stops_it),
    CLAIM(memory_is_counted_and_aligned),
    CLAIM(allocations_fail_on_request),
    CLAIM(workspaces_are_kept_and_fit),
    CLAIM(no_more_than_64_mib_is_kept),
    CLAIM(workspaces_belong_to_one_thread_at_a_time),
};

int main(int argc, char **argv)
{
    if (argc < 2) { /* how many threads it decided on */
        printf("%d\n", convkit_get_num_threads());
        return 0;
    }
    alarm(60);
    convkit_set_num_threads(WORKERS);
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++)
        if (!strcmp(argv[1], claims[i].name)) {
            claims[i].check();
            return 0;
        }
    puts("no such claim");
    return 1;
}
