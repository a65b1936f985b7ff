/* abi.h - everything Python and C share, and nothing else.
 *
 * cffi reads this file as it stands (the build drops the lines starting with
 * '#'), so it holds plain declarations only: no macro, no inline function.
 */
#ifndef CONVKIT_ABI_H
#define CONVKIT_ABI_H
#include <stdint.h>

/* What the entry points answer. */
enum {
    CK_OK = 0,
    CK_EINVAL = -1,     /* the descriptor contradicts itself or its buffers */
    CK_ENOMEM = -2,     /* a workspace could not be had */
    CK_EOVERFLOW = -3,  /* a size does not fit 63 bits */
    CK_ECANCELED = -4,  /* the poll call-back asked to stop (Ctrl-C) */
    CK_EOVERLAP = -5,   /* y shares memory with x */
    CK_EALIGN = -6      /* a pointer is not aligned to its element */
};

/* Sources of a padded element that are no index into x. */
enum { CK_CONSTANT = -1, CK_ZERO = -2 };

enum { CK_NONE = 0, CK_CLIP, CK_LEAKY_RELU, CK_SIGMOID, CK_TANH, CK_SILU, CK_GELU, CK_HARDSWISH };

/* Types of elements. */
enum { CK_F32 = 0, CK_F64, CK_C64, CK_C128, CK_U8, CK_I8, CK_U16, CK_I16, CK_I32, CK_TYPES };

/* Of x, of the weights, of y, and of the sums before they are rounded to y, which is also the
 * type of bias and residual. */
typedef struct ck_types {
    int32_t x, w, y, sum;
} ck_types;

/* What is known of the weights of every channel: nothing; that they are the outer product of one
 * filter per axis, to the last bit or two of each; that they are all the same number. */
enum { CK_DENSE = 0, CK_SEPARABLE, CK_BOX };

/* How the caller's weights are read: as they lie, back to front along all convolved axes, or
 * complex-conjugated. */
enum { CK_AS_IS = 0, CK_FLIPPED, CK_CONJUGATED };

/* One convolved axis, sizes and strides in elements. */
typedef struct ck_axis {
    int64_t in_size;                /* of x, before input dilation and padding */
    int64_t in_dilation;            /* x is spread by this factor, zeros between */
    int64_t pad_before, pad_after;
    int64_t kernel_size, stride, dilation, out_size;
    int64_t x_stride, y_stride, residual_stride;
    double pad_value;               /* of CK_CONSTANT; where axes meet the last one's counts */
    /* Where in x each of the pad_before + pad_after padded elements comes from
     * (an index, CK_CONSTANT or CK_ZERO); NULL: all are the constant. */
    const int64_t *edges;
} ck_axis;

/* One convolution. Axes are (depth, height, width); a problem of lower rank
 * keeps its missing leading axes at size 1. Strides may be any, also negative:
 * layouts, views and broadcast arrays need no copy. */
typedef struct ck_conv {
    int64_t batch, groups, in_channels, out_channels;
    ck_axis axis[3];
    int64_t x_batch_stride, x_channel_stride;
    int64_t y_batch_stride, y_channel_stride;
    int64_t residual_batch_stride, residual_channel_stride;
    ck_types types;
    int32_t structure;              /* CK_DENSE ... CK_BOX */
    int64_t threads;                /* block sizes make enough items for so many */
    int32_t flushes;                /* numbers below the smallest normal one count as zero */
    int32_t activation;             /* CK_NONE ... CK_HARDSWISH */
    double activation_low;          /* lower bound of CK_CLIP, slope of CK_LEAKY_RELU */
    double activation_high;         /* upper bound of CK_CLIP */
    /* Filled in by ck_conv_plan. */
    int64_t block[8];               /* the kernel's block sizes; their order is its own */
    double seconds;                 /* the kernel's cost */
    int64_t items, scratch_bytes;   /* the kernel's, the latter rounded up to a cache line */
    int64_t x_low, x_high, y_low, y_high; /* bytes around the pointers that are touched */
} ck_conv;

/* The arrays of one call; bias and residual may be NULL. */
typedef struct ck_arrays {
    const void *x, *weights, *bias, *residual;
    void *y;
} ck_arrays;

/* A kernel of one file of kernels/, compiled for one ISA. */
typedef struct ck_kernel {
    const char *name; /* the name of its file: "conv_direct_channels_f32" */
    const char *isa;  /* "avx512" */
    const ck_types *types; /* all that it takes */
    int32_t type_count;
    int32_t rounds;   /* sums of small integers come out rounded, since they pass a transform */
    /* Why this kernel does not take the problem, or NULL: it does. */
    const char *(*why_not)(const ck_conv *conv);
    /* Estimated seconds on one core. */
    double (*cost)(const ck_conv *conv);
    /* Choose the block sizes. The functions below read them. */
    void (*plan)(ck_conv *conv);
    /* Bytes of, and layout of, the packed weights that run() reads. */
    int64_t (*packed_bytes)(const ck_conv *conv);
    void (*pack)(const ck_conv *conv, const void *w, void *packed);
    /* Bytes of scratch that each thread needs. */
    int64_t (*scratch_bytes)(const ck_conv *conv);
    /* How many independent pieces the work falls into, and the work itself:
     * items write disjoint parts of y and sum in an order of their own, so
     * threads may share the range and the bits do not depend on how. */
    int64_t (*items)(const ck_conv *conv);
    void (*run)(const ck_conv *conv, const ck_arrays *arrays, void *scratch,
                int64_t begin, int64_t end);
} ck_kernel;

