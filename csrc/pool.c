/* pool.c - threads that share a range of tasks.
 *
 * A parallel section hands out tickets, one per task. All of it is in one word,
 * so that taking a ticket and joining is one compare-and-swap:
 *
 *     state:  | active (10) | seats (10) | tickets (44) |
 *
 *   tickets  tasks that nobody has begun yet
 *   seats    how many more workers may join; its value is the number of the next
 *   active   workers that have joined and not left
 *
 * The caller is worker 0 and takes tickets like the others: what no worker has
 * taken it does itself, so a worker that wakes up late costs nothing. It returns
 * when tickets and active are both 0, and nobody reads `job` from then on: a
 * worker reads it only between joining and leaving.
 *
 * There is one section at a time. A call from inside a section, or while another
 * thread's runs, does its tasks by itself, one after the other: no deadlock, no
 * more threads than asked for. Inside a section of one thread, a call may still share
 * out its tasks: so one task can be a whole image whose passes are sections.
 */
#define _GNU_SOURCE
#include "core.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__linux__) && !defined(CK_NO_FUTEX)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#ifndef CK_ROOT
#define CK_ROOT "" /* a test puts files of its own in the place of /proc and /sys */
#endif

enum { MAX_THREADS = 256 };

#define TICKETS ((UINT64_C(1) << 44) - 1)
#define SEAT (UINT64_C(1) << 44)
#define SEATS (UINT64_C(1023) * SEAT)
#define ACTIVE (UINT64_C(1) << 54)

/* Waking a sleeper takes 5 to 50 us, so all spin a little before they sleep:
 * a worker until the next call of a tight loop, a caller while the last tasks end. */
static const int64_t START_SPIN_NS = 20 * 1000;
static const int64_t FINISH_SPIN_NS = 100 * 1000;
static const int64_t POLL_NS = 20 * 1000 * 1000;

/* ---- time ---------------------------------------------------------------- */

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

/* Good to a few milliseconds, but read in 5 ns. */
static int64_t coarse_now(void)
{
#if defined(CLOCK_MONOTONIC_COARSE)
    return read_clock(CLOCK_MONOTONIC_COARSE);
#else
    return now();
#endif
}

