/* fft.h - circular convolution by transforms that live inside it: no bit reversal, no
 * separate pass over re and im, tables that are constant along a row.
 *
 * The ring. A block of N complex numbers is a polynomial in z with z^N = i. It is split
 * by
 *
 *     z^n - c  =  (z^(n/2) - s) (z^(n/2) + s),        s = sqrt(c)
 *     a[j], b[j]  ->  a[j] + s b[j],  a[j] - s b[j]   (b: the upper half)
 *
 * until what is left is linear in z; there, the product with the filter is taken, and
 * the splits are undone in reverse order: merge. s is one number for a whole group of
 * rows. With z^N = i a block of 2N real numbers x needs no transform of its own: it is
 * the N complex numbers x[n] + i x[n + N], and z^(2N) = -1, a circle that changes sign
 * where it closes. All data may use this ring, complex data and the second axis of
 * images too: what wraps around is thrown away by whoever convolves.
 *
 * Layout. Element n is lane n % LANES of row n / LANES; a row is two vectors, re and
 * im:
 *
 *     row 0   re re re re | im im im im
 *     row 1   re re re re | im im im im      splits over rows are vertical: one broadcast s
 *      ...
 *     row r                                  after them row r is a polynomial of LANES terms
 *                                            of its own, z^LANES = c(r)
 *
 * Leaves. The last FFT_LEAF rows of a group are split, then transposed in registers as
 * units of two lanes, FFT_UNITS rows at a time, split over the units, multiplied by the
 * spectrum as pairs (a0 + a1 z)(h0 + h1 z) mod z^2 - c, merged, transposed and merged
 * again, all in one go: rows are read and written once. Groups are done depth first, so
 * that large transforms go through the caches as often as their size asks for and no
 * oftener.
 *
 * A split costs 6 fma: t = b (1 + i tan), then a +- cos t.
 *
 * Registers: 2 * FFT_LEAF rows + a twiddle and two sums = 20 of 32 (AVX-512, NEON:
 * leaves of 8 rows), 12 of 16 (AVX2, v2: leaves of 4).
 *
 * One axis (conv_fft_signal.inc): rows = N / LANES, FFT_LEAF times 2^a, 3 2^a, 5 2^a, not 1;
 * 5 only where there are 32 registers.
 *
 *     fft_fill_scalars(rows, 0.25, scalars)   fft_scalars_count(rows) reals, aligned
 *     fft_fill_lanes(rows, lanes)             fft_lanes_count(rows) reals, aligned
 *     fft_spectrum(f, from, scale, spectrum, sizes)   of rows of the filter from anywhere
 *     fft_first(f, from, rows)                splits rows from anywhere into the buffer
 *     fft_inside(f, rows, spectrum)           all other splits, the product, most merges
 *     fft_last(f, rows, to)                   the last merge, to anywhere
 *
 * Two axes: a tile of P image rows of 2N pixels, M = N / LANES vectors of columns.
 * Split over the M vector columns first (fft_split_rows: j counts image rows, i vector
 * columns), so that column m holds polynomials with z^LANES = c(m), the same for all P
 * rows. Keep each column as P rows side by side and convolve it over P by fft_first,
 * fft_inside, fft_last, with one lane table for all of its leaves (fft_fill_lanes_of,
 * lane_step 0). Merge the M columns at last.
 */
#ifndef CONVKIT_FFT_H
#define CONVKIT_FFT_H
#include <math.h>
#include "core.h"
#include "vec.h"

typedef struct cvec {
    vec re, im;
} cvec;

enum {
    FFT_UNITS = LANES / 2,           /* pairs of lanes in a vector */
    FFT_LEAF = VEC_WIDE ? 8 : 4,     /* rows of a leaf: what the registers hold */
    FFT_MOST = FFT_LEAF,             /* the largest radix */
    FFT_ROW = 2 * LANES,             /* reals in a row: re, im */
    /* Scalars of a split and its merge: cos and tan of s, u, v, v'; cos and sin of the powers
     * of v. */
    FFT_MERGE = FFT_MOST,
    FFT_NODE = FFT_MERGE + 2 * FFT_MOST,
    /* By lane, for FFT_UNITS rows: cos and tan of s, u, v, v'. */
    FFT_LANE_TWIDDLES = FFT_UNITS == 8 ? 4 : FFT_UNITS == 4 ? 2 : 1,
    FFT_LANE_GROUP = 2 * FFT_LANE_TWIDDLES * LANES,
    FFT_PRODUCT = 4 * LANES          /* reals of the spectrum of a row */
};

/* ---- splitting and merging ----------------------------------------------- */

/* cos (1 + i tan): a twiddle whose real part is never 0. */
typedef struct twiddle {
    vec cos, tan;
} twiddle;

/* Number i of a node, one for all lanes, or of a lane group. */
CK_INLINE twiddle fft_twiddle(const real *p, const int i, const int by_lane)
{
    p += 2 * i * (by_lane ? LANES : 1);
    return by_lane ? (twiddle){vec_load(p), vec_load(p + LANES)}
                   : (twiddle){vec_set1(p[0]), vec_set1(p[1])};
}
CK_INLINE cvec fft_load(const real *re, const real *im)
{
    cvec v = {vec_load(re), vec_load(im)};
    vec_pin(v.re); /* used four times: a load folded into each would be four */
    vec_pin(v.im);
    return v;
}
CK_INLINE void fft_store(real *row, cvec v)
{
    vec_store(row, v.re);
    vec_store(row + LANES, v.im);
}

/* a + w b and a - w b; quarter: i w instead of w. */
CK_INLINE void fft_split2(cvec *a, cvec *b, twiddle w, const int quarter)
{
    const cvec p = *a, t = {b->re - w.tan * b->im, b->im + w.tan * b->re};
    if (quarter) {
        *a = (cvec){p.re - w.cos * t.im, p.im + w.cos * t.re};
        *b = (cvec){p.re + w.cos * t.im, p.im - w.cos * t.re};
    } else {
        *a = (cvec){p.re + w.cos * t.re, p.im + w.cos * t.im};
        *b = (cvec){p.re - w.cos * t.re, p.im - w.cos * t.im};
    }
}

