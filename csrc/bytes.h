/* bytes.h - sums of products of bytes, in lanes of 32 bits.
 *
 * A *cell* is such a lane of factors: of a row, the pixels that one instruction multiplies
 * for one output; of the weights, their weights.
 *
 *   FLOATS  one pixel, as float              one weight
 *   WORDS   WORD_TAPS pixels of 16 bits      their weights of 16 bits
 *   BYTES   BYTE_TAPS pixels of 8 bits       their weights of 8 bits, signed
 *
 *   cells                     LANES of them
 *   cells_of(x, pattern)      pixels around x[0] ... x[LANES - 1]: byte i of four cells is
 *                             x[pattern[i % 16]], from the first of the four on, and 0 where
 *                             that is negative. Reads CELLS_REACH bytes at most.
 *   cells_dot(c, x, w, form)  c + the sum of each cell's products
 *   cells_round(v)            floats to integers, to nearest even
 *   cells_to_bytes(v, y, n)   TX vectors of integers, saturated; the first n of them to y
 *
 * Include it with float as the element.
 */
#ifndef CONVKIT_BYTES_H
#define CONVKIT_BYTES_H
#include <math.h>
#include <string.h>
#include "vec.h"

enum { FLOATS, WORDS, BYTES };
enum {
    /* Rows and vectors of a tile: with 16 registers its accumulators, TX vectors of x, a
     * weight and a product. */
    TY = VEC_WIDE ? 6 : 5,
    TX = VEC_WIDE ? 4 : 2,
    CELLS_REACH = 32,
};
typedef vec_bits cells;
typedef int32_t cells_unaligned
    __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));

CK_INLINE cells cells_set1(int32_t a) { return a - (cells){0}; }
CK_INLINE cells cells_load(const int32_t *p) { return *(const cells_unaligned *)p; }
CK_INLINE void cells_store(int32_t *p, cells v) { *(cells_unaligned *)p = v; }

#if defined(__AVX512VNNI__) || defined(__ARM_FEATURE_DOTPROD)
#define CK_BYTES_DOT 1
#else
#define CK_BYTES_DOT 0
#endif

/* Per ISA: words_dot, bytes_dot where BYTE_TAPS is not 0, and the three others. BYTES are
 * pixels less BYTE_ZERO where the instruction takes signed ones only. SHORT_FLOATS: words
 * multiply faster than floats, so that float weights become words where these hold them. */
#if defined(__AVX512BW__)

enum { WORD_TAPS = 2 };
#if CK_BYTES_DOT
enum { BYTE_TAPS = 4, BYTE_ZERO = 0, SHORT_FLOATS = 1 };
CK_INLINE cells words_dot(cells c, cells x, cells w)
{
    return (cells)_mm512_dpwssd_epi32((__m512i)c, (__m512i)x, (__m512i)w);
}
CK_INLINE cells bytes_dot(cells c, cells x, cells w)
{
    return (cells)_mm512_dpbusd_epi32((__m512i)c, (__m512i)x, (__m512i)w);
}
#else
enum { BYTE_TAPS = 0, BYTE_ZERO = 0, SHORT_FLOATS = 0 };
CK_INLINE cells words_dot(cells c, cells x, cells w)
{
    return c + (cells)_mm512_madd_epi16((__m512i)x, (__m512i)w);
}
#endif
CK_INLINE cells cells_of(const uint8_t *x, cells pattern)
{
    const __m512i from = _mm512_setr_epi32(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6);
    const __m256i near = _mm256_loadu_si256((const __m256i *)x);
    const __m512i fours = _mm512_permutexvar_epi32(from, _mm512_castsi256_si512(near));
    return (cells)_mm512_shuffle_epi8(fours, (__m512i)pattern);
}
CK_INLINE cells cells_round(vec v) { return (cells)_mm512_cvtps_epi32((__m512)v); }
CK_INLINE void cells_to_bytes(const cells v[TX], uint8_t *y, int64_t n)
{
    const __m512i from =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i low = _mm512_packs_epi32((__m512i)v[0], (__m512i)v[1]);
    const __m512i high = _mm512_packs_epi32((__m512i)v[2], (__m512i)v[3]);
    const __m512i all = _mm512_permutexvar_epi32(from, _mm512_packus_epi16(low, high));
    _mm512_mask_storeu_epi8(y, UINT64_MAX >> (TX * LANES - n), all);
}

#elif defined(__AVX2__)

