"""What the filters of `convkit.compat.ndimage` share: SciPy's arguments read, one correlation.

SciPy's ``y[i] = sum(w[j] * x[i + j - k // 2 - origin])`` is a `conv*d` whose padding is
``(k // 2 + origin, k - 1 - k // 2 - origin)`` elements; its boundary modes are ours by other names;
its results have the dtype of the output, into which every pass of a filter of several passes is
rounded (into integers: truncated, and wrapped as C does).

What a call asks for is read once: a filter is a function of the array alone, made of plans, and is
found again by the shape, the dtypes and the arguments it was made for.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache, reduce
from typing import Any, TypeAlias

import numpy as np

from convkit.arguments import Options, forward
from convkit.dtypes import Array, DType
from convkit.errors import UnsupportedError
from convkit.functional import make_plan, remember
from convkit.problem import Mode
from convkit.selector import remembered

Pads: TypeAlias = tuple[tuple[int, int], ...]
Filter: TypeAlias = Callable[[Array], Array]

MODES: dict[str, Mode] = {
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "replicate",
    "wrap": "circular",
    "grid-wrap": "circular",
}
CONSTANT_MODES = ("constant", "grid-constant")
DTYPES = frozenset("?bBhHiIlLqQfdFD")  # those of SciPy, and no float16 and longdouble

# A filter of so many taps is faster in one call than by factors: 6x6 takes 163 us and two passes
# 189 us on 256x256 float32, 7x7 as long as they do, 3x3x3 on 64**3 5% less (one Cascade Lake core).
MOST_TAPS_AT_ONCE = 36
# The error of a fast transform is that of its largest sum, where SciPy's sums of zeros are zero and
# those of positive numbers positive: up to so many taps all are added directly.
MOST_DIRECT = 255
# Filters of more taps are made anew by every call: what is kept stays small.
MOST_KEPT = 4096
# Vectors lie along the axes behind the filtered one if these hold so many elements; otherwise
# along the filtered one, which is moved to the end. That takes 150 us before it begins.
LEAST_INNER = 16
LEAST_MOVED = 2**13


def read_output(output: Any, x: Array, *, is_complex: bool) -> tuple[DType, Array | None]:
    """Return the result's dtype, and the array to write it to if there is one."""
    if output is None:
        dtype = x.dtype.newbyteorder("=")
        return np.promote_types(dtype, np.complex64) if is_complex else dtype, None
    if isinstance(output, type | np.dtype):
        dtype = np.dtype(output)
        if is_complex and dtype.kind != "c":
            warnings.warn("promoting specified output dtype to complex", stacklevel=3)
            dtype = np.promote_types(dtype, np.complex64)
        return dtype, None if dtype.isnative else np.empty(x.shape, dtype)
    if isinstance(output, str):
        dtype = np.dtype(output)
        if not is_complex and not issubclass(dtype.type, np.number):
            raise RuntimeError(f"output must have numeric dtype, not {output!r}")
        target = None
    else:
        target = np.asarray(output)
        dtype = target.dtype
        if target.shape != x.shape:
            raise RuntimeError(
                f"output shape not correct: it is {target.shape}, that of input is {x.shape}"
            )
    if is_complex and dtype.kind != "c":
        raise RuntimeError(f"output must have complex dtype, not {dtype}")
    return dtype.newbyteorder("="), target


def deliver(y: Array, target: Array | None) -> Array:
    """Return y where the caller wants it."""
    if target is None:
        return y
    target[...] = y
    return target


def found(make: Callable[..., Filter], x: Array, dtype: DType, *arguments: Any) -> Filter:
    """Return ``make(x.shape, x.dtype, dtype, *arguments)``, made before if it was."""
    given = (x.shape, x.dtype, dtype)
    return _found(make, given, given, arguments)


def found_with(
    make: Callable[..., Filter], x: Array, dtype: DType, w: Array, *arguments: Any
) -> Filter:
    """Return ``make(x.shape, x.dtype, dtype, w, *arguments)``, made before if it was."""
    if w.dtype.hasobject or w.size > MOST_KEPT:
        return make(x.shape, x.dtype, dtype, w, *arguments)
    key = (x.shape, x.dtype, dtype, w.shape, w.dtype, w.tobytes())
    return _found(make, key, (x.shape, x.dtype, dtype, w), arguments)