/* The reverse of a split without its twiddle, twice what was split. */
CK_INLINE void fft_merge2(cvec *a, cvec *b, const int quarter)
{
    const cvec p = *a, q = *b;
    *a = (cvec){p.re + q.re, p.im + q.im};
    *b = quarter ? (cvec){p.im - q.im, q.re - p.re} : (cvec){p.re - q.re, p.im - q.im};
}

/* Two levels: z^4 - c by s = sqrt(c) (or i s), then by u = sqrt(s) and i u. */
CK_INLINE void fft_split4(cvec x[4], twiddle s, twiddle u, const int quarter)
{
    fft_split2(&x[0], &x[2], s, quarter);
    fft_split2(&x[1], &x[3], s, quarter);
    fft_split2(&x[0], &x[1], u, 0);
    fft_split2(&x[2], &x[3], u, 1);
}
CK_INLINE void fft_merge4(cvec x[4], const int quarter)
{
    fft_merge2(&x[0], &x[1], 0);
    fft_merge2(&x[2], &x[3], 1);
    fft_merge2(&x[0], &x[2], quarter);
    fft_merge2(&x[1], &x[3], quarter);
}

/* a + e (1 - i) / sqrt(2) and a - the same. */
CK_INLINE void fft_merge8th(cvec *a, cvec *e)
{
    const vec root = vec_set1((real)0.70710678118654752440);
    const cvec p = *a, q = {e->re + e->im, e->im - e->re};
    *a = (cvec){p.re + root * q.re, p.im + root * q.im};
    *e = (cvec){p.re - root * q.re, p.im - root * q.im};
}

/* Radix 3 and 5 of x[k] v^k, without these: transforms of sign +1 (split) or -1 (merge). */
CK_INLINE void fft_three(cvec x[3], const int sign)
{
    const vec half = vec_set1((real)-0.5);
    const vec root = vec_set1((real)(sign * 0.86602540378443864676));
    const cvec s = {x[1].re + x[2].re, x[1].im + x[2].im};
    const cvec d = {x[1].re - x[2].re, x[1].im - x[2].im};
    const cvec m = {x[0].re + half * s.re, x[0].im + half * s.im};
    x[0] = (cvec){x[0].re + s.re, x[0].im + s.im};
    x[1] = (cvec){m.re - root * d.im, m.im + root * d.re};
    x[2] = (cvec){m.re + root * d.im, m.im - root * d.re};
}
CK_INLINE void fft_five(cvec x[5], const int sign)
{
    const vec c1 = vec_set1((real)0.30901699437494742410);
    const vec c2 = vec_set1((real)-0.80901699437494742410);
    const vec s1 = vec_set1((real)(sign * 0.95105651629515357212));
    const vec s2 = vec_set1((real)(sign * 0.58778525229247312917));
    const cvec a = {x[1].re + x[4].re, x[1].im + x[4].im};
    const cvec b = {x[2].re + x[3].re, x[2].im + x[3].im};
    const cvec d = {x[1].re - x[4].re, x[1].im - x[4].im};
    const cvec e = {x[2].re - x[3].re, x[2].im - x[3].im};
    const cvec m = {x[0].re + c1 * a.re + c2 * b.re, x[0].im + c1 * a.im + c2 * b.im};
    const cvec n = {x[0].re + c2 * a.re + c1 * b.re, x[0].im + c2 * a.im + c1 * b.im};
    const cvec p = {s1 * d.re + s2 * e.re, s1 * d.im + s2 * e.im};
    const cvec q = {s2 * d.re - s1 * e.re, s2 * d.im - s1 * e.im};
    x[0] = (cvec){x[0].re + a.re + b.re, x[0].im + a.im + b.im};
    x[1] = (cvec){m.re - p.im, m.im + p.re};
    x[4] = (cvec){m.re + p.im, m.im - p.re};
    x[2] = (cvec){n.re - q.im, n.im + q.re};
    x[3] = (cvec){n.re + q.im, n.im - q.re};
}

/* Times conj(v)^k, or v^k. */
CK_INLINE void fft_turn(cvec *x, const real *w, const int k, const int forward)
{
    const cvec p = *x;
    const real *at = w + FFT_MERGE + 2 * (k - 1);
    const vec c = vec_set1(at[0]), s = vec_set1(at[1]);
    *x = forward ? (cvec){p.re * c - p.im * s, p.im * c + p.re * s}
                 : (cvec){p.re * c + p.im * s, p.im * c - p.re * s};
}

/* `radix` 1, 2, 3, 4, 5 or 8. Twiddles: s, u = sqrt(s), v = sqrt(u), v' = sqrt(i u), as far as
 * needed, each read just before its use. */
CK_INLINE void fft_split(cvec x[], const real *w, const int radix, const int by_lane)
{
    if (radix == 1) return;
    if (radix == 3 || radix == 5) {
        CK_UNROLL for (int k = 1; k < radix; k++) fft_turn(&x[k], w, k, 1);
        if (radix == 3) fft_three(x, 1);
        if (radix == 5) fft_five(x, 1);
        return;
    }
    const twiddle s = fft_twiddle(w, 0, by_lane);
    if (radix == 2) fft_split2(&x[0], &x[1], s, 0);
    if (radix == 4) fft_split4(x, s, fft_twiddle(w, 1, by_lane), 0);
    if (radix == 8) {
        CK_UNROLL for (int i = 0; i < 4; i++) fft_split2(&x[i], &x[i + 4], s, 0);
        const twiddle u = fft_twiddle(w, 1, by_lane);
        fft_split4(x, u, fft_twiddle(w, 2, by_lane), 0);
        fft_split4(x + 4, u, fft_twiddle(w, 3, by_lane), 1);
    }
}
/* All rings' parts merged as if their twiddles were 1, then times conj(v)^k, v = c^(1 / radix). */
CK_INLINE void fft_merge(cvec x[], const real *w, const int radix)
{
    if (radix == 2) fft_merge2(&x[0], &x[1], 0);
    if (radix == 3) fft_three(x, -1);
    if (radix == 4) fft_merge4(x, 0);
    if (radix == 5) fft_five(x, -1);
    if (radix == 8) {
        fft_merge4(x, 0);
        fft_merge4(x + 4, 1);
        fft_merge2(&x[0], &x[4], 0);
        fft_merge2(&x[2], &x[6], 0);
        fft_merge8th(&x[1], &x[5]);
        fft_merge8th(&x[3], &x[7]);
    }
    CK_UNROLL for (int k = 1; k < radix; k++) fft_turn(&x[k], w, k, 0);
}

