/* AVX2 with FMA: 32 bytes, 16 registers, tails by vmaskmov. */
#include <immintrin.h>
#define VEC_TILE_PIXELS 6
#define VEC_WIDE 0 /* 16 registers */
#define VEC_TAPS 1 /* unaligned loads cross cache lines often enough to share them */
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
