/* Tails of an ISA without masks: lane by lane. */
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