static void relax(void)
{
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- the caller's rounding and denormal modes, which its workers share --- */

#if defined(__x86_64__)
typedef unsigned fp_mode;

static fp_mode get_fp_mode(void)
{
    return _mm_getcsr() & ~0x3fu; /* less the sticky exception flags */
}

static void set_fp_mode(fp_mode mode)
{
    _mm_setcsr(mode);
}
#elif defined(__aarch64__)
typedef uint64_t fp_mode;

static fp_mode get_fp_mode(void)
{
    fp_mode mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
}

static void set_fp_mode(fp_mode mode)
{
    __asm__ volatile("msr fpcr, %0" ::"r"(mode));
}
#else
typedef int fp_mode;

static fp_mode get_fp_mode(void)
{
    return 0;
}

static void set_fp_mode(fp_mode mode)
{
    (void)mode;
}
#endif

/* ---- bells: sleep until rung --------------------------------------------- */

typedef struct bell {
    _Alignas(64) _Atomic uint32_t rings;
    _Atomic int32_t sleepers;
#if !defined(FUTEX_WAIT_PRIVATE)
    pthread_mutex_t mutex;
    pthread_cond_t cond;
#endif
} bell;

#if defined(FUTEX_WAIT_PRIVATE)
#define BELL {0, 0}

static void sleep_on(bell *b, uint32_t rings, int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    syscall(SYS_futex, &b->rings, FUTEX_WAIT_PRIVATE, rings, ns < 0 ? NULL : &t, NULL, 0);
}

static void wake(bell *b, int32_t most)
{
    syscall(SYS_futex, &b->rings, FUTEX_WAKE_PRIVATE, most, NULL, NULL, 0);
}
#else
#define BELL {0, 0, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER}

static void sleep_on(bell *b, uint32_t rings, int64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (until.tv_nsec + ns) / 1000000000;
    until.tv_nsec = (until.tv_nsec + ns) % 1000000000;
    pthread_mutex_lock(&b->mutex);
    if (atomic_load(&b->rings) == rings) {
        if (ns < 0)
            pthread_cond_wait(&b->cond, &b->mutex);
        else
            pthread_cond_timedwait(&b->cond, &b->mutex, &until);
    }
    pthread_mutex_unlock(&b->mutex);
}

static void wake(bell *b, int32_t most)
{
    (void)most;
    pthread_mutex_lock(&b->mutex);
    pthread_cond_broadcast(&b->cond);
    pthread_mutex_unlock(&b->mutex);
}
#endif

/* Sleeps unless the bell has rung since `rings` was read; ns < 0: no limit. */
static void await_bell(bell *b, uint32_t rings, int64_t ns)
{
    /* The sleeper counts itself, then looks at the bell; ring() does it the
     * other way round. So at least one of them sees the other. */
    atomic_fetch_add(&b->sleepers, 1);
    if (atomic_load(&b->rings) == rings)
        sleep_on(b, rings, ns);
    atomic_fetch_sub(&b->sleepers, 1);
}

static void ring(bell *b, int32_t most)
{
    atomic_fetch_add(&b->rings, 1);
    if (atomic_load(&b->sleepers))
        wake(b, most);
}

/* ---- state --------------------------------------------------------------- */

/* One call of ck_parallel; it lives on the stack of its caller. */
typedef struct run {
    _Atomic bool canceled;
    int64_t poll_at; /* the caller's own */
} run;

static _Alignas(64) _Atomic uint64_t state;
static bell start = BELL, finish = BELL;

static struct {
    ck_task task;
    void *arg;
    int64_t count;
    run *run;
    fp_mode mode;
    int cpu; /* where the caller runs, -1 if unknown */
} job;

static _Atomic bool busy;      /* a section runs; who sets it owns `job` */
static _Atomic int32_t wanted; /* threads, callers included; 0: not decided yet */
static _Atomic int32_t workers;
static int32_t (*_Atomic poll)(void);
static _Atomic int32_t polling; /* threads inside of it */

static _Thread_local struct {
    run *run;        /* what this thread works for, or NULL */
    bool caller;     /* it is the one that was called */
    bool sharing;    /* its section has other threads */
    int32_t polling; /* how often it is inside of the call-back */
} self;

/* ---- cancelling ---------------------------------------------------------- */

/* Returns when no other thread is in the old call-back any more: an interpreter
 * that shuts down ends threads that call it, and a section would lose its caller. */
void ck_set_poll(int32_t (*callback)(void))
{
    atomic_store(&poll, callback);
    while (atomic_load(&polling) > self.polling)
        sched_yield();
}

static int32_t call_poll(void)
{
    self.polling++;
    atomic_fetch_add(&polling, 1);
    int32_t (*callback)(void) = atomic_load(&poll);
    int32_t stop = callback ? callback() : 0;
    atomic_fetch_sub(&polling, 1);
    self.polling--;
    return stop;
}

int32_t ck_checkpoint(void)
{
    run *r = self.run;
    if (!r)
        return 0;
    if (self.caller && coarse_now() >= r->poll_at) {
        r->poll_at = coarse_now() + POLL_NS; /* first: the call-back may call us */
        if (call_poll())
            atomic_store(&r->canceled, true);
    }
    return atomic_load_explicit(&r->canceled, memory_order_relaxed);
}

/* ---- tickets ------------------------------------------------------------- */

/* Takes a ticket, with a seat if `joining`. Returns the state before, or 0. */
static uint64_t claim(bool joining)
{
    uint64_t before = atomic_load(&state), after;
    do {
        if (!(before & TICKETS) || (joining && !(before & SEATS)))
            return 0;
        after = before - 1 + (joining ? ACTIVE - SEAT : 0);
    } while (!atomic_compare_exchange_weak(&state, &before, after));
    return before;
}

/* Does the task of a claimed ticket, and of all that can be had after it. */
static void work(uint64_t claimed, int32_t worker)
{
    for (; claimed; claimed = claim(false)) {
        job.task(job.arg, job.count - (int64_t)(claimed & TICKETS), worker);
        if (ck_checkpoint())
            atomic_fetch_and(&state, ~TICKETS);
    }
}

static int32_t work_alone(int64_t count, ck_task task, void *arg)
{
    for (int64_t i = 0; i < count; i++) {
        task(arg, i, 0);
        if (ck_checkpoint())
            return CK_ECANCELED;
    }
    return CK_OK;
}

/* ---- workers ------------------------------------------------------------- */

#if defined(__linux__)
/* Linux may wake a worker on its caller's CPU and leave it there for the life of
 * the process, although another CPU is idle: 8 of 25 processes on a machine of
 * two cores ran at the speed of one thread. A worker that finds itself on its
 * caller's CPU steps aside, and none does. */
static void leave_cpu(int cpu)
{
    cpu_set_t all, others;
    if (cpu < 0 || sched_getcpu() != cpu || sched_getaffinity(0, sizeof all, &all))
        return;
    others = all;
    CPU_CLR(cpu, &others);
    if (CPU_COUNT(&others) && !sched_setaffinity(0, sizeof others, &others))
        sched_setaffinity(0, sizeof all, &all); /* it has moved: let it roam again */
}

static int current_cpu(void)
{
    return sched_getcpu();
}
#else
static void leave_cpu(int cpu)
{
    (void)cpu;
}

static int current_cpu(void)
{
    return -1;
}
#endif

/* True for as many workers as there are too many. */
static bool retire(void)
{
    int32_t n = atomic_load(&workers);
    while (n >= atomic_load(&wanted))
        if (atomic_compare_exchange_weak(&workers, &n, n - 1))
            return true;
    return false;
}

static void await_start(uint32_t rings)
{
    int64_t spin_until = now() + START_SPIN_NS;
    while (atomic_load(&start.rings) == rings) {
        if (now() > spin_until)
            await_bell(&start, rings, -1);
        relax();
    }
}

static void *be_worker(void *unused)
{
    (void)unused;
    for (;;) {
        uint32_t rings = atomic_load(&start.rings); /* before looking for work */
        if (retire())
            return NULL;
        uint64_t claimed = claim(true);
        if (!claimed) {
            await_start(rings);
            continue;
        }
        leave_cpu(job.cpu);
        set_fp_mode(job.mode);
        self.run = job.run;
        self.sharing = true;
        work(claimed, (int32_t)((claimed & SEATS) / SEAT));
        self.run = NULL;
        self.sharing = false;
        if (atomic_fetch_sub(&state, ACTIVE) / ACTIVE == 1)
            ring(&finish, 1);
    }
}

/* Starts the workers that are missing: fewer if the system gives no more. */
static void hire(void)
{
    if (atomic_load(&workers) >= atomic_load(&wanted) - 1)
        return;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    sigset_t all, old;
    sigfillset(&all); /* signals are for the program's threads, but for own crashes */
    const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        sigdelset(&all, crashes[i]);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (atomic_load(&workers) < atomic_load(&wanted) - 1) {
        pthread_t thread;
        atomic_fetch_add(&workers, 1);
        if (pthread_create(&thread, &detached, be_worker, NULL)) {
            atomic_fetch_sub(&workers, 1);
            break;
        }
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&detached);
}

static void await_finish(void)
{
    int64_t spin_until = now() + FINISH_SPIN_NS;
    for (;;) {
        uint32_t rings = atomic_load(&finish.rings); /* before looking at the state */
        if (atomic_load(&state) < ACTIVE)
            return;
        if (now() > spin_until)
            await_bell(&finish, rings, POLL_NS);
        relax();
        ck_checkpoint(); /* Ctrl-C also while only the workers still work */
    }
}

int32_t ck_parallel(int64_t count, int32_t threads, ck_task task, void *arg)
{
    if (self.sharing) /* inside a section */
        return work_alone(count, task, arg);

    run own = {false, coarse_now() + POLL_NS}, *r = self.run ? self.run : &own;
    self.run = r;
    self.caller = true;
    int32_t most = convkit_get_num_threads();
    if (threads > most)
        threads = most;
    if (threads < 2 || count < 2 || (uint64_t)count > TICKETS
        || atomic_exchange(&busy, true)) {
        work_alone(count, task, arg);
    } else {
        hire();
        int32_t seats = atomic_load(&workers);
        if (seats > threads - 1)
            seats = threads - 1;
        if (seats > count - 1)
            seats = (int32_t)(count - 1);
        job.task = task;
        job.arg = arg;
        job.count = count;
        job.run = r;
        job.mode = get_fp_mode();
        job.cpu = current_cpu();
        self.sharing = true;
        atomic_store(&state, (uint64_t)seats * SEAT + (uint64_t)count);
        ring(&start, seats);
        work(claim(false), 0);
        await_finish();
        self.sharing = false;
        atomic_store(&busy, false);
    }
    if (r == &own) {
        self.run = NULL;
        self.caller = false;
    }
    return atomic_load(&r->canceled) ? CK_ECANCELED : CK_OK;
}

/* A child has the thread that forked and no other, so the pool starts anew,
 * whatever it was doing. A child forked from inside a section (by a signal
 * handler) cannot finish it: the section ends as canceled. */
static void after_fork_in_child(void)
{
    start = (bell)BELL;
    finish = (bell)BELL;
    atomic_store(&state, 0);
    atomic_store(&workers, 0);
    atomic_store(&busy, false);
    atomic_store(&polling, self.polling);
    if (self.run)
        atomic_store(&self.run->canceled, true);
    self.run = NULL;
    self.sharing = false;
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, after_fork_in_child);
}

