/* vec.h - one vector type, the same few operations on every ISA and dtype.
 *
 * The including kernel says what an element is: #define CK_REAL float (or
 * double). GNU vector types do the arithmetic; gcc and clang contract
 * a * b + c to one instruction where the ISA has it (-ffp-contract=fast).
 *
 *   real, LANES          the element; elements in a vector
 *   vec                  the vector
 *   vec_set1(a)          all lanes = a
 *   vec_load(p)          unaligned load of LANES elements
 *   vec_load_n(p, n)     first n lanes from memory, the rest 0 (0 <= n <= LANES)
 *   vec_store(p, v)      unaligned store
 *   vec_store_n(p, v, n) first n lanes only; memory past them is not touched
 *   vec_fma(a, b, c)     a * b + c
 *   vec_max, vec_min(a, b)  lane by lane; b where a is NaN
 *   vec_store_low8(p, v), vec_store_low16(p, v)  the low bits of each lane, side by side
 *   vec_select(m, a, b)  a where the comparison m holds, else b
 *   vec_pin(v)           keeps v in a register: the compiler may neither load it
 *                        again nor fold its load into an instruction that uses it
 *   vec_settle(v)        v is computed here, and what is loaded further down, later: tiles
 *                        that follow each other without a loop share no registers else
 *   vec_transpose(r)     LANES x LANES elements in registers
 *   vec_pick(a, b, n)    lane i is lane n[i] of a followed by b
 *   vec_swap(v)          lanes 2 i and 2 i + 1 change places
 *   vec_shift(a, b, n)   lanes n ... n + LANES - 1 of a followed by b
 *
 * CK_KERNEL(name) is the symbol of a kernel for the ISA and dtype being
 * compiled: ck_conv_direct_channels_f32_avx512 under -DCK_ISA=avx512. It is
 * the only name a kernel file exports; everything else in it is static.
 */
#ifndef CONVKIT_VEC_H
#define CONVKIT_VEC_H
#include <stdint.h>

/* Before every loop over a register tile: the array only becomes registers
 * when its loops are unrolled before anything else happens to them. */
#define CK_UNROLL _Pragma("GCC unroll 64")
/* Before a loop around such a tile, which gcc would unroll into more than the registers hold. */
#define CK_ROLLED _Pragma("GCC unroll 1")
#define CK_INLINE static inline __attribute__((always_inline))
/* A function around a tile: inlined into its caller, the caller's values would take registers. */
#define CK_APART static __attribute__((noinline))

#define CK_PASTE_(name, isa) ck_##name##_##isa
#define CK_PASTE(name, isa) CK_PASTE_(name, isa)
#define CK_KERNEL(name) CK_PASTE(name, CK_ISA)
/* A kernel's types where x, weights, y and sums are all of one. */
#define CK_REAL_TYPE _Generic((real)0, float: CK_F32, double: CK_F64)
#define CK_REAL_TYPES {CK_REAL_TYPE, CK_REAL_TYPE, CK_REAL_TYPE, CK_REAL_TYPE}
#define CK_QUOTE_(isa) #isa
#define CK_QUOTE(isa) CK_QUOTE_(isa)
#define CK_ISA_NAME CK_QUOTE(CK_ISA)

typedef CK_REAL real;
/* Lanes of a comparison: integers as wide as real. */
typedef __typeof__(_Generic((real)0, float: (int32_t)0, double: (int64_t)0)) real_bits;

#if defined(__AVX512F__)
#include "vec/avx512.h"
#elif defined(__AVX2__)
#include "vec/avx2.h"
#elif defined(__ARM_NEON)
#include "vec/neon.h"
#else
#include "vec/v2.h"
#endif

enum {
    LANES = VEC_BYTES / sizeof(real),
    TILE_PIXELS = VEC_TILE_PIXELS, /* broadcast pixels by two vectors fill the registers */
};

#if defined(__x86_64__)
#define vec_settle(v) __asm__ volatile("" : "+v"(v) : : "memory")
#elif defined(__aarch64__)
#define vec_settle(v) __asm__ volatile("" : "+w"(v) : : "memory")
#else
#define vec_settle(v) ((void)0)
#endif

CK_INLINE vec vec_set1(real a) { return a - (vec){0}; }
CK_INLINE vec vec_load(const real *p) { return *(const vec_unaligned *)p; }
CK_INLINE void vec_store(real *p, vec v) { *(vec_unaligned *)p = v; }
CK_INLINE vec vec_fma(vec a, vec b, vec c) { return a * b + c; }
CK_INLINE vec vec_select(vec_bits m, vec a, vec b)
{
    return (vec)((m & (vec_bits)a) | (~m & (vec_bits)b));
}

CK_INLINE vec vec_pick(vec a, vec b, vec_bits n)
{
#if defined(__clang__)
    vec picked;
    for (int i = 0; i < LANES; i++) picked[i] = n[i] < LANES ? a[n[i]] : b[n[i] - LANES];
    return picked;
#else
    return __builtin_shuffle(a, b, n);
#endif
}
CK_INLINE vec vec_shift(vec a, vec b, const int n)
{
    vec_bits from = {0};
    CK_UNROLL for (int i = 0; i < LANES; i++) from[i] = i + n;
    return vec_pick(a, b, from);
}
CK_INLINE vec vec_swap(vec v)
{
    vec_bits other = {0};
    CK_UNROLL for (int i = 0; i < LANES; i++) other[i] = i ^ 1;
    return vec_pick(v, v, other);
}

/* Butterflies: stage s swaps blocks of 2^s lanes between rows 2^s apart. */
#if defined(__clang__)
CK_INLINE void vec_transpose(vec r[LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < i; j++) {
            const real t = r[i][j];
            r[i][j] = r[j][i];
            r[j][i] = t;
        }
}
#else
CK_INLINE vec_bits vec_transpose_pick_(int width, int high)
{
    vec_bits pick = {0};
    CK_UNROLL for (int i = 0; i < LANES; i++) {
        const int odd = i / width & 1;
        pick[i] = high ? (odd ? i + LANES : i + width) : (odd ? i - width + LANES : i);
    }
    return pick;
}
CK_INLINE void vec_transpose(vec r[LANES])
{
    CK_UNROLL for (int width = 1; width < LANES; width *= 2) {
        const vec_bits low = vec_transpose_pick_(width, 0);
        const vec_bits high = vec_transpose_pick_(width, 1);
        CK_UNROLL for (int i = 0; i < LANES; i++)
            if (!(i & width)) {
                const vec a = r[i], b = r[i + width];
                r[i] = __builtin_shuffle(a, b, low);
                r[i + width] = __builtin_shuffle(a, b, high);
            }
    }
}
#endif
#endif
