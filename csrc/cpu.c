/* cpu.c - what the running CPU can do.
 *
 * Compiled for the baseline only: it runs before anyone knows what may run.
 */
#define _GNU_SOURCE
#include "core.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

static bool bit(unsigned word, int index)
{
    return word >> index & 1;
}

/* The register sets that the operating system saves on a task switch: a CPU
 * with AVX under a system without it faults on the first such instruction. */
static unsigned saved_registers(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

int32_t ck_cpu_has(const char *isa)
{
    unsigned a, b, c1, d, b7 = 0, c7 = 0, a71 = 0;
    if (!__get_cpuid(1, &a, &b, &c1, &d))
        return 0;
    unsigned leaves = 0;
    if (__get_cpuid_count(7, 0, &leaves, &b7, &c7, &d) && leaves >= 1) {
        unsigned unused;
        __get_cpuid_count(7, 1, &a71, &unused, &unused, &unused);
    }
    unsigned saved = bit(c1, 27) ? saved_registers() : 0; /* OSXSAVE */

    bool v2 = bit(c1, 9) && bit(c1, 13)                    /* ssse3 cx16 */
              && bit(c1, 20) && bit(c1, 23);               /* sse4.2 popcnt */
    bool avx2 = v2 && (saved & 0x6) == 0x6                 /* xmm ymm */
                && bit(c1, 12) && bit(c1, 28) && bit(c1, 29)  /* fma avx f16c */
                && bit(b7, 3) && bit(b7, 5) && bit(b7, 8);    /* bmi avx2 bmi2 */
    bool avx512 = avx2 && (saved & 0xe6) == 0xe6           /* and opmask, zmm */
                  && bit(b7, 16) && bit(b7, 17) && bit(b7, 28) /* f dq cd */
                  && bit(b7, 30) && bit(b7, 31);               /* bw vl */
    if (!strcmp(isa, "v2"))
        return v2;
    if (!strcmp(isa, "avx2"))
        return avx2;
    if (!strcmp(isa, "avx512"))
        return avx512;
    if (!strcmp(isa, "avx512_vnni"))
        return avx512 && bit(c7, 11);
    if (!strcmp(isa, "avx512_vnni_bf16"))
        return avx512 && bit(c7, 11) && bit(a71, 5);
    return 0;
}

#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>

static bool has_dotprod(void)
{
    /* HWCAP_FPHP, HWCAP_ASIMDHP and HWCAP_ASIMDDP, which old headers lack. */
    unsigned long wanted = 1ul << 9 | 1ul << 10 | 1ul << 20;
    return (getauxval(AT_HWCAP) & wanted) == wanted;
}
#else
static bool has_dotprod(void)
{
    return true; /* every aarch64 machine of Apple has it */
}
#endif

int32_t ck_cpu_has(const char *isa)
{
    if (!strcmp(isa, "neon"))
        return 1;
    if (!strcmp(isa, "dotprod"))
        return has_dotprod();
    return 0;
}

#else
int32_t ck_cpu_has(const char *isa)
{
    return !strcmp(isa, "scalar");
}
#endif

/* Caches, as Linux tells them in sysfs; elsewhere, and in a sandbox without
 * /sys, the usual sizes stay. */
enum { LEVELS = 3 };
static int64_t cache_bytes[LEVELS] = {32 << 10, 1 << 20, 2 << 20};
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

/* Reads a line of cpu0's cache number `index`; false if there is none. */
static bool read_cache(int index, const char *field, char line[static 256])
{
    char path[96];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index,
             field);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool got = fgets(line, 256, file) != NULL;
    fclose(file);
    return got;
}

/* How many CPUs a list such as "0-3,8-11" holds. */
static int count_cpus(const char *list)
{
    int cpus = 0;
    while (list) {
        int first = 0, last = 0;
        int fields = sscanf(list, "%d-%d", &first, &last);
        if (fields < 1)
            break;
        cpus += fields == 2 ? last - first + 1 : 1;
        list = strchr(list, ',');
        list = list ? list + 1 : NULL;
    }
    return cpus > 0 ? cpus : 1;
}

static void find_caches(void)
{
    int64_t bytes[LEVELS] = {0};
    int sharers[LEVELS] = {0};
    char line[256];
    for (int i = 0; read_cache(i, "type", line); i++) {
        int level;
        long long size;
        char unit = 0;
        if (line[0] == 'I') /* instructions */
            continue;
        if (!read_cache(i, "level", line) || sscanf(line, "%d", &level) != 1)
            continue;
        if (level < 1 || level > LEVELS || !read_cache(i, "size", line))
            continue;
        if (sscanf(line, "%lld%c", &size, &unit) != 2 || size <= 0)
            continue;
        bytes[level - 1] = size << (unit == 'M' ? 20 : 10);
        if (read_cache(i, "shared_cpu_list", line))
            sharers[level - 1] = count_cpus(line);
    }
    /* CPUs that share a first level are threads of one core. */
    int threads = sharers[0] > 0 ? sharers[0] : 1;
    for (int i = 0; i < LEVELS; i++) {
        int cores = sharers[i] > threads ? sharers[i] / threads : 1;
        if (bytes[i])
            cache_bytes[i] = bytes[i] / cores;
    }
}

int64_t ck_cache_bytes(int32_t level)
{
    if (level < 1 || level > LEVELS)
        return 0;
    pthread_once(&cache_once, find_caches);
    return cache_bytes[level - 1];
}