/* ---- how many threads ---------------------------------------------------- */

static bool read_line(const char *path, char line[static 128])
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool got = fgets(line, 128, file) != NULL;
    fclose(file);
    return got;
}

/* CPUs that one control group may use, rounded up; INT_MAX: no limit. */
static int64_t group_cpus(const char *group, bool version2)
{
    char path[PATH_MAX], line[128];
    long long quota = -1, period = -1;
    if (version2) {
        snprintf(path, sizeof path, CK_ROOT "/sys/fs/cgroup%s/cpu.max", group);
        if (read_line(path, line)) /* "max 100000" has no quota */
            sscanf(line, "%lld %lld", &quota, &period);
    } else {
        snprintf(path, sizeof path, CK_ROOT "/sys/fs/cgroup/cpu%s/cpu.cfs_quota_us",
                 group);
        if (read_line(path, line))
            sscanf(line, "%lld", &quota);
        snprintf(path, sizeof path, CK_ROOT "/sys/fs/cgroup/cpu%s/cpu.cfs_period_us",
                 group);
        if (read_line(path, line))
            sscanf(line, "%lld", &period);
    }
    return quota > 0 && period > 0 ? (quota + period - 1) / period : INT_MAX;
}

/* Whether the list of controllers up to `end`, ",cpu,cpuacct,", names the CPU's. */
static bool names_cpu(const char *list, const char *end)
{
    const char *found = strstr(list, ",cpu,");
    return found && found < end;
}