enum { WORD_TAPS = 2, BYTE_TAPS = 0, BYTE_ZERO = 0, SHORT_FLOATS = 0 };
CK_INLINE cells words_dot(cells c, cells x, cells w)
{
    return c + (cells)_mm256_madd_epi16((__m256i)x, (__m256i)w);
}
CK_INLINE cells cells_of(const uint8_t *x, cells pattern)
{
    const __m128i low = _mm_loadu_si128((const __m128i *)x);
    const __m128i high = _mm_loadu_si128((const __m128i *)(x + 4));
    return (cells)_mm256_shuffle_epi8(_mm256_set_m128i(high, low), (__m256i)pattern);
}
CK_INLINE cells cells_round(vec v) { return (cells)_mm256_cvtps_epi32((__m256)v); }
CK_INLINE void cells_to_bytes(const cells v[TX], uint8_t *y, int64_t n)
{
    const __m256i from = _mm256_setr_epi32(0, 4, 1, 5, 0, 0, 0, 0);
    __m256i all = _mm256_packs_epi32((__m256i)v[0], (__m256i)v[1]);
    all = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(all, all), from);
    if (n == TX * LANES)
        _mm_storeu_si128((__m128i *)y, _mm256_castsi256_si128(all));
    else
        memcpy(y, &all, (size_t)n);
}

#elif defined(__SSE4_1__)

#include <smmintrin.h>
enum { WORD_TAPS = 2, BYTE_TAPS = 0, BYTE_ZERO = 0, SHORT_FLOATS = 1 /* no fma */ };
CK_INLINE cells words_dot(cells c, cells x, cells w)
{
    return c + (cells)_mm_madd_epi16((__m128i)x, (__m128i)w);
}
CK_INLINE cells cells_of(const uint8_t *x, cells pattern)
{
    return (cells)_mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)x), (__m128i)pattern);
}
CK_INLINE cells cells_round(vec v) { return (cells)_mm_cvtps_epi32((__m128)v); }
CK_INLINE void cells_to_bytes(const cells v[TX], uint8_t *y, int64_t n)
{
    const __m128i words = _mm_packs_epi32((__m128i)v[0], (__m128i)v[1]);
    const __m128i all = _mm_packus_epi16(words, words);
    if (n == TX * LANES)
        _mm_storel_epi64((__m128i *)y, all);
    else
        memcpy(y, &all, (size_t)n);
}

#elif defined(__ARM_NEON)

#include <arm_neon.h>
enum { WORD_TAPS = 1, SHORT_FLOATS = 0 };
#if CK_BYTES_DOT
enum { BYTE_TAPS = 4, BYTE_ZERO = 128 };
CK_INLINE cells bytes_dot(cells c, cells x, cells w)
{
    return (cells)vdotq_s32((int32x4_t)c, (int8x16_t)x, (int8x16_t)w);
}
#else
enum { BYTE_TAPS = 0, BYTE_ZERO = 0 };
#endif
CK_INLINE cells words_dot(cells c, cells x, cells w) { return c + x * w; }
CK_INLINE cells cells_of(const uint8_t *x, cells pattern)
{
    return (cells)vqtbl1q_u8(vld1q_u8(x), (uint8x16_t)pattern);
}
CK_INLINE cells cells_round(vec v) { return (cells)vcvtnq_s32_f32((float32x4_t)v); }
CK_INLINE void cells_to_bytes(const cells v[TX], uint8_t *y, int64_t n)
{
    int16x4_t words[TX];
    CK_UNROLL for (int t = 0; t < TX; t++) words[t] = vqmovn_s32((int32x4_t)v[t]);
    const uint8x16_t all = vcombine_u8(vqmovun_s16(vcombine_s16(words[0], words[1])),
                                       vqmovun_s16(vcombine_s16(words[2], words[3])));
    if (n == TX * LANES)
        vst1q_u8(y, all);
    else
        memcpy(y, &all, (size_t)n);
}

#else /* plain C */

enum { WORD_TAPS = 1, BYTE_TAPS = 0, BYTE_ZERO = 0, SHORT_FLOATS = 0 };
CK_INLINE cells words_dot(cells c, cells x, cells w) { return c + x * w; }
CK_INLINE cells cells_of(const uint8_t *x, cells pattern)
{
    int8_t from[16];
    int32_t v[LANES];
    memcpy(from, &pattern, sizeof from);
    for (int i = 0; i < 16; i++) ((uint8_t *)v)[i] = from[i] < 0 ? 0 : x[from[i]];
    return cells_load(v);
}
CK_INLINE cells cells_round(vec v)
{
    cells all;
    for (int i = 0; i < LANES; i++) all[i] = (int32_t)rintf(v[i]);
    return all;
}
CK_INLINE void cells_to_bytes(const cells v[TX], uint8_t *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int32_t a = v[i / LANES][i % LANES];
        y[i] = (uint8_t)(a < 0 ? 0 : a > 255 ? 255 : a);
    }
}

#endif

CK_INLINE cells cells_dot(cells c, cells x, cells w, const int form)
{
    if (form == FLOATS) return (cells)vec_fma((vec)x, (vec)w, (vec)c);
#if CK_BYTES_DOT
    if (form == BYTES) return bytes_dot(c, x, w);
#endif
    return words_dot(c, x, w);
}
#endif