extern const ck_kernel *const ck_kernels[];
extern const int32_t ck_kernel_count;
extern const char *const ck_isas[]; /* that the compiler knew, best first */
extern const int32_t ck_isa_count;

/* conv.c: the way into a kernel. A descriptor is checked and planned once for
 * its sizes and strides, then run as often as wished; `weights` are packed. */
int32_t ck_conv_plan(ck_conv *conv, const ck_kernel *kernel);
void ck_conv_pack(const ck_conv *conv, const ck_kernel *kernel, const void *w, void *packed);
int64_t ck_conv_workspace(const ck_conv *conv);
int32_t ck_conv_run(const ck_conv *conv, const ck_kernel *kernel, const void *x,
                    const void *weights, const void *bias, const void *residual, void *y);
/* The same with weights as the caller has them: packed on the way. */
int32_t ck_conv_call(const ck_conv *conv, const ck_kernel *kernel, const void *x,
                     const void *w, const void *bias, const void *residual, void *y);
/* The same on contiguous arrays and with few arguments, since handing one over from Python
 * takes as long as a short filter: a plan with its packed weights and its bias, or NULL; and
 * a call, which has neither. */
typedef struct ck_quick {
    const ck_conv *conv;
    const ck_kernel *kernel;
    const void *weights, *bias;
    int32_t w_form; /* of a call: CK_AS_IS ... CK_CONJUGATED */
} ck_quick;
int32_t ck_quick_run(const ck_quick *quick, const void *x, void *y);
int32_t ck_quick_call(const ck_quick *quick, const void *x, const void *w, const void *bias, void *y);

/* Taps of a stream's filter that are multiplied as spectra, for input in blocks of one size;
 * csrc/streams/ has the picture. Offsets are in elements of a real type. */
typedef struct ck_level {
    int64_t block, elements;        /* samples it takes at a time, and of a transform */
    int64_t first_tap, partitions;  /* of `hop` blocks of taps each */
    int64_t hop, slots;             /* spectra kept: hop * slots */
    int64_t tables, spectra;        /* in the packed filter */
    int64_t ring, ready, work;      /* in the state */
} ck_level;

/* A filter on a stream: `channels` signals side by side that come in pieces of any size. */
typedef struct ck_stream {
    const struct ck_stream_kernel *kernel;
    int64_t taps, channels;
    int64_t filters;                /* 1, or as many as channels */
    int64_t block;                  /* samples of the usual push; 0: any */
    int32_t direct;                 /* no transform: sums of integers are exact */
    int32_t interleaved;            /* x and y are (samples, channels), not (channels, samples) */
    void *packed, *state;           /* on cache lines; a state of zeros is the beginning of a stream,
                                     * and a copy of it goes on as the original would have */
    /* Filled in by ck_stream_plan. */
    int64_t packed_bytes, state_bytes;
    double seconds;                 /* for a sample of all channels */
    int64_t head;                   /* taps that are summed directly */
    int64_t piece;                  /* most samples at a time: the block of level 0 */
    int32_t whole;                  /* a whole block passes the transform with its first taps too */
    int32_t level_count;
    ck_level level[4];
    int64_t history, history_size;  /* in the state: the last samples of (channels, re and im),
                                     * sample n at n % history_size */
    int64_t clean, bad, input, sums; /* in the state as well */
    int64_t down, weights, whole_spectrum; /* in the packed filter */
} ck_stream;

typedef struct ck_stream_kernel {
    const char *name, *isa;
    int32_t type;                   /* of x, the taps and y */
    void (*plan)(ck_stream *stream);
    int32_t (*pack)(const ck_stream *stream, const void *taps);
    /* Samples [begin, end) of `count`. */
    void (*push)(const ck_stream *stream, const void *x, void *y, int64_t count, int64_t begin,
                 int64_t end);
} ck_stream_kernel;

extern const ck_stream_kernel *const ck_stream_kernels[];
extern const int32_t ck_stream_kernel_count;

/* stream.c: plan, hand over `packed` and a `state` of zeros, pack (filters, taps), then push. The
 * state's first int64_t is the number of samples so far. CK_EINVAL of the packing: the taps are not
 * finite, or so large that their sum is not. After CK_ECANCELED some samples have gone in. */
int32_t ck_stream_plan(ck_stream *stream);
int32_t ck_stream_pack(const ck_stream *stream, const void *taps);
int32_t ck_stream_push(const ck_stream *stream, const void *x, void *y, int64_t count);

/* structure.c: CK_DENSE ... CK_BOX, of the weights of one channel. */
int32_t ck_structure_of(const void *w, int32_t type, int64_t depth, int64_t height, int64_t width);

/* cpu.c: what the running CPU can do. */
int32_t ck_cpu_has(const char *isa);     /* 1 if it can execute kernels of this ISA */
int64_t ck_cache_bytes(int32_t level);   /* of one core's share; a usual size if unknown */

/* pool.c: threads. */
int32_t convkit_get_num_threads(void);
int32_t convkit_set_num_threads(int32_t threads); /* CK_EINVAL unless 1 ... 256 */
void ck_set_poll(int32_t (*poll)(void)); /* called about every 20 ms of a long call; non-zero stops it */

/* alloc.c: every byte of native memory. */
int64_t ck_live_bytes(void);             /* handed out and not given back, caches included */
int64_t ck_peak_bytes(void);             /* the most live_bytes has been since ck_reset_peak */
void ck_reset_peak(void);
void ck_release_caches(void);            /* give idle workspaces back to the system */
void ck_fail_alloc(int64_t after);       /* test: the after-th next allocation fails; -1: none */

extern const char ck_source_hash[];      /* of the csrc/ this was built from */
#endif
