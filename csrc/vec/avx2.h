/* AVX2 with FMA: 32 bytes, 16 registers, tails by vmaskmov. */
#include <immintrin.h>
#define VEC_TILE_PIXELS 6
#define VEC_WIDE 0 /* 16 registers */
#define VEC_SHIFT 0
enum { VEC_BYTES = 32 };
typedef real vec __attribute__((vector_size(32)));
typedef real vec_unaligned __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));
typedef real_bits vec_bits __attribute__((vector_size(32)));
#define vec_pin(v) __asm__("" : "+x"(v))

CK_INLINE __m256i vec_mask_(int64_t n)
{
    return sizeof(real) == 4
        ? _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
        : _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
CK_INLINE vec vec_load_n(const real *p, int64_t n)
{
    return sizeof(real) == 4 ? (vec)_mm256_maskload_ps((const float *)p, vec_mask_(n))
                             : (vec)_mm256_maskload_pd((const double *)p, vec_mask_(n));
}
CK_INLINE void vec_store_n(real *p, vec v, int64_t n)
{
    if (sizeof(real) == 4)
        _mm256_maskstore_ps((float *)p, vec_mask_(n), (__m256)v);
    else
        _mm256_maskstore_pd((double *)p, vec_mask_(n), (__m256d)v);
}
CK_INLINE vec vec_max(vec a, vec b)
{
    return sizeof(real) == 4 ? (vec)_mm256_max_ps((__m256)a, (__m256)b)
                             : (vec)_mm256_max_pd((__m256d)a, (__m256d)b);
}
CK_INLINE vec vec_min(vec a, vec b)
{
    return sizeof(real) == 4 ? (vec)_mm256_min_ps((__m256)a, (__m256)b)
                             : (vec)_mm256_min_pd((__m256d)a, (__m256d)b);
}
/* The bytes that `pick` names of both halves, those of the upper half behind the others. */
CK_INLINE __m128i vec_halves_(vec v, __m128i pick, __m128i pick_upper)
{
    const __m128i low = _mm256_castsi256_si128((__m256i)v);
    const __m128i high = _mm256_extracti128_si256((__m256i)v, 1);
    return _mm_or_si128(_mm_shuffle_epi8(low, pick), _mm_shuffle_epi8(high, pick_upper));
}
CK_INLINE void vec_store_low8(uint8_t *p, vec v)
{
    if (sizeof(real) == 4)
        _mm_storel_epi64((__m128i *)p,
                         vec_halves_(v, _mm_set_epi64x(-1, 0xFFFFFFFF0C080400),
                                     _mm_set_epi64x(-1, 0x0C080400FFFFFFFF)));
    else
        _mm_storeu_si32(p, vec_halves_(v, _mm_set_epi64x(-1, 0xFFFFFFFFFFFF0800),
                                       _mm_set_epi64x(-1, 0xFFFFFFFF0800FFFF)));
}
CK_INLINE void vec_store_low16(uint16_t *p, vec v)
{
    if (sizeof(real) == 4)
        _mm_storeu_si128((__m128i *)p, vec_halves_(v, _mm_set_epi64x(-1, 0x0D0C090805040100),
                                                   _mm_set_epi64x(0x0D0C090805040100, -1)));
    else
        _mm_storel_epi64((__m128i *)p,
                         vec_halves_(v, _mm_set_epi64x(-1, 0xFFFFFFFF09080100),
                                     _mm_set_epi64x(-1, 0x09080100FFFFFFFF)));
}
