"""The linear filters of `scipy.ndimage`, computed by convkit.

Signatures, defaults, dtypes, modes and errors are those of SciPy 1.17; SciPy is not needed. What
differs:

- float32 is added in float32, where SciPy adds in float64 and rounds once a pass. Filters of more
  than 255 taps may pass a fast Fourier transform, whose rounding is that of its largest sum.
- Sums that are truncated to integers are first taken for the integer they are within rounding of:
  a flat area stays flat, whatever the order of summation. SciPy may be lower by one there.
- Sums beyond the range of an integer output are whatever the processor's conversion gives, there
  as here.
- `correlate` and `convolve` use every weight. SciPy's skip those of at most 2.2e-16, and with them
  the NaN and the infinities that they would meet.
- `uniform_filter` adds each window by itself: NaN and infinities stay within the windows that hold
  them, and nothing drifts. SciPy's running sums keep them to the end of the line.

>>> import numpy as np
>>> from convkit.compat import ndimage
>>> ndimage.uniform_filter(np.array([[0.0, 0, 9], [0, 0, 0], [0, 0, 0]]))[1]
array([0., 1., 2.])
"""

from __future__ import annotations

import numbers
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import ArrayLike, DTypeLike

from convkit.compat import _ndimage_core as core
from convkit.dtypes import Array, DType

__all__ = [
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_gradient_magnitude",
    "generic_laplace",
    "laplace",
    "prewitt",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]

Output: TypeAlias = "Array | DTypeLike | None"
Modes: TypeAlias = "str | Sequence[str]"
Axes: TypeAlias = "int | Iterable[int] | None"

# A derivative that comes in SciPy's form: (input, axis, output, mode, cval, *extra).
Derivative: TypeAlias = Callable[..., Any]


def correlate(
    input: ArrayLike,
    weights: ArrayLike,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: Axes = None,
) -> Array:
    """Correlate an array with weights, as `scipy.ndimage.correlate` does.

    Parameters
    ----------
    input : array_like
        bool, integers, float32, float64 or complex.
    weights : array_like
        One axis for each of `axes`, which they meet in rising order; conjugated if complex.
    output : array or dtype, optional
        Where to write, or the result's dtype; by default that of `input`, complex if `weights` are.
    mode : str, default "reflect"
        What lies beyond the edges: "reflect" or "grid-mirror" (the edge is repeated), "mirror" (it
        is not), "nearest", "wrap" or "grid-wrap", "constant" or "grid-constant" (`cval`).
    cval : number, default 0
        The value of "constant".
    origin : int or sequence of int, default 0
        How far the filter is moved, in elements; within the filter.
    axes : int or iterable of int, optional
        The axes that are filtered; by default all.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError
        If weights, `output` or `mode` do not fit; an `UnsupportedError` if a dtype is not taken.
    ValueError
        If `origin` or `axes` do not fit.

    See Also
    --------
    convkit.correlate : Without SciPy's rules for dtypes.

    Notes
    -----
    Every weight counts: SciPy skips those of at most 2.2e-16, and the NaN they meet.

    Examples
    --------
    >>> correlate([1.0, 2, 3], [1, 0, 0])
    array([1., 1., 2.])
    >>> correlate(np.array([250, 4], np.uint8), [1, 1], mode="constant")
    array([250, 254], dtype=uint8)
    """
    w = np.asarray(weights)
    return _correlate(
        input, w.conj() if w.dtype.kind == "c" else w, output, mode, cval, origin, axes
    )


def convolve(
    input: ArrayLike,
    weights: ArrayLike,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: Axes = None,
) -> Array:
    """Convolve an array with weights, as `scipy.ndimage.convolve` does.

    The weights are flipped and not conjugated; all else is as in `correlate`.

    Examples
    --------
    >>> convolve([1.0, 2, 3], [1, 0, 0])
    array([2., 3., 3.])
    """
    return _correlate(input, weights, output, mode, cval, origin, axes, is_flipped=True)


def _correlate(
    input: Any,
    weights: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
    *,
    is_flipped: bool = False,
) -> Array:
    """Correlate along any axes; of SciPy's order of weights and origins under `axes`."""
    x, w = np.asarray(input), np.asarray(weights)
    dtype, target = core.read_output(output, x, is_complex="c" in (x.dtype.kind, w.dtype.kind))
    filter_ = core.found_with(_correlation, x, dtype, w, mode, cval, origin, axes, is_flipped)
    return core.deliver(filter_(x), target)


