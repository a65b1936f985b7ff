/* AVX-512: 64 bytes, 32 registers, tails by mask register. */
#include <immintrin.h>
#define VEC_TILE_PIXELS 14
#define VEC_WIDE 1 /* 32 registers */
#define VEC_SHIFT 1 /* nearly every unaligned load crosses a cache line */
enum { VEC_BYTES = 64 };
typedef real vec __attribute__((vector_size(64)));
typedef real vec_unaligned __attribute__((vector_size(64), aligned(sizeof(real)), may_alias));
typedef real_bits vec_bits __attribute__((vector_size(64)));
#define vec_pin(v) __asm__("" : "+v"(v))

CK_INLINE vec vec_load_n(const real *p, int64_t n)
{
    const uint32_t mask = (1u << n) - 1u;
    return sizeof(real) == 4 ? (vec)_mm512_maskz_loadu_ps((__mmask16)mask, p)
                             : (vec)_mm512_maskz_loadu_pd((__mmask8)mask, p);
}
CK_INLINE void vec_store_n(real *p, vec v, int64_t n)
{
    const uint32_t mask = (1u << n) - 1u;
    if (sizeof(real) == 4)
        _mm512_mask_storeu_ps(p, (__mmask16)mask, (__m512)v);
    else
        _mm512_mask_storeu_pd(p, (__mmask8)mask, (__m512d)v);
}
CK_INLINE vec vec_max(vec a, vec b)
{
    return sizeof(real) == 4 ? (vec)_mm512_max_ps((__m512)a, (__m512)b)
                             : (vec)_mm512_max_pd((__m512d)a, (__m512d)b);
}
CK_INLINE vec vec_min(vec a, vec b)
{
    return sizeof(real) == 4 ? (vec)_mm512_min_ps((__m512)a, (__m512)b)
                             : (vec)_mm512_min_pd((__m512d)a, (__m512d)b);
}
CK_INLINE void vec_store_low8(uint8_t *p, vec v)
{
    if (sizeof(real) == 4)
        _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8((__m512i)v));
    else
        _mm_storel_epi64((__m128i *)p, _mm512_cvtepi64_epi8((__m512i)v));
}
CK_INLINE void vec_store_low16(uint16_t *p, vec v)
{
    if (sizeof(real) == 4)
        _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16((__m512i)v));
    else
        _mm_storeu_si128((__m128i *)p, _mm512_cvtepi64_epi16((__m512i)v));
}
