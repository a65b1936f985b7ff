/* x86-64-v2 (SSE4.2): 16 bytes, 16 registers, no fused multiply-add; tails lane by lane.
 * Plain C besides vec_pin, so it also serves any ISA without a header of its own. */
#define VEC_TILE_PIXELS 5
#define VEC_WIDE 0 /* 16 registers */
#define VEC_SHIFT 0
enum { VEC_BYTES = 16 };
typedef real vec __attribute__((vector_size(16)));
typedef real vec_unaligned __attribute__((vector_size(16), aligned(sizeof(real)), may_alias));
typedef real_bits vec_bits __attribute__((vector_size(16)));
#if defined(__x86_64__)
#define vec_pin(v) __asm__("" : "+x"(v))
#else
#define vec_pin(v) ((void)0)
#endif
#include "vec/tails.h"