/* The least that this process's control group and those around it may use.
 * A container often sees its own group as the root: the way up ends there. */
static int64_t quota_cpus(void)
{
    char line[PATH_MAX];
    int64_t least = INT_MAX;
    FILE *file = fopen(CK_ROOT "/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file)) {
        /* "0::/user/me" of version 2, "4:cpu,cpuacct:/user/me" of version 1 */
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *controllers = ',';
        *group++ = ',';
        group[strcspn(group, "\n")] = '\0';
        bool version2 = controllers + 2 == group;
        if (!version2 && !names_cpu(controllers, group))
            continue;
        for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
            *end = '\0';
            int64_t cpus = group_cpus(group, version2);
            least = cpus < least ? cpus : least;
        }
    }
    if (file)
        fclose(file);
    return least;
}

static int64_t allowed_cpus(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set))
        return CPU_COUNT(&set);
#endif
    return sysconf(_SC_NPROCESSORS_ONLN);
}

static void decide_threads(void)
{
    const char *text = getenv("CONVKIT_NUM_THREADS");
    char *end = NULL;
    int64_t n = text ? strtol(text, &end, 10) : 0;
    if (n < 1 || n > MAX_THREADS || *end) { /* absent, or wrong: Python says so */
        int64_t quota = quota_cpus();
        n = allowed_cpus();
        n = quota < n ? quota : n;
        n = n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
    }
    int32_t undecided = 0; /* a count that was set meanwhile stays */
    atomic_compare_exchange_strong(&wanted, &undecided, (int32_t)n);
}

CK_EXPORT int32_t convkit_get_num_threads(void)
{
    if (!atomic_load(&wanted))
        decide_threads();
    return atomic_load(&wanted);
}

CK_EXPORT int32_t convkit_set_num_threads(int32_t threads)
{
    if (threads < 1 || threads > MAX_THREADS)
        return CK_EINVAL;
    atomic_store(&wanted, threads);
    ring(&start, INT_MAX); /* those too many leave */
    return CK_OK;
}
