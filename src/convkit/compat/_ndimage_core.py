"""What the filters of `convkit.compat.ndimage` share: SciPy's arguments read, one correlation.

SciPy's ``y[i] = sum(w[j] * x[i + j - k // 2 - origin])`` is a `conv*d` whose padding is
``(k // 2 + origin, k - 1 - k // 2 - origin)`` elements; its boundary modes are ours by other names;
its results have the dtype of the output, into which every pass of a filter of several passes is
rounded (into integers: truncated, and wrapped as C does).
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterable, Sequence
from functools import cache, reduce
from typing import Any, TypeAlias

import numpy as np

from convkit.boundary import CONSTANT, index_map, is_constant, pad_value
from convkit.dtypes import Array, DType
from convkit.errors import UnsupportedError
from convkit.functional import conv1d, conv2d, conv3d
from convkit.problem import Mode

Pads: TypeAlias = tuple[tuple[int, int], ...]

CONV = {1: conv1d, 2: conv2d, 3: conv3d}
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


def check_cval(x: Array, cval: Any) -> None:
    """Refuse to pad real numbers with complex ones."""
    if np.iscomplexobj(cval) and x.dtype.kind != "c":
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
    x: Array,
    factors: Sequence[Array],
    axes: Sequence[int],
    origins: Sequence[int],
    modes: Sequence[str],
    cval: Any,
    dtype: DType,
    divisors: Sequence[int] | None = None,
) -> Array:
    """Correlate with the outer product of `factors`, one of them along each of `axes`.

    Each factor is over its divisor. All are one call where that gives what passes give; otherwise
    there is a pass per axis, in the order given.
    """
    if dtype.kind == "b":  # SciPy keeps bytes between its passes, and these are true unless zero
        bytes_ = np.dtype(np.uint8)
        sums = separable(x, factors, axes, origins, modes, cval, bytes_, divisors)
        return sums.astype(np.bool_)
    divisors = divisors or (1,) * len(axes)
    if _is_one_call(x, factors, axes, modes, cval, dtype, divisors):
        order = sorted(range(len(axes)), key=axes.__getitem__)
        w = reduce(np.multiply.outer, [factors[i] / divisors[i] for i in order])
        along, shifts = zip(*((axes[i], origins[i]) for i in order), strict=True)
        return correlate(x, w, along, shifts, [modes[i] for i in order], cval, dtype)
    for w, axis, origin, mode, over in zip(factors, axes, origins, modes, divisors, strict=True):
        x = correlate(x, w, (axis,), (origin,), (mode,), cval, dtype, over)
    return x


def _is_one_call(
    x: Array,
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
    if sorted(axes) != [*range(x.ndim - len(axes), x.ndim)]:
        return False
    if any(k > x.shape[axis] for k, axis in zip(taps, axes, strict=True)):
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
    return is_integral and x.dtype.kind in "bui" and dtype != np.uint64


def _is_integral(w: Array) -> bool:
    return all(map(float.is_integer, w.tolist()))


def correlate(
    x: Array,
    w: Array,
    axes: Sequence[int],
    origins: Sequence[int],
    modes: Sequence[str],
    cval: Any,
    dtype: DType,
    divisor: int = 1,
) -> Array:
    """Correlate with w / divisor, whose axes are `axes` in rising order, without conjugating it."""
    for array_dtype in (x.dtype, dtype):
        if array_dtype.char not in DTYPES:
            raise UnsupportedError(
                f"array type {array_dtype!r} not supported: input and output may be bool, integers "
                "of up to 64 bits, float32, float64, complex64 or complex128; cast to one of these"
            )
    if dtype.kind == "c":
        return _by_parts(x, w, axes, origins, modes, cval, dtype, divisor)
    if x.dtype.kind == "c":
        raise RuntimeError(f"output must have complex dtype, not {dtype}")
    with np.errstate(all="ignore"):  # C casts in silence
        return _real(x, w, axes, origins, modes, math.ldexp(cval, 0), dtype, divisor)


def _by_parts(
    x: Array,
    w: Array,
    axes: Sequence[int],
    origins: Sequence[int],
    modes: Sequence[str],
    cval: Any,
    dtype: DType,
    divisor: int,
) -> Array:
    """Correlate complex numbers as SciPy does, by their parts, so that Inf stays in its own."""
    part = np.dtype(np.float32 if dtype == np.complex64 else np.float64)

    def real(x: Array, w: Array, cval: Any) -> Array:
        return correlate(x, w, axes, origins, modes, cval, part, divisor)

    y = np.empty(x.shape, dtype)
    if x.dtype.kind == w.dtype.kind == "c":
        a, b = np.real(cval), np.imag(cval)
        y.real = real(x.real, w.real, a) - real(x.imag, w.imag, b)
        y.imag = real(x.real, w.imag, a) + real(x.imag, w.real, b)
    elif x.dtype.kind == "c":
        y.real = real(x.real, w, np.real(cval))
        y.imag = real(x.imag, w, np.imag(cval))
    elif w.dtype.kind != "c":
        raise UnsupportedError(f"array type {dtype!r} not supported: input and weights are real")
    else:
        check_cval(x, cval)
        y.real = real(x, w.real, cval)
        y.imag = real(x, w.imag, cval)
    return y


def _real(
    x: Array,
    w: Array,
    axes: Sequence[int],
    origins: Sequence[int],
    modes: Sequence[str],
    cval: float,
    dtype: DType,
    divisor: int,
) -> Array:
    """Correlate real numbers: float32 into float32 as such, all else in float64."""
    boundary = [_boundary(mode, cval) for mode in modes]
    if not x.size:
        return np.empty(x.shape, dtype)
    x = x.view(np.uint8) if x.dtype.kind == "b" else x
    w = w.astype(np.float64, copy=False)
    if dtype.kind == "f":
        inner = dtype
        if x.dtype != dtype and dtype == np.float32:
            inner = np.result_type(x.dtype, np.float32)
        sums = _sums(x, w, axes, origins, boundary, inner, divisor)
        return sums.astype(dtype, copy=False)
    taps = w.ravel().tolist()  # few, and a list of few is looked at faster than an array
    is_positive = x.dtype.kind == "u" and cval >= 0 and min(taps) >= 0
    total = max(_largest(x), abs(cval)) * sum(map(abs, taps))
    is_integral = x.dtype.kind != "f" and all(map(float.is_integer, (cval, *taps)))
    inner, error = _rounding(w, total, divisor, is_integral=is_integral)
    sums = _sums(x, w, axes, origins, boundary, inner, divisor)
    if error:
        sums += error if is_positive else np.copysign(error, sums)
    return _truncated(sums, total / divisor, dtype, is_positive=is_positive)


def _sums(
    x: Array,
    w: Array,
    axes: Sequence[int],
    origins: Sequence[int],
    boundary: Sequence[Mode],
    inner: DType,
    divisor: int,
) -> Array:
    """Correlate in `inner`."""
    pads = tuple((k // 2 + o, (k - 1) // 2 - o) for k, o in zip(w.shape, origins, strict=True))
    w = w / divisor if divisor != 1 else w
    return _slide(x.astype(inner, copy=False), w.astype(inner, copy=False), axes, pads, boundary)


def _rounding(w: Array, total: float, divisor: int, *, is_integral: bool) -> tuple[DType, float]:
    """Return the dtype in which to add what will be truncated, and how far sums may be off.

    Truncation makes much of the little by which, say, a blurred flat area of ones may fall short
    of one: so what is within rounding of an integer is taken for it. Integers over a divisor are
    so far apart that half a step is added, in a dtype that is twice as exact as that needs.
    """
    steps = w.size + 2  # roundings of a sum, of its weights and of what is added to it
    if is_integral and divisor == 1:
        return np.dtype(np.float32 if total <= 2**24 else np.float64), 0.0
    if is_integral:
        return np.dtype(np.float32 if steps * total <= 2**22 else np.float64), 0.5 / divisor
    return np.dtype(np.float64), min(2.0**-10, steps * 2.0**-52 * total / divisor)


def _truncated(sums: Array, largest: float, dtype: DType, *, is_positive: bool) -> Array:
    """Return integers, wrapped: NumPy's own conversion does what it likes out of range."""
    if dtype.kind == "b":
        return _truncated(sums, largest, np.dtype(np.uint8), is_positive=is_positive).astype(dtype)
    low, high = _bounds(dtype)
    if largest < high + 0.5 and (is_positive or low < 0):
        return sums.astype(dtype)
    if dtype == np.uint64:
        whole = sums.astype(np.int64).astype(dtype)
        return np.where(sums < 2.0**63, whole, sums.astype(dtype))
    return sums.astype(np.int32 if largest < 2**31 - 1 else np.int64).astype(dtype, copy=False)