/* The same by lane, level by level with the twiddles of the splits: 16 % more operations in a
 * radix of 8, but a third of the table. */
CK_INLINE void fft_back(cvec *x, twiddle w)
{
    const cvec p = *x;
    *x = (cvec){w.cos * (p.re + w.tan * p.im), w.cos * (p.im - w.tan * p.re)};
}
CK_INLINE void fft_merge4_lanes(cvec x[4], const int quarter, twiddle s, twiddle u)
{
    fft_merge2(&x[0], &x[1], 0);
    fft_merge2(&x[2], &x[3], 1);
    fft_back(&x[1], u);
    fft_back(&x[3], u);
    fft_merge2(&x[0], &x[2], quarter);
    fft_merge2(&x[1], &x[3], quarter);
    fft_back(&x[2], s);
    fft_back(&x[3], s);
}
CK_INLINE void fft_merge_lanes(cvec x[], const real *w, const int radix)
{
    if (radix == 1) return;
    const twiddle s = fft_twiddle(w, 0, 1);
    if (radix == 2) {
        fft_merge2(&x[0], &x[1], 0);
        fft_back(&x[1], s);
        return;
    }
    const twiddle u = fft_twiddle(w, 1, 1);
    if (radix == 4) fft_merge4_lanes(x, 0, s, u);
    if (radix == 8) {
        fft_merge4_lanes(x, 0, u, fft_twiddle(w, 2, 1));
        fft_merge4_lanes(x + 4, 1, u, fft_twiddle(w, 3, 1));
        CK_UNROLL for (int i = 0; i < 4; i++) {
            fft_merge2(&x[i], &x[i + 4], 0);
            fft_back(&x[i + 4], s);
        }
    }
}

/* ---- tables --------------------------------------------------------------- */

/* The radix by which `rows` rows are split first: small ones come first, where most rows share a
 * call, FFT_LEAF is the last, or all where there are no more rows. */
static inline int64_t fft_radix(int64_t rows)
{
    if (rows % 3 == 0) return 3;
    if (rows % 5 == 0) return 5;
    if (rows <= FFT_LEAF) return rows;
    const int levels = __builtin_ctzll((uint64_t)(rows / FFT_LEAF));
    if (FFT_MOST == 8) return levels == 1 ? 2 : levels % 3 ? 4 : 8;
    return levels % 2 ? 2 : 4;
}

/* Angles are in turns; those of a ring lie in (-1/2, 1/2), so that of s in (-1/4, 1/4). */
static inline double fft_wrap(double turns) { return turns - rint(turns); }

typedef struct fft_angle {
    double cos, sin;
} fft_angle;
/* From an angle of at most an eighth of a turn. */
static inline fft_angle fft_angle_of(double turns)
{
    const double two_pi = 6.283185307179586476925, wrapped = fft_wrap(turns);
    const double size = fabs(wrapped), fold = size > 0.25 ? 0.5 - size : size; /* 0 ... 1/4 */
    const int steep = fold > 0.125;
    const double part = two_pi * (steep ? 0.25 - fold : fold);
    const double c = steep ? sin(part) : cos(part), s = steep ? cos(part) : sin(part);
    return (fft_angle){size > 0.25 ? -c : c, wrapped < 0 ? -s : s};
}

/* Twiddle number i of 4 of a ring with z^n = c, c of the angle `turns`: s, u, v, v'. */
static inline double fft_turns(double turns, int i)
{
    return i == 0 ? turns / 2 : i == 1 ? turns / 4 : i == 2 ? turns / 8 : turns / 8 + 0.125;
}

/* The ring of part `part` of `radix`. */
static inline double fft_part(double turns, int64_t radix, int64_t part)
{
    if (radix % 2) return fft_wrap((turns + (double)part) / (double)radix);
    for (int64_t bit = radix / 2; bit; bit /= 2) turns = turns / 2 + (part & bit ? 0.5 : 0);
    return fft_wrap(turns);
}

/* The ring of row `row` of `rows`, all splits done, that were a ring of angle `turns`. */
static inline double fft_row(int64_t rows, int64_t row, double turns)
{
    while (rows > 1) {
        const int64_t radix = fft_radix(rows);
        rows /= radix;
        turns = fft_part(turns, radix, row / rows);
        row %= rows;
    }
    return turns;
}

/* Scalars: FFT_NODE for every group of every stage, the groups of a stage side by side. */
static inline int64_t fft_scalars_count(int64_t rows)
{
    int64_t nodes = 0;
    for (int64_t groups = 1; rows > 1;) {
        const int64_t radix = fft_radix(rows);
        nodes += groups;
        groups *= radix;
        rows /= radix;
    }
    return nodes * FFT_NODE;
}

/* ring: the angle of c, 0.25 for z^rows = i. */
static inline void fft_fill_scalars(int64_t rows, double ring, real *scalars)
{
    int64_t at = 0;
    for (int64_t size = rows; size > 1; size /= fft_radix(size))
        for (int64_t first = 0; first < rows; first += size, at += FFT_NODE) {
            double turns = ring;
            for (int64_t left = rows, row = first; left > size;) {
                const int64_t radix = fft_radix(left);
                left /= radix;
                turns = fft_part(turns, radix, row / left);
                row %= left;
            }
            real *node = &scalars[at];
            for (int i = 0; i < FFT_MERGE / 2; i++) {
                const fft_angle w = fft_angle_of(fft_turns(turns, i));
                node[2 * i] = (real)w.cos;
                node[2 * i + 1] = (real)(w.sin / w.cos);
            }
            const int64_t radix = fft_radix(size);
            for (int k = 1; k < radix; k++) {
                const fft_angle w = fft_angle_of(turns * k / (double)radix);
                node[FFT_MERGE + 2 * (k - 1)] = (real)w.cos;
                node[FFT_MERGE + 2 * (k - 1) + 1] = (real)w.sin;
            }
        }
}

