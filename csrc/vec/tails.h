/* What goes lane by lane on an ISA with short vectors and no masks. */
CK_INLINE vec vec_load_n(const real *p, int64_t n)
{
    vec v = {0};
    for (int64_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}
CK_INLINE void vec_store_n(real *p, vec v, int64_t n)
{
    for (int64_t i = 0; i < n; i++) p[i] = v[i];
}
CK_INLINE vec vec_max(vec a, vec b)
{
    const vec_bits m = a > b;
    return (vec)((m & (vec_bits)a) | (~m & (vec_bits)b));
}
CK_INLINE vec vec_min(vec a, vec b)
{
    const vec_bits m = a < b;
    return (vec)((m & (vec_bits)a) | (~m & (vec_bits)b));
}
CK_INLINE void vec_store_low8(uint8_t *p, vec v)
{
    const vec_bits bits = (vec_bits)v;
    CK_UNROLL for (uint64_t i = 0; i < VEC_BYTES / sizeof(real); i++) p[i] = (uint8_t)bits[i];
}
CK_INLINE void vec_store_low16(uint16_t *p, vec v)
{
    const vec_bits bits = (vec_bits)v;
    CK_UNROLL for (uint64_t i = 0; i < VEC_BYTES / sizeof(real); i++) p[i] = (uint16_t)bits[i];
}
