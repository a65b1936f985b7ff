/* NEON (aarch64): 16 bytes, 32 registers; tails lane by lane. */
#define VEC_TILE_PIXELS 7
#define VEC_WIDE 1 /* 32 registers */
#define VEC_SHIFT 0
enum { VEC_BYTES = 16 };
typedef real vec __attribute__((vector_size(16)));
typedef real vec_unaligned __attribute__((vector_size(16), aligned(sizeof(real)), may_alias));
typedef real_bits vec_bits __attribute__((vector_size(16)));
#define vec_pin(v) __asm__("" : "+w"(v))
#include "vec/tails.h"