/* The table of the lanes of FFT_UNITS rows that have the rings turns[0], turns[step], ... */
static inline void fft_fill_pair(real *lanes, int unit, double c, double other)
{
    lanes[2 * unit] = lanes[2 * unit + 1] = (real)c;
    lanes[LANES + 2 * unit] = lanes[LANES + 2 * unit + 1] = (real)other;
}
static inline void fft_fill_lanes_of(const double *turns, int step, real *lanes)
{
    for (int unit = 0; unit < FFT_UNITS; unit++) {
        const double ring = turns[unit * step];
        for (int i = 0; i < FFT_LANE_TWIDDLES; i++) {
            /* One unit: nothing to split, but the ring itself is needed. */
            const fft_angle w = fft_angle_of(FFT_UNITS == 1 ? ring : fft_turns(ring, i));
            fft_fill_pair(lanes + 2 * i * LANES, unit, w.cos, w.sin / w.cos);
        }
    }
}

/* The tables of all rows of a transform: rows / FFT_UNITS times FFT_LANE_GROUP. */
static inline int64_t fft_lanes_count(int64_t rows) { return rows / FFT_UNITS * FFT_LANE_GROUP; }
static inline void fft_fill_lanes(int64_t rows, real *lanes)
{
    for (int64_t row = 0; row < rows; row += FFT_UNITS, lanes += FFT_LANE_GROUP) {
        double turns[FFT_UNITS];
        for (int i = 0; i < FFT_UNITS; i++) turns[i] = fft_row(rows, row + i, 0.25);
        fft_fill_lanes_of(turns, 1, lanes);
    }
}

/* ---- stages over rows ------------------------------------------------------ */

/* Where a stage finds or puts its rows: row i (of `radix`) of butterfly j stands at
 * j * step + i * apart, re and im each from their own pointer on. */
typedef struct fft_rows {
    real *re, *im;
    int64_t step, apart;
} fft_rows;
/* `count` rows side by side in a buffer, row j, j + count / radix, ... in one butterfly. */
static inline fft_rows fft_buffer(real *rows, int64_t count, int64_t radix)
{
    return (fft_rows){rows, rows + LANES, FFT_ROW, count / radix * FFT_ROW};
}

/* Hides from the compiler what a register holds. Of twiddles it then loads what it needs in every
 * round, where it would keep eight of them besides eight rows, and spill; of rows it keeps one
 * address, where it would keep one for each. */
#define FFT_OPAQUE(p) __asm__("" : "+r"(p))

/* The rows of one butterfly: the addresses of the first, and the multiples of `apart` in bytes that
 * an address of x86 can be made of with a factor of 1, 2 or 4. */
typedef struct fft_reach {
    char *re, *im;
    int64_t step, odd[4]; /* 1, 3, 5, 7 */
} fft_reach;
CK_INLINE fft_reach fft_reach_of(fft_rows rows, const int radix)
{
    fft_reach r = {(char *)rows.re, (char *)rows.im, rows.step * (int64_t)sizeof(real), {0}};
    CK_UNROLL for (int i = 0; 2 * i + 1 < radix; i++) {
        r.odd[i] = (2 * i + 1) * rows.apart * (int64_t)sizeof(real);
        FFT_OPAQUE(r.odd[i]);
    }
    return r;
}
CK_INLINE int64_t fft_offset(const fft_reach *r, const int i)
{
    return i & 1 ? r->odd[i / 2] : i == 6 ? 2 * r->odd[1] : i * r->odd[0];
}
CK_INLINE cvec fft_load_at(const fft_reach *r, const int i)
{
    const int64_t at = fft_offset(r, i);
    return fft_load((const real *)(r->re + at), (const real *)(r->im + at));
}
CK_INLINE void fft_next(fft_reach *r)
{
    r->re += r->step;
    r->im += r->step;
    FFT_OPAQUE(r->re);
    FFT_OPAQUE(r->im);
}

/* `count` butterflies; node: the scalars of the ring they split. */
CK_INLINE void fft_split_rows_(fft_rows from, fft_rows to, int64_t count, const real *node,
                               const int radix)
{
    fft_reach in = fft_reach_of(from, radix), out = fft_reach_of(to, radix);
    CK_ROLLED for (int64_t j = 0; j < count; j++) {
        cvec x[FFT_MOST];
        if (radix == 8) FFT_OPAQUE(node);
        CK_UNROLL for (int i = 0; i < radix; i++) x[i] = fft_load_at(&in, i);
        fft_split(x, node, radix, 0);
        CK_UNROLL for (int i = 0; i < radix; i++) {
            vec_store((real *)(out.re + fft_offset(&out, i)), x[i].re);
            vec_store((real *)(out.im + fft_offset(&out, i)), x[i].im);
        }
        fft_next(&in);
        fft_next(&out);
    }
}
CK_INLINE void fft_merge_rows_(fft_rows from, fft_rows to, int64_t count, const real *node,
                               const int radix)
{
    fft_reach in = fft_reach_of(from, radix), out = fft_reach_of(to, radix);
    CK_ROLLED for (int64_t j = 0; j < count; j++) {
        cvec x[FFT_MOST];
        if (radix == 8) FFT_OPAQUE(node);
        CK_UNROLL for (int i = 0; i < radix; i++) x[i] = fft_load_at(&in, i);
        fft_merge(x, node, radix);
        CK_UNROLL for (int i = 0; i < radix; i++) {
            vec_store((real *)(out.re + fft_offset(&out, i)), x[i].re);
            vec_store((real *)(out.im + fft_offset(&out, i)), x[i].im);
        }
        fft_next(&in);
        fft_next(&out);
    }
}

/* Merge rows of which only the first `re_rows` and `im_rows` are wanted. The others go over what has
 * been read (to.step is no more than from.step), so that the loop over butterflies has no
 * branches; it is begun anew where a row becomes unwanted. Answers zeros if all is finite, else
 * a NaN in some lane. */