def _found(
    make: Callable[..., Filter],
    key: tuple[Any, ...],
    given: tuple[Any, ...],
    arguments: tuple[Any, ...],
) -> Filter:
    """Return ``make(*given, *arguments)``; `key` stands for what is given."""
    # With the types: True and 1.0 equal 1, and may be refused where 1 is not.
    types = tuple(map(type, arguments))
    key = (make, key, arguments, types)
    if tuple in types:
        key += tuple(tuple(map(type, each)) for each in arguments if type(each) is tuple)
    try:
        known: Filter | None = remembered.get(key)
    except TypeError:  # a list among them
        return make(*given, *arguments)
    if known is None:
        known = make(*given, *arguments)
        remember(key, known)
    return known


def read_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes that are filtered, counted from the front."""
    if axes is None:
        return tuple(range(ndim))
    if np.isscalar(axes):
        axes = (axes,)
    elif not isinstance(axes, Iterable):
        raise ValueError("axes must be an integer, iterable of integers, or None")
    given = tuple(map(operator.index, axes))
    for axis in given:
        if not -ndim <= axis < ndim:
            raise ValueError(f"specified axis: {axis} is out of range, input has {ndim} axes")
    along = tuple(axis % ndim for axis in given)
    if len(set(along)) < len(along):
        raise ValueError(f"axes must be unique, not {axes}")
    return along


def per_axis(value: Any, count: int) -> list[Any]:
    """Return one value for each of `count` axes."""
    if isinstance(value, str) or not np.iterable(value):
        return [value] * count
    values = list(value)
    if len(values) != count:
        raise RuntimeError(
            f"sequence argument must have length equal to input rank, here {count}, not {value}"
        )
    return values


def check_cval(x_dtype: DType, cval: Any) -> None:
    """Refuse to pad real numbers with complex ones."""
    if np.iscomplexobj(cval) and x_dtype.kind != "c":
        raise ValueError(
            f"Cannot provide a complex-valued cval when the input is real: cval={cval}"
        )


def read_origin(origin: Any, taps: int) -> int:
    """Return how far a filter of `taps` is moved off its centre."""
    if not -(taps // 2) <= origin <= (taps - 1) // 2:
        raise ValueError(
            "Invalid origin; origin must satisfy -(len(weights) // 2) <= origin <= "
            f"(len(weights)-1) // 2, here {-(taps // 2)} to {(taps - 1) // 2}, not {origin}"
        )
    return operator.index(origin)


def flipped_origin(origin: int, taps: int) -> int:
    """Return the origin in a correlation of one in a convolution."""
    return -origin - (taps + 1) % 2


def separable(
    shape: tuple[int, ...],
    x_dtype: DType,
    factors: Sequence[Array],
    axes: Sequence[int],
    origins: Sequence[int],
    modes: Sequence[str],
    cval: Any,
    dtype: DType,
    divisors: Sequence[int] | None = None,
) -> Filter:
    """Return the correlation with the outer product of `factors`, one along each of `axes`.

    Each factor is over its divisor. All are one call where that gives what passes give; otherwise
    there is a pass per axis, in the order given. Without any it is a cast.
    """
    if not factors:
        return lambda x: x.astype(dtype)
    if dtype.kind == "b":  # SciPy keeps bytes between its passes, and these are true unless zero
        bytes_ = np.dtype(np.uint8)
        sums = separable(shape, x_dtype, factors, axes, origins, modes, cval, bytes_, divisors)
        return lambda x: sums(x).astype(np.bool_)
    divisors = divisors or (1,) * len(axes)
    if _is_one_call(shape, x_dtype, factors, axes, modes, cval, dtype, divisors):
        order = sorted(range(len(axes)), key=axes.__getitem__)
        w = reduce(np.multiply.outer, [factors[i] / divisors[i] for i in order])
        along, shifts = zip(*((axes[i], origins[i]) for i in order), strict=True)
        ordered = [modes[i] for i in order]
        return correlation(shape, x_dtype, w, along, shifts, ordered, cval, dtype)
    passes = []
    for w, axis, origin, mode, over in zip(factors, axes, origins, modes, divisors, strict=True):
        one = correlation(shape, x_dtype, w, (axis,), (origin,), (mode,), cval, dtype, over)
        passes.append(one)
        x_dtype = dtype
    if len(passes) == 1:
        return passes[0]
    return lambda x: reduce(lambda y, one: one(y), passes, x)


def _is_one_call(
    shape: tuple[int, ...],
    x_dtype: DType,
    factors: Sequence[Array],
    axes: Sequence[int],
    modes: Sequence[str],
    cval: Any,
    dtype: DType,
    divisors: Sequence[int],
) -> bool:
    """Whether one call is faster than passes, and the result is theirs but for rounding."""
    taps = [*map(len, factors)]
    if len(axes) < 2 or math.prod(taps) > MOST_TAPS_AT_ONCE:
        return False
    if sorted(axes) != [*range(len(shape) - len(axes), len(shape))]:
        return False
    if any(k > shape[axis] for k, axis in zip(taps, axes, strict=True)):
        return False  # most of what it would sum is padding
    if cval != 0 and any(mode in CONSTANT_MODES for mode in modes):
        return False  # every pass pads with cval anew
    if dtype.kind in "fc":
        return True
    # Between passes integers are truncated, which changes none, and wrapped, which one call does at
    # its end; but a negative sum kept as uint64 loses digits in the next pass, here as in SciPy.
    is_integral = all(
        over == 1 and _is_integral(w) for w, over in zip(factors, divisors, strict=True)
    )
    return is_integral and x_dtype.kind in "bui" and dtype != np.uint64


def _is_integral(w: Array) -> bool:
    return all(map(float.is_integer, w.tolist()))


def correlation(
    shape: tuple[int, ...],
    x_dtype: DType,
    w: Array,
    axes: Sequence[int],
    origins: Sequence[int],
    modes: Sequence[str],
    cval: Any,
    dtype: DType,
    divisor: int = 1,
) -> Filter:
    """Return the correlation with w / divisor, which has its axes in the order of `axes`, rising.

    w is not conjugated.
    """
    for array_dtype in (x_dtype, dtype):
        if array_dtype.char not in DTYPES:
            raise UnsupportedError(
                f"array type {array_dtype!r} not supported: input and output may be bool, integers "
                "of up to 64 bits, float32, float64, complex64 or complex128; cast to one of these"
            )
    if dtype.kind == "c":
        return _by_parts(shape, x_dtype, w, axes, origins, modes, cval, dtype, divisor)
    if x_dtype.kind == "c":
        raise RuntimeError(f"output must have complex dtype, not {dtype}")
    cval = math.ldexp(cval, 0)
    boundary = [_boundary(mode, cval) for mode in modes]
    if 0 in shape:
        return lambda x: np.empty(shape, dtype)
    pads = tuple((k // 2 + o, (k - 1) // 2 - o) for k, o in zip(w.shape, origins, strict=True))
    w = w.astype(np.float64)

    def sums_in(inner: DType) -> Filter:
        return _sums(shape, inner, (w / divisor).astype(inner), axes, pads, boundary, MOST_DIRECT)

    def integers_in(inner: DType) -> Filter:
        return _sums(shape, inner, w.astype(inner), axes, pads, boundary, w.size)

    if dtype.kind == "f":
        return _into_floats(x_dtype, dtype, sums_in)
    return _into_integers(x_dtype, w, cval, dtype, divisor, cache(sums_in), integers_in)


def _by_parts(
    shape: tuple[int, ...],
    x_dtype: DType,
    w: Array,
    axes: Sequence[int],
    origins: Sequence[int],
    modes: Sequence[str],
    cval: Any,
    dtype: DType,
    divisor: int,
) -> Filter:
    """Correlate complex numbers as SciPy does, by their parts, so that Inf stays in its own."""
    part = np.dtype(np.float32 if dtype == np.complex64 else np.float64)
    x_part = np.dtype(x_dtype.char.lower()) if x_dtype.kind == "c" else x_dtype

    def real(w: Array, cval: Any) -> Filter:
        return correlation(shape, x_part, w, axes, origins, modes, cval, part, divisor)

    def joined(real: Callable[[Array], Array], imag: Callable[[Array], Array]) -> Filter:
        def run(x: Array) -> Array:
            y = np.empty(shape, dtype)
            y.real, y.imag = real(x), imag(x)
            return y

        return run

    a, b = np.real(cval), np.imag(cval)
    if x_dtype.kind == w.dtype.kind == "c":
        aa, bb, ab, ba = real(w.real, a), real(w.imag, b), real(w.imag, a), real(w.real, b)
        return joined(lambda x: aa(x.real) - bb(x.imag), lambda x: ab(x.real) + ba(x.imag))
    if x_dtype.kind == "c":
        of_real, of_imag = real(w, a), real(w, b)
        return joined(lambda x: of_real(x.real), lambda x: of_imag(x.imag))
    if w.dtype.kind != "c":
        raise UnsupportedError(f"array type {dtype!r} not supported: input and weights are real")
    check_cval(x_dtype, cval)
    return joined(real(w.real, cval), real(w.imag, cval))


def _into_floats(x_dtype: DType, dtype: DType, sums_in: Callable[[DType], Filter]) -> Filter:
    """Return a filter into floats: float32 into float32 as such, all else in float64."""
    inner = dtype
    if x_dtype != dtype and dtype == np.float32:
        inner = np.result_type(x_dtype, np.float32)
    sums = sums_in(inner)
    if x_dtype == inner == dtype:
        return sums
    if inner == dtype:
        return lambda x: sums(x.astype(inner))

    def run(x: Array) -> Array:
        with np.errstate(all="ignore"):  # C casts in silence
            return sums(x.astype(inner)).astype(dtype)

    return run


def _into_integers(
    x_dtype: DType,
    w: Array,
    cval: float,
    dtype: DType,
    divisor: int,
    sums_in: Callable[[DType], Filter],
    integers_in: Callable[[DType], Filter],
) -> Filter:
    """Return a filter into integers.

    Truncation makes much of the little by which, say, a blurred flat area of ones may fall short
    of one. Sums of integers are exact, and so is their quotient where it is an integer. Others are
    moved by as much as they may be off: what is within rounding of an integer is taken for it.
    """
    taps = w.ravel().tolist()
    magnitude = sum(map(abs, taps))
    steps = w.size + 2  # roundings of a sum, of its weights and of what is added to it
    is_positive = x_dtype.kind in "bu" and cval >= 0 and min(taps) >= 0
    is_integral = x_dtype.kind != "f" and all(map(float.is_integer, (cval, *taps)))

    @cache
    def within(low: float, high: float) -> Filter:
        """Return the filter of arrays whose elements lie between these."""
        total = max(-low, high, abs(cval)) * magnitude
        truncated = _truncation(total / divisor, dtype, is_positive=is_positive)
        if is_integral:
            inner = np.dtype(np.float32 if total <= 2**24 else np.float64)
            sums_of, over = integers_in(inner), inner.type(divisor)

            def quotients(x: Array) -> Array:
                sums = sums_of(x.astype(inner))
                return truncated(sums if divisor == 1 else np.divide(sums, over, sums))

            return quotients
        inner = np.dtype(np.float64)
        moved_of, error = sums_in(inner), min(2.0**-10, steps * 2.0**-52 * total / divisor)

        def moved(x: Array) -> Array:
            sums = moved_of(x.astype(inner))
            sums += error if is_positive else np.copysign(error, sums)
            return truncated(sums)

        return moved

    if x_dtype.kind in "bui" and (is_integral or x_dtype.itemsize <= 2):
        return within(*_bounds(x_dtype))

    def measured(x: Array) -> Array:
        largest = max(-float(x.min()), float(x.max()))
        # The next power of two, so that few filters are made; NaN and infinity have none.
        bound = 2.0 ** math.frexp(largest)[1] if largest < 2.0**1000 else math.inf
        return within(-bound, bound)(x)

    return measured


def _truncation(largest: float, dtype: DType, *, is_positive: bool) -> Filter:
    """Return what makes integers of sums up to `largest`, wrapped as C does.

    NumPy's own conversion does what it likes out of range.
    """
    if dtype.kind == "b":
        bytes_ = _truncation(largest, np.dtype(np.uint8), is_positive=is_positive)
        return lambda sums: bytes_(sums).astype(np.bool_)
    low, high = _bounds(dtype)
    if largest < high + 0.5 and (is_positive or low < 0):
        return lambda sums: sums.astype(dtype)
    if largest < 2**63:
        wide = np.int32 if largest < 2**31 - 1 else np.int64
        return lambda sums: sums.astype(wide).astype(dtype, copy=False)

    def run(sums: Array) -> Array:
        with np.errstate(all="ignore"):  # C casts in silence
            whole = sums.astype(np.int64).astype(dtype, copy=False)
            return (
                whole if dtype != np.uint64 else np.where(sums < 2.0**63, whole, sums.astype(dtype))
            )

    return run


def _boundary(mode: Any, cval: float) -> Mode:
    """Return the padding mode that SciPy calls `mode`."""
    ours = MODES.get(mode) if isinstance(mode, str) else None
    if ours is None:
        if mode not in CONSTANT_MODES:
            known = ", ".join(map(repr, (*MODES, *CONSTANT_MODES)))
            raise RuntimeError(
                f"boundary mode not supported: mode={mode!r}, expected one of {known}"
            )
        return ("constant", cval) if cval != 0 else "zeros"
    return ours


@cache
def _bounds(dtype: DType) -> tuple[int, int]:
    return (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))


def _sums(
    shape: tuple[int, ...],
    dtype: DType,
    w: Array,
    axes: Sequence[int],
    pads: Pads,
    modes: Sequence[Mode],
    most_direct: int,
) -> Filter:
    """Return the correlation along `axes`, in rising order, of arrays of `dtype` with w of it.

    A filter of up to `most_direct` taps passes no fast Fourier transform.
    """
    if w.size == 1:
        return lambda x: np.multiply(x, w.reshape(()), order="C")
    if 1 in w.shape:
        wide = [i for i, k in enumerate(w.shape) if k > 1]
        w = w.reshape([w.shape[i] for i in wide])
        axes, modes = [axes[i] for i in wide], [modes[i] for i in wide]
        pads = tuple(pads[i] for i in wide)
    ndim, rank = len(shape), w.ndim
    last = tuple(range(ndim - rank, ndim))
    if tuple(axes) == last:
        return _planned(shape, dtype, w, pads, modes, most_direct)
    inner = math.prod(shape[axes[0] + 1 :])
    if rank == 1 and (inner >= LEAST_INNER or math.prod(shape) < LEAST_MOVED):
        folded = (math.prod(shape[: axes[0]]), shape[axes[0]], inner)
        pads, modes, w = (*pads, (0, 0)), (*modes, "zeros"), w[:, np.newaxis]
        images = _planned(folded, dtype, w, pads, modes, most_direct)
        return lambda x: images(x.reshape(folded)).reshape(shape)
    order = [*(i for i in range(ndim) if i not in axes), *axes]
    back = np.argsort(order)
    rows = _planned(tuple(shape[i] for i in order), dtype, w, pads, modes, most_direct)
    return lambda x: np.ascontiguousarray(rows(x.transpose(order)).transpose(back))


def _planned(
    shape: tuple[int, ...],
    dtype: DType,
    w: Array,
    pads: Pads,
    modes: Sequence[Mode],
    most_direct: int,
) -> Filter:
    """Return the correlation along the last axes."""
    options = Options(padding=pads, padding_mode=tuple(modes))
    form = forward(w.ndim, shape, dtype, w.shape, dtype, options)
    plan = make_plan(form, w, options)
    if plan.algorithm == "fft" and w.size <= most_direct:
        plan = make_plan(form, w, options._replace(algorithm="direct"))
    return plan