def _boundary(mode: Any, cval: float) -> Mode:
    """Return the padding mode that SciPy calls `mode`."""
    found = MODES.get(mode) if isinstance(mode, str) else None
    if found is None:
        if mode not in CONSTANT_MODES:
            known = ", ".join(map(repr, (*MODES, *CONSTANT_MODES)))
            raise RuntimeError(
                f"boundary mode not supported: mode={mode!r}, expected one of {known}"
            )
        return ("constant", cval) if cval != 0 else "zeros"
    return found


@cache
def _bounds(dtype: DType) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _largest(x: Array) -> float:
    """Return what the magnitudes in x do not exceed."""
    if x.dtype.kind != "f" and x.dtype.itemsize <= 2:
        low, high = _bounds(x.dtype)
        return float(max(-low, high))
    return max(float(x.max()), -float(x.min()))


def _slide(x: Array, w: Array, axes: Sequence[int], pads: Pads, modes: Sequence[Mode]) -> Array:
    """Correlate along `axes`, in rising order; x and w are of one dtype, float32 or float64."""
    if w.size == 1:
        return x * w.reshape(())
    if 1 in w.shape:
        wide = [i for i, k in enumerate(w.shape) if k > 1]
        w = w.reshape([w.shape[i] for i in wide])
        axes, modes = [axes[i] for i in wide], [modes[i] for i in wide]
        pads = tuple(pads[i] for i in wide)
    rank = w.ndim
    last = tuple(range(x.ndim - rank, x.ndim))
    if tuple(axes) == last:
        return _convolve(x, w, pads, modes)
    inner = math.prod(x.shape[axes[0] + 1 :])
    if rank == 1 and (inner >= LEAST_INNER or x.size < LEAST_MOVED):
        folded = x.reshape(-1, x.shape[axes[0]], inner)
        y = _convolve(folded, w[:, np.newaxis], (*pads, (0, 0)), (*modes, "zeros"))
        return y.reshape(x.shape)
    y = _convolve(np.moveaxis(x, axes, last), w, pads, modes)
    return np.ascontiguousarray(np.moveaxis(y, last, axes))


def _convolve(x: Array, w: Array, pads: Pads, modes: Sequence[Mode]) -> Array:
    """Correlate along the last axes; of more than three, the taps of the first are added here."""
    if w.ndim <= max(CONV):
        y: Array = CONV[w.ndim](x, w, padding=pads, padding_mode=tuple(modes))
        return y
    axis = x.ndim - w.ndim
    size, mode = x.shape[axis], modes[0]
    index = index_map(size, *pads[0], mode)
    padded = np.moveaxis(np.take(x, index, axis), axis, 0)
    if is_constant(mode):
        padded[index == CONSTANT] = pad_value(mode)
    y = np.zeros(padded[:size].shape, x.dtype)
    for k, tap in enumerate(w):
        y += _convolve(padded[k : k + size], tap, pads[1:], modes[1:])
    return np.moveaxis(y, 0, axis)