CK_INLINE vec fft_merge_some_(fft_rows from, fft_rows to, int64_t count, const real *node,
                              int64_t re_rows, int64_t im_rows, const int radix)
{
    fft_reach in = fft_reach_of(from, radix);
    vec re_check = {0}, im_check = {0};
    for (int64_t begin = 0, end; begin < count; begin = end) {
        real *re[FFT_MOST], *im[FFT_MOST];
        end = count;
        for (int i = 0; i < radix; i++) {
            const int64_t row = begin + i * count, out = begin * to.step;
            re[i] = out + (row < re_rows ? to.re + i * to.apart : from.re + i * from.apart);
            im[i] = out + (row < im_rows ? to.im + i * to.apart : from.im + i * from.apart);
            if (row < re_rows && re_rows - i * count < end) end = re_rows - i * count;
            if (row < im_rows && im_rows - i * count < end) end = im_rows - i * count;
        }
        CK_ROLLED for (int64_t j = 0; j < end - begin; j++) {
            cvec x[FFT_MOST];
            if (radix == 8) FFT_OPAQUE(node);
            CK_UNROLL for (int i = 0; i < radix; i++) x[i] = fft_load_at(&in, i);
            fft_merge(x, node, radix);
            CK_UNROLL for (int i = 0; i < radix; i++) {
                vec_store(re[i] + j * to.step, x[i].re);
                vec_store(im[i] + j * to.step, x[i].im);
                re_check += x[i].re * vec_set1(0);
                im_check += x[i].im * vec_set1(0);
            }
            fft_next(&in);
        }
    }
    return re_check + im_check;
}
CK_APART void fft_split_by2(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_split_rows_(from, to, count, node, 2);
}
CK_APART void fft_split_by3(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_split_rows_(from, to, count, node, 3);
}
CK_APART void fft_split_by4(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_split_rows_(from, to, count, node, 4);
}
CK_APART void fft_merge_by2(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_merge_rows_(from, to, count, node, 2);
}
CK_APART void fft_merge_by3(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_merge_rows_(from, to, count, node, 3);
}
CK_APART void fft_merge_by4(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_merge_rows_(from, to, count, node, 4);
}
#if VEC_WIDE
CK_APART void fft_split_by5(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_split_rows_(from, to, count, node, 5);
}
CK_APART void fft_split_by8(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_split_rows_(from, to, count, node, 8);
}
CK_APART void fft_merge_by5(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_merge_rows_(from, to, count, node, 5);
}
CK_APART void fft_merge_by8(fft_rows from, fft_rows to, int64_t count, const real *node)
{
    fft_merge_rows_(from, to, count, node, 8);
}
#endif

/* One stage, from anywhere to anywhere or in place. */
static inline void fft_split_rows(fft_rows from, fft_rows to, int64_t count, int64_t radix,
                                  const real *node)
{
    switch (radix) {
    case 2: fft_split_by2(from, to, count, node); break;
    case 3: fft_split_by3(from, to, count, node); break;
    case 4: fft_split_by4(from, to, count, node); break;
#if VEC_WIDE
    case 5: fft_split_by5(from, to, count, node); break;
    case 8: fft_split_by8(from, to, count, node); break;
#endif
    default: break;
    }
}
static inline void fft_merge_rows(fft_rows from, fft_rows to, int64_t count, int64_t radix,
                                  const real *node)
{
    switch (radix) {
    case 2: fft_merge_by2(from, to, count, node); break;
    case 3: fft_merge_by3(from, to, count, node); break;
    case 4: fft_merge_by4(from, to, count, node); break;
#if VEC_WIDE
    case 5: fft_merge_by5(from, to, count, node); break;
    case 8: fft_merge_by8(from, to, count, node); break;
#endif
    default: break;
    }
}

/* As fft_merge_rows, of which only some rows are wanted. */
CK_APART vec fft_some_by2(fft_rows from, fft_rows to, int64_t count, const real *node,
                          int64_t re_rows, int64_t im_rows)
{
    return fft_merge_some_(from, to, count, node, re_rows, im_rows, 2);
}
CK_APART vec fft_some_by3(fft_rows from, fft_rows to, int64_t count, const real *node,
                          int64_t re_rows, int64_t im_rows)
{
    return fft_merge_some_(from, to, count, node, re_rows, im_rows, 3);
}
CK_APART vec fft_some_by4(fft_rows from, fft_rows to, int64_t count, const real *node,
                          int64_t re_rows, int64_t im_rows)
{
    return fft_merge_some_(from, to, count, node, re_rows, im_rows, 4);
}
#if VEC_WIDE
CK_APART vec fft_some_by5(fft_rows from, fft_rows to, int64_t count, const real *node,
                          int64_t re_rows, int64_t im_rows)
{
    return fft_merge_some_(from, to, count, node, re_rows, im_rows, 5);
}
CK_APART vec fft_some_by8(fft_rows from, fft_rows to, int64_t count, const real *node,
                          int64_t re_rows, int64_t im_rows)
{
    return fft_merge_some_(from, to, count, node, re_rows, im_rows, 8);
}
#endif
static inline vec fft_merge_some(fft_rows from, fft_rows to, int64_t count, int64_t radix,
                                 const real *node, int64_t re_rows, int64_t im_rows)
{
    switch (radix) {
    case 2: return fft_some_by2(from, to, count, node, re_rows, im_rows);
    case 3: return fft_some_by3(from, to, count, node, re_rows, im_rows);
    case 4: return fft_some_by4(from, to, count, node, re_rows, im_rows);
#if VEC_WIDE
    case 5: return fft_some_by5(from, to, count, node, re_rows, im_rows);
    case 8: return fft_some_by8(from, to, count, node, re_rows, im_rows);
#endif
    default: return (vec){0};
    }
}
static inline int fft_is_finite(vec check)
{
    int finite = 1;
    for (int i = 0; i < LANES; i++) finite &= check[i] == 0;
    return finite;
}

/* ---- leaves ---------------------------------------------------------------- */

/* Shuffles move units of 8 bytes, whatever an element is; their numbers are written out,
 * since gcc builds those that it has to compute lane by lane. */
typedef double fft_eights __attribute__((vector_size(VEC_BYTES)));
typedef int64_t fft_eights_bits __attribute__((vector_size(VEC_BYTES)));
typedef float fft_fours __attribute__((vector_size(VEC_BYTES)));
typedef int32_t fft_fours_bits __attribute__((vector_size(VEC_BYTES)));
#if defined(__clang__)
#define FFT_SHUFFLE(type, a, b, ...) \
    (vec)__builtin_shufflevector((type)(a), (type)(b), __VA_ARGS__)