def _correlation(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    w: Array,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
    is_flipped: bool,
) -> core.Filter:
    """Read the arguments of `correlate`, with weights that need not be conjugated any more."""
    along = core.read_axes(axes, len(shape))
    if w.ndim != len(along):
        raise RuntimeError(f"weights.ndim ({w.ndim}) must match len(axes) ({len(along)})")
    if not w.size:
        raise RuntimeError(f"no filter weights given: weights have shape {w.shape}")
    if not isinstance(mode, str) and isinstance(mode, Iterable):
        raise RuntimeError(f"A sequence of modes is not supported: mode={mode!r}, expected one")
    origins = core.per_axis(origin, len(along))
    if len(along) < len(shape):  # with all axes SciPy takes the origins in the order of the array's
        origins = [origins[i] for i in np.argsort(along)]
    shifts = [core.read_origin(o, k) for o, k in zip(origins, w.shape, strict=True)]
    if is_flipped:
        w = np.flip(w)
        shifts = [core.flipped_origin(o, k) for o, k in zip(shifts, w.shape, strict=True)]
    modes = [mode] * len(along)
    return core.correlation(shape, x_dtype, w, sorted(along), shifts, modes, cval, dtype)


def correlate1d(
    input: ArrayLike,
    weights: ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> Array:
    """Correlate along one axis, as `scipy.ndimage.correlate1d` does.

    Parameters
    ----------
    input, output, mode, cval
        As of `correlate`.
    weights : array_like, shape (K,)
        The filter; conjugated if complex.
    axis : int, default -1
        The axis that is filtered.
    origin : int, default 0
        How far the filter is moved, in elements; within the filter.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `correlate` does.

    Examples
    --------
    >>> correlate1d([2, 8, 0, 4, 1, 9, 9, 0], weights=[1, 3])
    array([ 8, 26,  8, 12,  7, 28, 36,  9])
    """
    w = np.asarray(weights)
    return _correlate1d(
        input, w.conj() if w.dtype.kind == "c" else w, axis, output, mode, cval, origin
    )


def convolve1d(
    input: ArrayLike,
    weights: ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> Array:
    """Convolve along one axis, as `scipy.ndimage.convolve1d` does.

    The weights are flipped and not conjugated; all else is as in `correlate1d`.

    Examples
    --------
    >>> convolve1d([2, 8, 0, 4, 1, 9, 9, 0], weights=[1, 3])
    array([14, 24,  4, 13, 12, 36, 27,  0])
    """
    return _correlate1d(input, weights, axis, output, mode, cval, origin, is_flipped=True)


def _correlate1d(
    input: Any,
    weights: Any,
    axis: Any,
    output: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    *,
    is_flipped: bool = False,
) -> Array:
    """Correlate along one axis, with weights that need not be conjugated any more."""
    x, w = np.asarray(input), np.asarray(weights)
    dtype, target = core.read_output(output, x, is_complex="c" in (x.dtype.kind, w.dtype.kind))
    filter_ = core.found_with(_correlation1d, x, dtype, w, axis, mode, cval, origin, is_flipped)
    return core.deliver(filter_(x), target)


def _correlation1d(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    w: Array,
    axis: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    is_flipped: bool,
) -> core.Filter:
    """Read the arguments of `correlate1d`, with weights that need not be conjugated any more."""
    if w.dtype.kind == "c":
        core.check_cval(x_dtype, cval)
    if w.ndim != 1 or not w.size:
        raise RuntimeError(f"no filter weights given: weights have shape {w.shape}, expected (K,)")
    along = normalize_axis_index(axis, len(shape))
    shift = core.read_origin(origin, w.size)
    if is_flipped:
        w, shift = w[::-1], core.flipped_origin(shift, w.size)
    return core.correlation(shape, x_dtype, w, (along,), (shift,), (mode,), cval, dtype)


def gaussian_filter1d(
    input: ArrayLike,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> Array:
    """Blur along one axis, as `scipy.ndimage.gaussian_filter1d` does.

    Parameters
    ----------
    input, axis, output, mode, cval
        As of `correlate1d`.
    sigma : float
        Standard deviation of the Gaussian, in elements.
    order : int, default 0
        Which derivative of the Gaussian; 0 for itself.
    truncate : float, default 4
        Where the Gaussian ends, in standard deviations.
    radius : int, optional
        Where it ends, in elements; `truncate` is ignored then.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `correlate` does, and for a negative `radius` or `order`.

    Examples
    --------
    >>> gaussian_filter1d([1.0, 2.0, 3.0, 4.0, 5.0], 1).round(3)
    array([1.427, 2.068, 3.   , 3.932, 4.573])
    """
    x = np.asarray(input)
    dtype, target = core.read_output(output, x, is_complex=x.dtype.kind == "c")
    blur = core.found(_blur1d, x, dtype, sigma, axis, order, mode, cval, truncate, radius)
    return core.deliver(blur(x), target)


def _blur1d(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    sigma: Any,
    axis: Any,
    order: Any,
    mode: Any,
    cval: Any,
    truncate: Any,
    radius: Any,
) -> core.Filter:
    """Read the arguments of `gaussian_filter1d`."""
    along = normalize_axis_index(axis, len(shape))
    w = _gaussian(sigma, order, truncate, radius, dtype)
    return core.correlation(shape, x_dtype, w, (along,), (0,), (mode,), cval, dtype)


def gaussian_filter(
    input: ArrayLike,
    sigma: float | Sequence[float],
    order: int | Sequence[int] = 0,
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | Sequence[int] | None = None,
    axes: Axes = None,
) -> Array:
    """Blur along several axes, as `scipy.ndimage.gaussian_filter` does.

    Parameters
    ----------
    input, output, cval, axes
        As of `correlate`.
    sigma, order, mode, radius
        As of `gaussian_filter1d`, for all axes or for each; a sigma of 0 leaves an axis alone.
    truncate : float, default 4
        Where the Gaussians end, in standard deviations.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `gaussian_filter1d` does.

    Notes
    -----
    Integers are truncated after each axis, as SciPy does: pass a float `output` to be exact.

    Examples
    --------
    >>> gaussian_filter(np.arange(0, 50, 2).reshape(5, 5), sigma=1)[0]
    array([ 4,  6,  8,  9, 11])
    """
    x = np.asarray(input)
    dtype, target = core.read_output(output, x, is_complex=False)
    blur = core.found(_blur, x, dtype, sigma, order, mode, cval, truncate, radius, axes)
    return core.deliver(blur(x), target)


def _blur(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    sigma: Any,
    order: Any,
    mode: Any,
    cval: Any,
    truncate: Any,
    radius: Any,
    axes: Any,
) -> core.Filter:
    """Read the arguments of `gaussian_filter`."""
    along = core.read_axes(axes, len(shape))
    count = len(along)
    rows = zip(
        along,
        core.per_axis(sigma, count),
        core.per_axis(order, count),
        core.per_axis(mode, count),
        core.per_axis(radius, count),
        strict=True,
    )
    used = [(a, _gaussian(s, o, truncate, r, dtype), m) for a, s, o, m, r in rows if s > 1e-15]
    return _passes(shape, x_dtype, dtype, used, cval)


def _passes(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    used: Sequence[tuple[int, Array, str]],
    cval: Any,
) -> core.Filter:
    """Correlate along each axis with its weights and mode."""
    along, factors, modes = zip(*used, strict=True) if used else ((), (), ())
    return core.separable(shape, x_dtype, factors, along, (0,) * len(used), modes, cval, dtype)


def _gaussian(sigma: Any, order: Any, truncate: float, radius: Any, dtype: DType) -> Array:
    """Return the weights that correlate with a Gaussian or its derivative into `dtype`."""
    width = float(sigma)
    if radius is None:
        radius = int(truncate * width + 0.5)
    if not isinstance(radius, numbers.Integral) or radius < 0:
        raise ValueError(f"Radius must be a nonnegative integer, not {radius}.")
    is_single = dtype in (np.float32, np.complex64)
    return _gaussian_weights(width, operator.index(order), int(radius), is_single)


@lru_cache(maxsize=256)
def _gaussian_weights(sigma: float, order: int, radius: int, is_single: bool) -> Array:
    """Return the Gaussian times the polynomial that deriving it `order` times gives, flipped."""
    if order < 0:
        raise ValueError(f"order must be non-negative, not {order}")
    if sigma * sigma == 0:
        raise ZeroDivisionError(f"sigma={sigma}: the width of a Gaussian is not 0")
    i = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / (sigma * sigma) * i**2)
    weights /= weights.sum()
    # The derivative of q(x) g(x) is (q'(x) - q(x) x / sigma**2) g(x).
    q = np.polynomial.Polynomial([1.0])
    for _ in range(order):
        q = q.deriv() - q * np.polynomial.Polynomial([0.0, 1.0]) / (sigma * sigma)
    half = (q(i) * weights)[radius:]
    half = _single(half) if is_single else half
    weights = np.concatenate([half[:0:-1], -half if order % 2 else half])
    weights.setflags(write=False)
    return weights


def _single(half: Array) -> Array:
    """Round weights, from the centre outwards, to float32, and keep their sum to float64.

    Each rounding error is carried on to the next weight; that of the centre goes both ways. With
    an error of the sum of 2e-8 an image would be as much brighter, everywhere.
    """
    rounded, carried = np.empty_like(half), 0.0
    for i, weight in enumerate(half):
        rounded[i] = np.float32(weight + carried)
        carried += weight - rounded[i]
        carried /= 1 if i else 2
    return rounded


def uniform_filter1d(
    input: ArrayLike,
    size: int,
    axis: int = -1,
    output: Output = None,
    mode: str = "reflect",
    cval: complex = 0.0,
    origin: int = 0,
) -> Array:
    """Average along one axis, as `scipy.ndimage.uniform_filter1d` does.

    NaN and infinities stay within the windows that hold them, unlike SciPy's.

    Parameters
    ----------
    input, axis, output, mode, cval, origin
        As of `correlate1d`.
    size : int
        How many elements are averaged.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `correlate` does, and for a `size` below 1.

    Examples
    --------
    >>> uniform_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([4, 3, 4, 1, 4, 6, 6, 3])
    >>> uniform_filter1d([np.nan, 1.0, 2.0, 3.0], size=2)
    array([nan, nan, 1.5, 2.5])
    """
    x = np.asarray(input)
    dtype, target = core.read_output(output, x, is_complex=x.dtype.kind == "c")
    average = core.found(_average1d, x, dtype, size, axis, mode, cval, origin)
    return core.deliver(average(x), target)


def _average1d(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    size: Any,
    axis: Any,
    mode: Any,
    cval: Any,
    origin: Any,
) -> core.Filter:
    """Read the arguments of `uniform_filter1d`."""
    along = normalize_axis_index(axis, len(shape))
    if size < 1:
        raise RuntimeError(f"incorrect filter size: size={size}, expected at least 1")
    return _averages(shape, x_dtype, dtype, [(along, operator.index(size), origin, mode)], cval)


def uniform_filter(
    input: ArrayLike,
    size: int | Sequence[int] = 3,
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
    origin: int | Sequence[int] = 0,
    *,
    axes: Axes = None,
) -> Array:
    """Average over boxes, as `scipy.ndimage.uniform_filter` does.

    NaN and infinities stay within the boxes that hold them, unlike SciPy's.

    Parameters
    ----------
    input, output, cval, axes
        As of `correlate`.
    size, mode, origin
        As of `uniform_filter1d`, for all axes or for each; a size below 2 leaves an axis alone.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `uniform_filter1d` does.

    Notes
    -----
    Integers are truncated after each axis, as SciPy does: pass a float `output` to be exact.

    Examples
    --------
    >>> uniform_filter(np.eye(3) * 9, 3, mode="constant")[1]
    array([2., 3., 2.])
    """
    x = np.asarray(input)
    dtype, target = core.read_output(output, x, is_complex=x.dtype.kind == "c")
    average = core.found(_average, x, dtype, size, mode, cval, origin, axes)
    return core.deliver(average(x), target)


def _average(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    size: Any,
    mode: Any,
    cval: Any,
    origin: Any,
    axes: Any,
) -> core.Filter:
    """Read the arguments of `uniform_filter`."""
    along = core.read_axes(axes, len(shape))
    count = len(along)
    rows = zip(
        along,
        core.per_axis(size, count),
        core.per_axis(origin, count),
        core.per_axis(mode, count),
        strict=True,
    )
    used = [(a, int(k), o, m) for a, k, o, m in rows if k > 1]
    return _averages(shape, x_dtype, dtype, used, cval)


def _averages(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    used: Sequence[tuple[int, int, Any, str]],
    cval: Any,
) -> core.Filter:
    """Average along each axis."""
    along, sizes, given, modes = zip(*used, strict=True) if used else ((), (), (), ())
    origins = [core.read_origin(o, k) for o, k in zip(given, sizes, strict=True)]
    factors = [np.ones(k) for k in sizes]
    return core.separable(shape, x_dtype, factors, along, origins, modes, cval, dtype, sizes)


def prewitt(
    input: ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
) -> Array:
    """Take differences along one axis and sums along all others, as `scipy.ndimage.prewitt` does.

    Parameters
    ----------
    input, axis, output, cval
        As of `correlate1d`.
    mode : str or sequence of str, default "reflect"
        For all axes of `input` or for each.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `correlate` does.

    Examples
    --------
    >>> prewitt(np.arange(9.0).reshape(3, 3))[1]
    array([3., 6., 3.])
    """
    return _gradient(input, axis, output, mode, cval, 1.0)


def sobel(
    input: ArrayLike,
    axis: int = -1,
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
) -> Array:
    """Take differences along one axis and blur along all others, as `scipy.ndimage.sobel` does.

    All else is as in `prewitt`.

    Examples
    --------
    >>> sobel(np.arange(9.0).reshape(3, 3))[1]
    array([4., 8., 4.])
    """
    return _gradient(input, axis, output, mode, cval, 2.0)


def _gradient(input: Any, axis: Any, output: Any, mode: Any, cval: Any, centre: float) -> Array:
    """Correlate with [-1, 0, 1] along `axis` and with [1, centre, 1] along all others."""
    x = np.asarray(input)
    dtype, target = core.read_output(output, x, is_complex=False)
    difference = core.found(_difference, x, dtype, axis, mode, cval, centre)
    return core.deliver(difference(x), target)


def _difference(
    shape: tuple[int, ...],
    x_dtype: DType,
    dtype: DType,
    axis: Any,
    mode: Any,
    cval: Any,
    centre: float,
) -> core.Filter:
    """Read the arguments of `prewitt` and `sobel`."""
    ndim = len(shape)
    along = normalize_axis_index(axis, ndim)
    modes = core.per_axis(mode, ndim)
    across = np.array([1.0, centre, 1.0])
    used = [(along, np.array([-1.0, 0.0, 1.0]), modes[along])]
    used += [(i, across, modes[i]) for i in range(ndim) if i != along]
    return _passes(shape, x_dtype, dtype, used, cval)


def generic_laplace(
    input: ArrayLike,
    derivative2: Derivative,
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: Axes = None,
) -> Array:
    """Add second derivatives of your own, as `scipy.ndimage.generic_laplace` does.

    Parameters
    ----------
    input, output, cval, axes
        As of `correlate`.
    derivative2 : callable
        Called as ``derivative2(input, axis, output, mode, cval, *extra_arguments,
        **extra_keywords)``; `output` is an array to write to, or a dtype.
    mode : str or sequence of str, default "reflect"
        For all of `axes` or for each.
    extra_arguments, extra_keywords
        Passed on.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `correlate` does.

    Examples
    --------
    >>> def second(input, axis, output, mode, cval):
    ...     return correlate1d(input, [1, -2, 1], axis, output, mode, cval)
    >>> generic_laplace(np.arange(5.0) ** 2, second, mode="nearest")
    array([ 1.,  2.,  2.,  2., -7.])
    """
    x = np.asarray(input)
    along = core.read_axes(axes, x.ndim)
    out = _array(output, x)
    if not along:
        out[...] = x
        return out
    terms = _derivatives(x, derivative2, out, along, mode, cval, extra_arguments, extra_keywords)
    next(terms)
    for term in terms:
        out += term
    return out


def _array(output: Any, x: Array) -> Array:
    """Return the array that a result is written to."""
    dtype, target = core.read_output(output, x, is_complex=False)
    return np.empty(x.shape, dtype) if target is None else target


def _derivatives(
    x: Array,
    derivative: Derivative,
    out: Array,
    along: Sequence[int],
    mode: Modes,
    cval: Any,
    arguments: Sequence[Any],
    keywords: Mapping[str, Any] | None,
) -> Iterator[Array]:
    """Yield the derivative along each axis, the first of them in `out`."""
    modes = core.per_axis(mode, len(along))
    derivative(x, along[0], out, modes[0], cval, *arguments, **(keywords or {}))
    yield out
    for axis, own in zip(along[1:], modes[1:], strict=True):
        yield derivative(x, axis, out.dtype, own, cval, *arguments, **(keywords or {}))


def generic_gradient_magnitude(
    input: ArrayLike,
    derivative: Derivative,
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: Mapping[str, Any] | None = None,
    *,
    axes: Axes = None,
) -> Array:
    """Take the length of the gradient, as `scipy.ndimage.generic_gradient_magnitude` does.

    `derivative` is called as `derivative2` of `generic_laplace` is; all else is as there.

    Examples
    --------
    >>> generic_gradient_magnitude(np.arange(9.0).reshape(3, 3), sobel)[1, 1].round(2)
    np.float64(25.3)
    """
    x = np.asarray(input)
    along = core.read_axes(axes, x.ndim)
    out = _array(output, x)
    if not along:
        out[...] = x
        return out
    terms = _derivatives(x, derivative, out, along, mode, cval, extra_arguments, extra_keywords)
    np.multiply(next(terms), out, out)
    for term in terms:
        out += np.multiply(term, term, term)
    return np.sqrt(out, out, casting="unsafe")


def laplace(
    input: ArrayLike,
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
    *,
    axes: Axes = None,
) -> Array:
    """Add the second differences along all axes, as `scipy.ndimage.laplace` does.

    Parameters
    ----------
    input, output, cval, axes
        As of `correlate`.
    mode : str or sequence of str, default "reflect"
        For all of `axes` or for each.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `correlate` does.

    Examples
    --------
    >>> laplace(np.arange(5.0) ** 2, mode="nearest")
    array([ 1.,  2.,  2.,  2., -7.])
    """
    x = np.asarray(input)
    dtype, target = core.read_output(output, x, is_complex=False)
    sum_ = core.found(_second_differences, x, dtype, mode, cval, axes)
    return core.deliver(sum_(x), target)


def _second_differences(
    shape: tuple[int, ...], x_dtype: DType, dtype: DType, mode: Any, cval: Any, axes: Any
) -> core.Filter:
    """Read the arguments of `laplace`."""
    along = core.read_axes(axes, len(shape))
    modes = core.per_axis(mode, len(along))
    w = np.array([1.0, -2.0, 1.0])
    terms = [
        core.correlation(shape, x_dtype, w, (axis,), (0,), (own,), cval, dtype)
        for axis, own in zip(along, modes, strict=True)
    ]
    if not terms:
        return lambda x: x.astype(dtype)

    def run(x: Array) -> Array:
        y = terms[0](x)
        for term in terms[1:]:
            y += term(x)
        return y

    return run


def gaussian_laplace(
    input: ArrayLike,
    sigma: float | Sequence[float],
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
    *,
    axes: Axes = None,
    **kwargs: Any,
) -> Array:
    """Add the second derivatives of a blurred array, as `scipy.ndimage.gaussian_laplace` does.

    Parameters
    ----------
    input, output, cval, axes
        As of `correlate`.
    sigma : float or sequence of float
        Standard deviations, in elements, for all of `axes` or for each.
    mode : str or sequence of str, default "reflect"
        For the derivatives along all of `axes` or along each, on all axes.
    **kwargs
        `truncate` and `radius` of `gaussian_filter`.

    Returns
    -------
    ndarray, of the shape of `input`
        `output` if that is an array.

    Raises
    ------
    RuntimeError, ValueError
        As `gaussian_filter` does.

    Examples
    --------
    >>> gaussian_laplace(np.arange(9.0) ** 2, sigma=1)[4].round(2)
    np.float64(2.0)
    """
    x = np.asarray(input)
    along = core.read_axes(axes, x.ndim)
    sigmas: list[Any] = [0] * x.ndim
    for axis, width in zip(along, core.per_axis(sigma, len(along)), strict=True):
        sigmas[axis] = width
    derive = _gaussian_derivative(2)
    return generic_laplace(x, derive, output, mode, cval, (tuple(sigmas),), kwargs, axes=along)


def _gaussian_derivative(order: int) -> Derivative:
    """Return the function that blurs along all axes and derives along one."""

    def derive(
        x: Array, axis: int, output: Any, mode: str, cval: Any, sigma: Any, **kwargs: Any
    ) -> Array:
        orders = tuple(order if i == axis else 0 for i in range(x.ndim))
        return gaussian_filter(x, sigma, orders, output, mode, cval, **kwargs)

    return derive


def gaussian_gradient_magnitude(
    input: ArrayLike,
    sigma: float | Sequence[float],
    output: Output = None,
    mode: Modes = "reflect",
    cval: complex = 0.0,
    *,
    axes: Axes = None,
    **kwargs: Any,
) -> Array:
    """Measure the gradient of a blurred array, as `scipy.ndimage.gaussian_gradient_magnitude` does.

    All is as in `gaussian_laplace`, except that `sigma` is for all axes of `input`, or for each of
    them: SciPy blurs along those too that are not in `axes`.

    Examples
    --------
    >>> gaussian_gradient_magnitude(np.arange(9.0) * 3, sigma=1)[4].round(2)
    np.float64(3.0)
    """
    derive = _gaussian_derivative(1)
    return generic_gradient_magnitude(
        input, derive, output, mode, cval, (sigma,), kwargs, axes=axes
    )