#else
#define FFT_SHUFFLE(type, a, b, ...) \
    (vec)__builtin_shuffle((type)(a), (type)(b), (type##_bits){__VA_ARGS__})
#endif

/* The lanes of every pair change places; pairs of 8 bytes of two rows, of 16 bytes of two rows. */
#if defined(__AVX512F__)
CK_INLINE vec fft_swap4(vec v)
{
    return FFT_SHUFFLE(fft_fours, v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
}
CK_INLINE vec fft_swap8(vec v) { return FFT_SHUFFLE(fft_eights, v, v, 1, 0, 3, 2, 5, 4, 7, 6); }
CK_INLINE void fft_cross8(vec *a, vec *b)
{
    const vec low = FFT_SHUFFLE(fft_eights, *a, *b, 0, 8, 2, 10, 4, 12, 6, 14);
    *b = FFT_SHUFFLE(fft_eights, *a, *b, 1, 9, 3, 11, 5, 13, 7, 15);
    *a = low;
}
CK_INLINE void fft_sort16(vec *a, vec *b) /* the even units of both, the odd units of both */
{
    const vec even = FFT_SHUFFLE(fft_eights, *a, *b, 0, 1, 4, 5, 8, 9, 12, 13);
    *b = FFT_SHUFFLE(fft_eights, *a, *b, 2, 3, 6, 7, 10, 11, 14, 15);
    *a = even;
}
/* 4 x 4 units of 16 bytes. */
CK_INLINE void fft_cross16(vec *a, vec *b, vec *c, vec *d)
{
    fft_sort16(a, b); /* a0 a2 b0 b2 | a1 a3 b1 b3 */
    fft_sort16(c, d);
    fft_sort16(a, c); /* a0 b0 c0 d0 | a2 b2 c2 d2 */
    fft_sort16(b, d); /* a1 b1 c1 d1 | a3 b3 c3 d3 */
}
CK_INLINE void fft_transpose(vec r[FFT_UNITS])
{
    if (FFT_UNITS == 8) {
        CK_UNROLL for (int i = 0; i < FFT_UNITS; i += 2) fft_cross8(&r[i], &r[i + 1]);
        fft_cross16(&r[0], &r[2], &r[4 % FFT_UNITS], &r[6 % FFT_UNITS]);
        fft_cross16(&r[1], &r[3], &r[5 % FFT_UNITS], &r[7 % FFT_UNITS]);
    } else {
        fft_cross16(&r[0], &r[1], &r[2], &r[3]);
    }
}
#elif defined(__AVX2__)
CK_INLINE vec fft_swap4(vec v) { return FFT_SHUFFLE(fft_fours, v, v, 1, 0, 3, 2, 5, 4, 7, 6); }
CK_INLINE vec fft_swap8(vec v) { return FFT_SHUFFLE(fft_eights, v, v, 1, 0, 3, 2); }
CK_INLINE void fft_cross8(vec *a, vec *b)
{
    const vec low = FFT_SHUFFLE(fft_eights, *a, *b, 0, 4, 2, 6);
    *b = FFT_SHUFFLE(fft_eights, *a, *b, 1, 5, 3, 7);
    *a = low;
}
CK_INLINE void fft_cross16(vec *a, vec *b)
{
    const vec low = FFT_SHUFFLE(fft_eights, *a, *b, 0, 1, 4, 5);
    *b = FFT_SHUFFLE(fft_eights, *a, *b, 2, 3, 6, 7);
    *a = low;
}
CK_INLINE void fft_transpose(vec r[FFT_UNITS])
{
    if (FFT_UNITS == 4) {
        fft_cross8(&r[0], &r[1]);
        fft_cross8(&r[2 % FFT_UNITS], &r[3 % FFT_UNITS]);
        fft_cross16(&r[0], &r[2 % FFT_UNITS]);
        fft_cross16(&r[1], &r[3 % FFT_UNITS]);
    } else {
        fft_cross16(&r[0], &r[1]);
    }
}
#else
CK_INLINE vec fft_swap4(vec v) { return FFT_SHUFFLE(fft_fours, v, v, 1, 0, 3, 2); }
CK_INLINE vec fft_swap8(vec v) { return FFT_SHUFFLE(fft_eights, v, v, 1, 0); }
CK_INLINE void fft_transpose(vec r[FFT_UNITS])
{
    if (FFT_UNITS == 1) return;
    const vec low = FFT_SHUFFLE(fft_eights, r[0], r[FFT_UNITS - 1], 0, 2);
    r[FFT_UNITS - 1] = FFT_SHUFFLE(fft_eights, r[0], r[FFT_UNITS - 1], 1, 3);
    r[0] = low;
}
#endif
CK_INLINE vec fft_swap(vec v) { return sizeof(real) == 4 ? fft_swap4(v) : fft_swap8(v); }

CK_INLINE void fft_transpose_rows(cvec x[FFT_UNITS])
{
    vec part[FFT_UNITS];
    CK_UNROLL for (int i = 0; i < FFT_UNITS; i++) part[i] = x[i].re;
    fft_transpose(part);
    CK_UNROLL for (int i = 0; i < FFT_UNITS; i++) x[i].re = part[i];
    CK_UNROLL for (int i = 0; i < FFT_UNITS; i++) part[i] = x[i].im;
    fft_transpose(part);
    CK_UNROLL for (int i = 0; i < FFT_UNITS; i++) x[i].im = part[i];
}

/* Rows to units, and split these; w: their table. */
CK_INLINE void fft_lanes_in(cvec x[FFT_UNITS], const real *w)
{
    fft_transpose_rows(x);
    fft_split(x, w, FFT_UNITS, 1);
}
CK_INLINE void fft_lanes_out(cvec x[FFT_UNITS], const real *w)
{
    fft_merge_lanes(x, w, FFT_UNITS);
    fft_transpose_rows(x);
}

/* (x0 + x1 z)(h0 + h1 z) mod z^2 - c; h: h0 in both lanes, then c h1 and h1. */
CK_INLINE cvec fft_product(cvec x, const real *h)
{
    const cvec s = {fft_swap(x.re), fft_swap(x.im)};
    const vec re = x.re * vec_load(h) - x.im * vec_load(h + LANES);
    const vec im = x.re * vec_load(h + LANES) + x.im * vec_load(h);
    return (cvec){
        re + s.re * vec_load(h + 2 * LANES) - s.im * vec_load(h + 3 * LANES),
        im + s.re * vec_load(h + 3 * LANES) + s.im * vec_load(h + 2 * LANES),
    };
}

CK_INLINE void fft_leaf_in(const real *rows, const real *node, const real *lanes, int64_t lane_step,
                           cvec x[FFT_LEAF])
{
    CK_UNROLL for (int i = 0; i < FFT_LEAF; i++)
        x[i] = fft_load(rows + i * FFT_ROW, rows + i * FFT_ROW + LANES);
    fft_split(x, node, FFT_LEAF, 0);
    CK_UNROLL for (int i = 0; i < FFT_LEAF; i += FFT_UNITS)
        fft_lanes_in(x + i, lanes + i / FFT_UNITS * lane_step);
}

/* `count` leaves, one after the other. lane_step: from the table of FFT_UNITS rows to that of
 * the next, FFT_LANE_GROUP, or 0 where all rows have the same ring. */
CK_APART void fft_leaves(real *rows, int64_t count, const real *node, const real *lanes,
                         int64_t lane_step, const real *spectrum)
{
    CK_ROLLED for (int64_t leaf = 0; leaf < count; leaf++) {
        cvec x[FFT_LEAF];
        fft_leaf_in(rows, node, lanes, lane_step, x);
        CK_UNROLL for (int i = 0; i < FFT_LEAF; i++)
            x[i] = fft_product(x[i], spectrum + i * FFT_PRODUCT);
        CK_UNROLL for (int i = 0; i < FFT_LEAF; i += FFT_UNITS)
            fft_lanes_out(x + i, lanes + i / FFT_UNITS * lane_step);
        fft_merge(x, node, FFT_LEAF);
        CK_UNROLL for (int i = 0; i < FFT_LEAF; i++) fft_store(rows + i * FFT_ROW, x[i]);
        rows += FFT_LEAF * FFT_ROW;
        node += FFT_NODE;
        lanes += FFT_LEAF / FFT_UNITS * lane_step;
        spectrum += FFT_LEAF * FFT_PRODUCT;
    }
}

/* Of the numbers of a spectrum: what they are multiplied by; zeros if all are finite, else a NaN;
 * the largest of every lane. */
typedef struct fft_sizes {
    vec check, most;
    real scale;
} fft_sizes;
CK_INLINE void fft_see(fft_sizes *sizes, vec v)
{
    const vec size = vec_select(v < vec_set1(0), -v, v);
    sizes->most = vec_select(size > sizes->most, size, sizes->most);
    sizes->check += v * vec_set1(0);
}

/* Even lanes of a, odd lanes of b. */
CK_INLINE vec fft_mix(vec a, vec b)
{
    vec_bits odd = {0};
    for (int lane = 1; lane < LANES; lane += 2) odd[lane] = -1;
    return vec_select(odd, b, a);
}

/* A row of a filter, h0 + h1 z in pairs of lanes, as fft_product reads it. w: the last twiddle of
 * its lanes; the ring of row `unit` is +-w or +-i w. */
CK_INLINE void fft_spread(const real *row, twiddle w, const int unit, real *to, fft_sizes *sizes)
{
    const vec scale = vec_set1(sizes->scale);
    const cvec h = {scale * vec_load(row), scale * vec_load(row + LANES)};
    cvec c = {w.cos, w.cos * w.tan};
    if (unit & 2) c = (cvec){-c.im, c.re};
    if (unit & 1) c = (cvec){-c.re, -c.im};
    const cvec ch = {c.re * h.re - c.im * h.im, c.re * h.im + c.im * h.re};
    vec_store(to, fft_mix(h.re, fft_swap(h.re)));
    vec_store(to + LANES, fft_mix(h.im, fft_swap(h.im)));
    vec_store(to + 2 * LANES, fft_mix(fft_swap(ch.re), h.re));
    vec_store(to + 3 * LANES, fft_mix(fft_swap(ch.im), h.im));
    fft_sizes seen = *sizes;
    fft_see(&seen, h.re);
    fft_see(&seen, h.im);
    fft_see(&seen, ch.re);
    fft_see(&seen, ch.im);
    sizes->check = seen.check;
    sizes->most = seen.most;
}

/* The first half of fft_leaves. */
CK_APART void fft_split_leaves(real *rows, int64_t count, const real *node, const real *lanes,
                               int64_t lane_step)
{
    CK_ROLLED for (int64_t leaf = 0; leaf < count; leaf++) {
        cvec x[FFT_LEAF];
        fft_leaf_in(rows, node, lanes, lane_step, x);
        CK_UNROLL for (int i = 0; i < FFT_LEAF; i++) fft_store(rows + i * FFT_ROW, x[i]);
        rows += FFT_LEAF * FFT_ROW;
        node += FFT_NODE;
        lanes += FFT_LEAF / FFT_UNITS * lane_step;
    }
}

/* Split leaves of a filter: their spectrum, which may lie over rows already used. */
CK_APART void fft_leaves_spectrum(const real *rows, int64_t count, const real *lanes,
                                  int64_t lane_step, real *spectrum, fft_sizes *sizes)
{
    for (int64_t first = 0; first < count * FFT_LEAF; first += 4) {
        const int last = FFT_LANE_TWIDDLES - 1 - (FFT_UNITS == 8 && first % 8 == 0);
        CK_UNROLL for (int i = 0; i < 4; i++) {
            const real *own = lanes + (first + i) / FFT_UNITS * lane_step;
            fft_spread(rows, fft_twiddle(own, last, 1), i % FFT_UNITS, spectrum, sizes);
            rows += FFT_ROW;
            spectrum += FFT_PRODUCT;
        }
    }
}

/* ---- whole transforms ------------------------------------------------------ */

/* A transform over `rows` rows, more than FFT_LEAF. */
typedef struct fft {
    int64_t rows;
    const real *scalars, *lanes;
    int64_t lane_step;
} fft;

/* A group of a stage: `groups` in the stage, this one is number `group`. */
typedef struct fft_group {
    int64_t rows, groups, group;
    const real *nodes; /* of the stage */
} fft_group;
static inline fft_group fft_top(const fft *f) { return (fft_group){f->rows, 1, 0, f->scalars}; }
static inline const real *fft_node(const fft_group *g) { return g->nodes + g->group * FFT_NODE; }
/* The first of the parts of a group, in the next stage. */
static inline fft_group fft_down(const fft_group *g)
{
    const int64_t radix = fft_radix(g->rows);
    return (fft_group){g->rows / radix, g->groups * radix, g->group * radix,
                       g->nodes + g->groups * FFT_NODE};
}

/* Everything inside a group that has been split: products and merges; what is left is to merge
 * the group itself. rows: of the whole transform. */
static void fft_inside_group(const fft *f, real *rows, fft_group group, const real *spectrum)
{
    const int64_t radix = fft_radix(group.rows);
    fft_group part = fft_down(&group);
    if (part.rows == FFT_LEAF) {
        const int64_t first = part.group * FFT_LEAF;
        fft_leaves(rows + first * FFT_ROW, radix, fft_node(&part),
                   f->lanes + first / FFT_UNITS * f->lane_step, f->lane_step,
                   spectrum + first * FFT_PRODUCT);
        return;
    }
    for (int64_t i = 0; i < radix; i++, part.group++) {
        const int64_t split = fft_radix(part.rows);
        const fft_rows own = fft_buffer(rows + part.group * part.rows * FFT_ROW, part.rows, split);
        fft_split_rows(own, own, part.rows / split, split, fft_node(&part));
        fft_inside_group(f, rows, part, spectrum);
        fft_merge_rows(own, own, part.rows / split, split, fft_node(&part));
    }
}

/* The three steps of a convolution. Rows j + i * rows / radix come from anywhere into the
 * buffer, where butterfly j of fft_radix(rows) holds them, ... */
static inline void fft_first(const fft *f, fft_rows from, real *rows)
{
    const int64_t radix = fft_radix(f->rows);
    fft_split_rows(from, fft_buffer(rows, f->rows, radix), f->rows / radix, radix, f->scalars);
}
static inline void fft_inside(const fft *f, real *rows, const real *spectrum)
{
    fft_inside_group(f, rows, fft_top(f), spectrum);
}
/* ... and go anywhere. */
static inline void fft_last(const fft *f, real *rows, fft_rows to)
{
    const int64_t radix = fft_radix(f->rows);
    fft_merge_rows(fft_buffer(rows, f->rows, radix), to, f->rows / radix, radix, f->scalars);
}
/* The same where only some rows are wanted; whether all of these are finite. */
static inline int fft_last_some(const fft *f, real *rows, fft_rows to, int64_t re_rows,
                                int64_t im_rows)
{
    const int64_t radix = fft_radix(f->rows);
    const fft_rows from = fft_buffer(rows, f->rows, radix);
    return fft_is_finite(fft_merge_some(from, to, f->rows / radix, radix, f->scalars, re_rows,
                                        im_rows));
}
/* The rows of a whole transform at a pitch, for fft_first and fft_last. */
static inline fft_rows fft_rows_at(const fft *f, real *re, real *im, int64_t pitch)
{
    return (fft_rows){re, im, pitch, f->rows / fft_radix(f->rows) * pitch};
}

/* Splits of a filter, all but the first; the leaves become the spectrum. */
static void fft_spectrum_group(const fft *f, real *rows, fft_group group, real *spectrum,
                               fft_sizes *sizes)
{
    const int64_t radix = fft_radix(group.rows);
    fft_group part = fft_down(&group);
    if (part.rows == FFT_LEAF) {
        const int64_t first = part.group * FFT_LEAF;
        const real *lanes = f->lanes + first / FFT_UNITS * f->lane_step;
        real *leaves = rows + first * FFT_ROW;
        fft_split_leaves(leaves, radix, fft_node(&part), lanes, f->lane_step);
        fft_leaves_spectrum(leaves, radix, lanes, f->lane_step, spectrum + first * FFT_PRODUCT,
                            sizes);
        return;
    }
    for (int64_t i = 0; i < radix; i++, part.group++) {
        const int64_t split = fft_radix(part.rows);
        const fft_rows own = fft_buffer(rows + part.group * part.rows * FFT_ROW, part.rows, split);
        fft_split_rows(own, own, part.rows / split, split, fft_node(&part));
        fft_spectrum_group(f, rows, part, spectrum, sizes);
    }
}
/* The spectrum (f->rows * FFT_PRODUCT reals) of a filter whose rows come from anywhere but its
 * upper half, which they pass through, or stand just there: no other memory is needed. `scale`
 * besides 1 over what merging multiplies by. *sizes takes in what there is. */
static inline real *fft_upper(const fft *f, real *spectrum) { return spectrum + f->rows * FFT_ROW; }
static inline void fft_spectrum(const fft *f, fft_rows from, double scale, real *spectrum,
                                fft_sizes *sizes)
{
    real *rows = fft_upper(f, spectrum);
    fft_first(f, from, rows);
    sizes->scale = (real)(scale / (double)(f->rows * FFT_UNITS));
    fft_spectrum_group(f, rows, fft_top(f), spectrum, sizes);
}
static inline fft_rows fft_upper_rows(const fft *f, real *spectrum)
{
    real *rows = fft_upper(f, spectrum);
    return fft_rows_at(f, rows, rows + LANES, FFT_ROW);
}

/* Whether spectra are finite and not so small that they have lost digits. */
static inline int fft_is_good(const fft_sizes *sizes)
{
    const real least = sizeof(real) == 4 ? (real)0x1p-90 : (real)0x1p-900;
    int small = 1, zero = 1;
    for (int i = 0; i < LANES; i++) {
        zero &= sizes->most[i] == 0;
        small &= sizes->most[i] < least;
    }
    return fft_is_finite(sizes->check) && (zero || !small);
}
#endif
