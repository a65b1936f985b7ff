"""The convolutions and FIR filters of `scipy.signal`, by their names and signatures.

Shapes, dtypes, modes and errors are SciPy's; what is summed is summed by convkit. Integers are
exact and wrap as SciPy's do, and NaN stays where direct summation puts it. `object` and
`longdouble`, which no kernel takes, are summed tap by tap.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from math import gcd
from timeit import Timer
from typing import Any, Literal, cast

import numpy as np

from convkit.compat._signal_sums import (
    UPFIRDN_MODES,
    along_axis,
    by_taps,
    padding_of,
    polyphase,
    slide,
    sums,
)
from convkit.dtypes import Array, DType
from convkit.errors import UnsupportedError
from convkit.functional import conv2d
from convkit.signal import convolve as convolution
from convkit.signal import correlate as correlation
from convkit.signal import plan_convolve

__all__ = [
    "choose_conv_method",
    "convolve",
    "convolve2d",
    "correlate",
    "correlate2d",
    "correlation_lags",
    "decimate",
    "fftconvolve",
    "lfilter",
    "oaconvolve",
    "resample_poly",
    "savgol_coeffs",
    "savgol_filter",
    "sepfir2d",
    "upfirdn",
]

METHODS: dict[str, dict[str, Any]] = {"auto": {}, "fft": {}, "direct": {"algorithm": "direct"}}
BOUNDARIES = {
    **{"fill": "constant", "pad": "constant", "wrap": "circular", "circular": "circular"},
    **{"symm": "symmetric", "symmetric": "symmetric"},
}
NUMPY_MODES: dict[str, Any] = {"circular": "wrap", "symmetric": "symmetric"}
SAVGOL_MODES = {"mirror": "reflect", "nearest": "replicate", "wrap": "circular"}
BACKGROUNDS: dict[str, Callable[..., Any]] = {
    **{"mean": np.mean, "median": np.median},
    **{"minimum": np.min, "maximum": np.max},
}


def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Convolve two arrays, as `scipy.signal.convolve` does.

    Parameters
    ----------
    in1, in2 : array_like
        Of the same number of axes.
    mode : {"full", "same", "valid"}
        All outputs, those centred on `in1`, or those that need no padding.
    method : {"auto", "direct", "fft"}
        "direct" forces direct summation; the others leave the choice to convkit.

    Returns
    -------
    ndarray
        Of dtype ``np.result_type(in1, in2)``.

    Raises
    ------
    ValueError
        If numbers of axes differ, neither array holds the other in "valid" mode, or an argument
        is unknown.

    Notes
    -----
    Integers are exact whatever the method, and NaN spreads no further than its taps reach; so
    there is no warning about either.

    Examples
    --------
    >>> convolve([1, 2, 3], [0, 1, 1], "same")
    array([1, 3, 5])
    """
    x, w = np.asarray(in1), np.asarray(in2)
    if x.ndim != w.ndim:
        raise ValueError("volume and kernel should have the same dimensionality")
    if x.ndim == 0:
        return x * w
    if method not in METHODS:
        raise ValueError("Acceptable method flags are 'auto', 'direct', or 'fft'.")
    if mode == "valid" and _is_swapped(mode, x.shape, w.shape, range(x.ndim)):
        x, w = w, x
    return slide(x, w, mode, **METHODS[method])


def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """Correlate two arrays, as `scipy.signal.correlate` does; `in2` is conjugated.

    All else is as in `convolve`.

    Examples
    --------
    >>> correlate([1, 2, 3], [0, 1, 0.5])
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    x, w = np.asarray(in1), np.asarray(in2)
    if x.ndim != w.ndim:
        raise ValueError("in1 and in2 should have the same dimensionality")
    if x.ndim == 0:
        return x * w.conj()
    if method not in METHODS:
        raise ValueError("Acceptable method flags are 'auto', 'direct', or 'fft'.")
    if mode == "valid" and _is_swapped(mode, x.shape, w.shape, range(x.ndim)):
        return np.flip(slide(w, x, mode, function=correlation, **METHODS[method])).conj()
    return slide(x, w, mode, function=correlation, **METHODS[method])


def correlation_lags(in1_len: int, in2_len: int, mode: str = "full") -> Any:
    """Return the lag of every output of a 1-D `correlate`: `scipy.signal.correlation_lags`.

    Parameters
    ----------
    in1_len, in2_len : int
        Lengths of the two signals.
    mode : {"full", "same", "valid"}
        That of the correlation.

    Returns
    -------
    ndarray of int, shape (length of the correlation,)

    Examples
    --------
    >>> correlation_lags(4, 3)
    array([-2, -1,  0,  1,  2,  3])
    """
    if mode == "full":
        return np.arange(1 - in2_len, in1_len)
    if mode == "same":
        first = (in1_len + in2_len - 1) // 2 - in1_len // 2 - in2_len + 1
        return np.arange(first, first + in1_len)
    if mode == "valid":
        return np.arange(min(0, in1_len - in2_len), max(0, in1_len - in2_len) + 1)
    raise ValueError(f"Mode {mode} is invalid")


def choose_conv_method(
    in1: Any, in2: Any, mode: str = "full", measure: bool = False
) -> str | tuple[str, dict[str, float]]:
    """Say which `method` of `convolve` is fastest, as `scipy.signal.choose_conv_method` does.

    Parameters
    ----------
    in1, in2 : array_like
        Of the same number of axes.
    mode : {"full", "same", "valid"}
        As in `convolve`.
    measure : bool, default False
        Time both methods instead of asking convkit's cost model.

    Returns
    -------
    str, or (str, dict) if measured
        "direct", or "fft", which `convolve` takes for "auto"; the seconds of each.

    Examples
    --------
    >>> choose_conv_method([1.0, 2.0, 3.0], [0.5, 0.5])
    'direct'
    """
    x, w = np.asarray(in1), np.asarray(in2)
    if measure:
        times = {
            method: _seconds(lambda method=method: convolve(x, w, mode, method))  # type: ignore[misc]
            for method in ("fft", "direct")
        }
        return ("fft" if times["fft"] < times["direct"] else "direct"), times
    dtype = np.result_type(x.dtype, w.dtype)
    if x.ndim == 0 or dtype.kind not in "fc" or dtype.char in "gG":
        return "direct"
    if _is_swapped(mode, x.shape, w.shape, range(x.ndim)):
        x, w = w, x
    padding_of(mode, w.shape)  # says what is wrong with a mode
    plan = plan_convolve(x.shape, np.zeros(w.shape, dtype), cast("Any", mode))
    return "fft" if plan.algorithm == "fft" else "direct"


def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Convolve two arrays along some of their axes, as `scipy.signal.fftconvolve` does.

    Parameters
    ----------
    in1, in2 : array_like
        Of the same number of axes; those outside `axes` broadcast.
    mode : {"full", "same", "valid"}
        As in `convolve`, along `axes`.
    axes : int or sequence of int, optional
        Axes to convolve along; by default all.

    Returns
    -------
    ndarray
        Of the floating dtype that SciPy's FFT gives: float64 of integers, float32 of float16.

    Raises
    ------
    ValueError
        If shapes, axes or modes do not fit.

    Notes
    -----
    Whether an FFT is used is convkit's choice. Results are exact where direct sums are, and NaN
    stays where they put it.

    Examples
    --------
    >>> fftconvolve([[1, 2], [3, 4]], [[1, 1]], axes=1)
    array([[1., 3., 2.],
           [3., 7., 4.]])
    """
    x, w = np.asarray(in1), np.asarray(in2)
    if x.ndim == w.ndim == 0:
        return x * w
    if x.ndim != w.ndim:
        raise ValueError("in1 and in2 should have the same dimensionality")
    if x.size == 0 or w.size == 0:
        return np.array([])
    along = _axes(axes, x.ndim)
    along = tuple(a for a in along if x.shape[a] != 1 and w.shape[a] != 1)
    others = [(x.shape[a], w.shape[a]) for a in range(x.ndim) if a not in along]
    if any(n != k and 1 not in (n, k) for n, k in others):
        raise ValueError(f"incompatible shapes for in1 and in2: {x.shape} and {w.shape}")
    if _is_swapped(mode, x.shape, w.shape, along):
        x, w = w, x
    if mode not in ("full", "same", "valid"):
        raise ValueError("acceptable mode flags are 'valid', 'same', or 'full'")
    if along:
        x, w = _as_fft_input(x), _as_fft_input(w)
        y = slide(x, w, mode, along)
    else:
        y = x * w
    return _centred(y, x.shape) if mode == "same" else y


def oaconvolve(in1: Any, in2: Any, mode: str = "full", axes: Any = None) -> Any:
    """Convolve two arrays along some of their axes, as `scipy.signal.oaconvolve` does.

    The same as `fftconvolve`: blocks are convkit's choice.

    Examples
    --------
    >>> oaconvolve([1.0, 2.0, 3.0, 4.0], [1.0, 1.0], "valid")
    array([3., 5., 7.])
    """
    return fftconvolve(in1, in2, mode, axes)


def convolve2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0
) -> Any:
    """Convolve two 2-D arrays, as `scipy.signal.convolve2d` does.

    Parameters
    ----------
    in1, in2 : array_like, two axes
        Image and filter.
    mode : {"full", "same", "valid"}
        As in `convolve`.
    boundary : {"fill", "wrap", "symm"}
        What lies beyond the edges of `in1`: `fillvalue`, its other side, its mirror image.
    fillvalue : scalar, default 0
        For ``boundary="fill"``.

    Returns
    -------
    ndarray
        Of dtype ``np.result_type(in1, in2)``, which may be bool or float16 here.

    Raises
    ------
    ValueError
        If an array has not two axes, or an argument is unknown.
    TypeError
        For `longdouble` and `object`.

    Examples
    --------
    >>> convolve2d([[1, 2, 3]], [[1, 1, 1]], "same", "wrap")
    array([[6, 6, 6]])
    """
    return _convolve2d("convolve2d", in1, in2, mode, boundary, fillvalue)


def correlate2d(
    in1: Any, in2: Any, mode: str = "full", boundary: str = "fill", fillvalue: Any = 0
) -> Any:
    """Correlate two 2-D arrays, as `scipy.signal.correlate2d` does; `in2` is conjugated.

    All else is as in `convolve2d`.

    Examples
    --------
    >>> correlate2d([[1, 2, 3]], [[0, 1]], "same")
    array([[2, 3, 0]])
    """
    return _convolve2d("correlate2d", in1, in2, mode, boundary, fillvalue)


def upfirdn(
    h: Any,
    x: Any,
    up: int = 1,
    down: int = 1,
    axis: int = -1,
    mode: str = "constant",
    cval: Any = 0,
) -> Any:
    """Upsample, filter and downsample, as `scipy.signal.upfirdn` does.

    Parameters
    ----------
    h : array_like, shape (K,)
        FIR filter.
    x : array_like
        Signals along `axis`.
    up, down : int, default 1
        Zeros are put between samples until there are `up` times as many; every `down`-th output
        is kept.
    axis : int, default -1
        Axis of `x`.
    mode : str, default "constant"
        What lies beyond the ends of `x`: "constant", "symmetric", "reflect", "edge", "wrap",
        "smooth", "antisymmetric", "antireflect" or "line".
    cval : scalar, default 0
        For ``mode="constant"``.

    Returns
    -------
    ndarray
        ``((n - 1) * up + K - 1) // down + 1`` outputs along `axis`, of dtype
        ``np.result_type(h, x, np.float32)``.

    Raises
    ------
    ValueError
        If `h`, `up`, `down` or `mode` is none.
    TypeError
        For `longdouble` and `object`.

    Notes
    -----
    Of one sample "smooth", "line" and "antireflect" make a constant.

    Examples
    --------
    >>> upfirdn([0.5, 1, 0.5], [1, 2, 3], up=2)
    array([0.5, 1. , 1.5, 2. , 2.5, 3. , 1.5])
    """
    x, h = np.asarray(x), np.asarray(h)
    if h.ndim != 1 or h.size == 0:
        raise ValueError("h must be 1-D with non-zero length")
    up, down = int(up), int(down)
    if up < 1 or down < 1:
        raise ValueError("Both up and down must be >= 1")
    count = ((x.shape[axis] - 1) * up + h.size - 1) // down + 1
    return polyphase(h, x, up, down, 0, count, axis, mode.lower(), cval)


def resample_poly(
    x: Any,
    up: int,
    down: int,
    axis: int = 0,
    window: Any = ("kaiser", 5.0),
    padtype: str = "constant",
    cval: Any = None,
) -> Any:
    """Resample by a rational factor, as `scipy.signal.resample_poly` does.

    Parameters
    ----------
    x : array_like
        Signals along `axis`.
    up, down : int
        The rate is multiplied by ``up / down``.
    axis : int, default 0
        Axis of `x`.
    window : str, tuple or array_like, default ("kaiser", 5.0)
        The filter, of odd length to keep phase; or the window with which SciPy designs it.
    padtype : str, default "constant"
        A mode of `upfirdn`, or "mean", "median", "maximum", "minimum", of the signal.
    cval : scalar, optional
        For ``padtype="constant"``; by default 0.

    Returns
    -------
    ndarray
        ``ceil(n * up / down)`` samples along `axis`.

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> resample_poly([1.0, 2.0, 3.0, 4.0], 2, 1, window=[0.25, 0.5, 0.25])
    array([1. , 1.5, 2. , 2.5, 3. , 3.5, 4. , 2. ])
    """
    x = np.asarray(x)
    if up != int(up):
        raise ValueError("up must be an integer")
    if down != int(down):
        raise ValueError("down must be an integer")
    up, down = int(up), int(down)
    if up < 1 or down < 1:
        raise ValueError("up and down must be >= 1")
    if cval is not None and padtype != "constant":
        raise ValueError("cval has no effect when padtype is ", padtype)
    up, down = up // gcd(up, down), down // gcd(up, down)
    if up == down == 1:
        return x.copy()
    if isinstance(window, list | np.ndarray):
        h = np.asarray(window)
        if h.ndim > 1:
            raise ValueError("window must be 1-D")
        half = (h.size - 1) // 2
    else:
        half = 10 * max(up, down)  # of a filter that falls off like sinc
        h = _lowpass(2 * half + 1, 1 / max(up, down), window)
        h = h.astype(x.dtype) if x.dtype.kind in "fc" else h
    h = h * up if up > 1 else h

    if padtype not in (*BACKGROUNDS, *UPFIRDN_MODES):
        raise ValueError(
            "padtype must be one of: maximum, mean, median, minimum, " + ", ".join(UPFIRDN_MODES)
        )
    count = -(-x.shape[axis] * up // down)
    if padtype not in BACKGROUNDS:
        return polyphase(h, x, up, down, half, count, axis, padtype, cval or 0)
    background = BACKGROUNDS[padtype](x, axis=axis, keepdims=True)
    y = polyphase(h, x - background, up, down, half, count, axis, "constant", 0)
    y += background
    return y


def decimate(
    x: Any,
    q: int,
    n: int | None = None,
    ftype: Any = "iir",
    axis: int = -1,
    zero_phase: bool = True,
) -> Any:
    """Keep every `q`-th sample of a low-passed signal: `scipy.signal.decimate` with FIR filters.

    Parameters
    ----------
    x : array_like
        Signals along `axis`.
    q : int
        Downsampling factor.
    n : int, optional
        Order of the filter, one less than its length; by default ``20 * q``.
    ftype : {"iir", "fir"} or scipy.signal.dlti
        The filter. SciPy's default "iir" is refused, and so is a `dlti` that has poles.
    axis : int, default -1
        Axis of `x`.
    zero_phase : bool, default True
        Shift the outputs back by the filter's delay.

    Returns
    -------
    ndarray
        ``ceil(n / q)`` samples along `axis`.

    Raises
    ------
    UnsupportedError
        For an IIR filter.
    ValueError
        For an unknown `ftype`.

    Examples
    --------
    >>> decimate([1.0] * 40, 2, n=4, ftype="fir")[5:9].round(6)
    array([1., 1., 1., 1.])
    """
    x, q = np.asarray(x), operator.index(q)
    n = 20 * q if n is None else operator.index(n)
    if isinstance(ftype, str) and ftype == "fir":
        inexact = x.dtype.kind in "fc" and x.dtype != np.float16
        b = _lowpass(n + 1, 1 / q, "hamming").astype(x.dtype if inexact else np.float64)
    elif isinstance(ftype, str) and ftype == "iir":
        raise UnsupportedError(
            "ftype='iir': convkit has no recursive filters; pass ftype='fir' or call "
            "scipy.signal.decimate"
        )
    elif hasattr(ftype, "to_tf"):
        system = ftype.to_tf()
        if system.den.size > 1:
            raise UnsupportedError(
                f"ftype has {system.den.size - 1} poles: convkit has no recursive filters; call "
                f"scipy.signal.decimate"
            )
        b = system.num / system.den
    else:
        raise ValueError("invalid ftype")
    if zero_phase:
        return resample_poly(x, 1, q, axis=axis, window=b)
    return polyphase(b, x, 1, q, 0, -(-x.shape[axis] // q), axis, "constant", 0)


def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """Filter signals with an FIR filter: `scipy.signal.lfilter` without feedback.

    Parameters
    ----------
    b : array_like, shape (K,)
        Numerator.
    a : array_like, shape (M,)
        Denominator: ``a[0]`` divides `b`, all others are 0.
    x : array_like
        Signals along `axis`.
    axis : int, default -1
        Axis of `x`.
    zi : array_like, optional
        State to start from: ``max(K, M) - 1`` values along `axis`; elsewhere of the extents of
        `x`, or 1.

    Returns
    -------
    ndarray, or (ndarray, ndarray) if `zi` is given
        Outputs, of the shape of `x`; and the state at the end.

    Raises
    ------
    UnsupportedError
        If `a` has feedback, which makes an IIR filter.
    NotImplementedError
        For integers and float16, as of SciPy.
    ValueError
        If a shape does not fit.

    Examples
    --------
    >>> lfilter([0.5, 0.5], [1.0], [2.0, 4.0, 6.0], zi=[1.0])
    (array([2., 3., 5.]), array([3.]))
    """
    b, a, x = np.atleast_1d(b), np.atleast_1d(a), np.asarray(x)
    if b.ndim != 1 or b.size == 0:
        raise ValueError(f"Parameter b is not a non-empty 1d array, since {b.shape=}!")
    if a.ndim != 1 or a.size == 0:
        raise ValueError(f"Parameter a is not a non-empty 1d array, since {a.shape=}!")
    if x.ndim == 0:
        raise ValueError("x must be at least 1-D")
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    order = max(a.size, b.size) - 1
    inputs = [b, a, x]
    if zi is not None:
        zi = _broadcast_state(np.asarray(zi), x, axis, order)
        inputs.append(zi)
    dtype = np.result_type(*(array.dtype for array in inputs))
    if dtype.char not in "fdgFDGO":
        raise NotImplementedError(
            f"Parameter's dtypes produced result type '{dtype}', which is not supported!"
        )
    if a[1:].any():
        raise UnsupportedError(
            f"a={a!r} feeds outputs back: convkit has no recursive filters; call "
            f"scipy.signal.lfilter"
        )
    taps = np.zeros(order + 1, dtype)
    taps[: b.size] = b.astype(dtype) / a.astype(dtype)[0]
    x = x.astype(dtype, copy=False)
    if zi is None:
        return along_axis(x, taps, axis, (order, 0))
    full = along_axis(x, taps, axis, (order, order))
    head, tail = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    head[axis] = slice(order)
    full[tuple(head)] += zi
    head[axis], tail[axis] = slice(x.shape[axis]), slice(x.shape[axis], None)
    return full[tuple(head)], full[tuple(tail)]


def sepfir2d(input: Any, hrow: Any, hcol: Any) -> Any:
    """Convolve an image with a row filter and a column filter: `scipy.signal.sepfir2d`.

    Parameters
    ----------
    input : array_like, two axes
        Image; beyond its edges lies its mirror image.
    hrow, hcol : array_like, shape (odd,)
        Filters along the last and along the first axis.

    Returns
    -------
    ndarray, shape of `input`
        Of dtype ``np.result_type(input, np.float32)``.

    Raises
    ------
    ValueError
        If a filter has an even length, or an array the wrong number of axes.
    TypeError
        If the dtype of the result cannot hold a filter.

    Notes
    -----
    Filters may be longer than the image, which SciPy reads beyond.

    Examples
    --------
    >>> sepfir2d([[0.0, 0.0, 4.0], [0.0, 0.0, 0.0]], [1.0, 2.0, 1.0], [1.0])
    array([[ 0.,  4., 12.],
           [ 0.,  0.,  0.]])
    """
    x = _of_depth(np.asarray(input), 2)
    dtype = np.result_type(x.dtype, np.float32)
    if dtype.char not in "fdFD":
        raise TypeError(f"input has dtype {x.dtype}: expected one of up to 64 bits, or complex128")
    row, column = (_of_depth(_filter_of(h, dtype), 1) for h in (hrow, hcol))
    if row.size % 2 == 0 or column.size % 2 == 0:
        raise ValueError("hrow and hcol must be odd length")
    x = x.astype(dtype, copy=False)
    y = along_axis(x, row, 1, (row.size // 2,) * 2, "symmetric")
    return along_axis(y, column, 0, (column.size // 2,) * 2, "symmetric")


def savgol_coeffs(
    window_length: int,
    polyorder: int,
    deriv: int = 0,
    delta: float = 1.0,
    pos: float | None = None,
    use: str = "conv",
    *,
    xp: Any = None,
    device: Any = None,
) -> Any:
    """Return the taps of a Savitzky-Golay filter, as `scipy.signal.savgol_coeffs` does.

    Parameters
    ----------
    window_length : int
        Number of taps.
    polyorder : int
        Degree of the polynomial that is fitted, less than `window_length`.
    deriv : int, default 0
        Which derivative of it is taken.
    delta : float, default 1.0
        Spacing of the samples.
    pos : float, optional
        Where it is taken, in samples from the first; by default in the middle.
    use : {"conv", "dot"}
        Order of the taps: for a convolution, or for a product with the samples.
    xp, device : optional
        Array library to return an array of, and its device; by default NumPy's.

    Returns
    -------
    ndarray of float64, shape (window_length,)

    Raises
    ------
    ValueError
        If an argument is none of these.

    Examples
    --------
    >>> savgol_coeffs(5, 2).round(3)
    array([-0.086,  0.343,  0.486,  0.343, -0.086])
    """
    if polyorder >= window_length:
        raise ValueError("polyorder must be less than window_length.")
    pos = (window_length - 1) / 2 if pos is None else pos
    if not 0 <= pos < window_length:
        raise ValueError("pos must be nonnegative and less than window_length.")
    if use not in ("conv", "dot"):
        raise ValueError("`use` must be 'conv' or 'dot'")
    at = _derivative(window_length, polyorder, deriv, pos)
    taps = (at @ _fit(window_length, polyorder))[0] / delta**deriv
    taps = taps[::-1] if use == "conv" else taps
    return taps if xp is None else xp.asarray(taps, device=device)


def savgol_filter(
    x: Any,
    window_length: int,
    polyorder: int,
    deriv: int = 0,
    delta: float = 1.0,
    axis: int = -1,
    mode: str = "interp",
    cval: float = 0.0,
) -> Any:
    """Smooth signals by fitting polynomials to windows, as `scipy.signal.savgol_filter` does.

    Parameters
    ----------
    x : array_like
        Signals along `axis`.
    window_length, polyorder, deriv, delta
        As in `savgol_coeffs`.
    axis : int, default -1
        Axis of `x`.
    mode : {"interp", "mirror", "nearest", "constant", "wrap"}
        What happens where windows reach beyond the ends: "interp" evaluates the polynomial of
        the last whole window, the others extend `x`.
    cval : float, default 0.0
        For ``mode="constant"``.

    Returns
    -------
    ndarray, shape of `x`
        float32 if `x` is, else float64.

    Raises
    ------
    ValueError
        If `mode` is unknown, or a window of "interp" is longer than `x`.

    Examples
    --------
    >>> savgol_filter([0.0, 1.0, 4.0, 9.0, 16.0], 3, 1).round(3)
    array([-0.333,  1.667,  4.667,  9.667, 15.667])
    """
    if mode not in ("interp", "constant", *SAVGOL_MODES):
        raise ValueError("mode must be 'mirror', 'constant', 'nearest' 'wrap' or 'interp'.")
    x = np.asarray(x)
    x = x if x.dtype in (np.float32, np.float64) else x.astype(np.float64)
    taps = savgol_coeffs(window_length, polyorder, deriv, delta).astype(x.dtype)
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    if mode != "interp":
        pads = ((window_length - 1) // 2, window_length // 2)
        return along_axis(x, taps, axis, pads, SAVGOL_MODES.get(mode, ("constant", cval)))
    if window_length > x.shape[axis]:
        raise ValueError(
            "If mode is 'interp', window_length must be less than or equal to the size of x."
        )
    y = np.empty_like(x)
    inside, ends = np.moveaxis(y, axis, -1), np.moveaxis(x, axis, -1)
    whole = np.moveaxis(along_axis(x, taps, axis, (0, 0)), axis, -1)
    first, half = (window_length - 1) // 2, window_length // 2
    inside[..., first : first + whole.shape[-1]] = whole
    if half:
        values = _derivative(window_length, polyorder, deriv, None) / delta**deriv
        fit = _fit(window_length, polyorder).T
        inside[..., :half] = ends[..., :window_length] @ fit @ values[:half].T
        inside[..., -half:] = ends[..., -window_length:] @ fit @ values[-half:].T
    return y


# --- arguments ------------------------------------------------------------------------------


def _is_swapped(mode: str, x: tuple[int, ...], w: tuple[int, ...], axes: Any) -> bool:
    """Whether "valid" needs the two arrays in the other order."""
    if mode != "valid":
        return False
    if all(x[a] >= w[a] for a in axes):
        return False
    if all(w[a] >= x[a] for a in axes):
        return True
    raise ValueError(
        "For 'valid' mode, one must be at least as large as the other in every dimension"
    )


def _axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Return `axes` of fftconvolve as a tuple, none of them negative."""
    if axes is None:
        return tuple(range(ndim))
    try:
        given = [operator.index(a) for a in (axes if np.iterable(axes) else (axes,))]
    except TypeError:
        raise ValueError("axes must be a scalar or iterable of integers") from None
    if not given:
        raise ValueError("when provided, axes cannot be empty")
    if any(not -ndim <= a < ndim for a in given):
        raise ValueError("axes exceeds dimensionality of input")
    along = tuple(a % ndim for a in given)
    if len(set(along)) < len(along):
        raise ValueError("all axes must be unique")
    return along


def _as_fft_input(array: Array) -> Array:
    """Return `array` in the dtype in which SciPy transforms it."""
    if array.dtype.kind in "biu":
        return array.astype(np.float64)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _centred(y: Array, shape: tuple[int, ...]) -> Array:
    """Return the middle of `y`."""
    firsts = [(n - m) // 2 for n, m in zip(y.shape, shape, strict=True)]
    return y[tuple(slice(f, f + m) for f, m in zip(firsts, shape, strict=True))]


def _fill(fillvalue: Any, dtype: DType) -> Any:
    """Return `fillvalue` of convolve2d in the dtype of the result, by the rules of NumPy's C."""
    try:
        if isinstance(fillvalue, np.ndarray):
            value = fillvalue.astype(dtype, casting="safe")
        else:
            value = np.array(fillvalue, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"could not cast `fillvalue` directly to the output type, {dtype}: {error}"
        ) from None
    if value.size == 0:
        raise ValueError("`fillvalue` cannot be an empty array.")
    if value.size > 1:
        raise ValueError("`fillvalue` must be scalar or an array with one element.")
    return value.item()


def _broadcast_state(zi: Array, x: Array, axis: int, order: int) -> Array:
    """Return `zi` of lfilter in its full shape; only extents of 1 grow, and not along `axis`."""
    if zi.ndim != x.ndim:
        raise ValueError(
            f"Dimensions of parameters x and zi must match, but {x.ndim=}, {zi.ndim=}!"
        )
    expected = (*x.shape[:axis], order, *x.shape[axis + 1 :])
    fits = [
        n == m or (n == 1 and i != axis)
        for i, (n, m) in enumerate(zip(zi.shape, expected, strict=True))
    ]
    if not all(fits):
        raise ValueError(
            f"Unexpected shape for parameter zi: expected {expected}, found {zi.shape}."
        )
    return np.broadcast_to(zi, expected)


def _filter_of(h: Any, dtype: DType) -> Array:
    """Return a filter of sepfir2d in the dtype of the image."""
    return h.astype(dtype, casting="safe") if isinstance(h, np.ndarray) else np.asarray(h, dtype)


def _of_depth(array: Array, ndim: int) -> Array:
    """Return `array` if it has `ndim` axes; the words of the error are NumPy's."""
    if array.ndim > ndim:
        raise ValueError(f"object too deep for desired array: {array.ndim} axes, expected {ndim}")
    if array.ndim < ndim:
        raise ValueError(
            f"object of too small depth for desired array: {array.ndim} axes, expected {ndim}"
        )
    return array


def _seconds(function: Callable[[], Any]) -> float:
    """Return the time of a call, from at least 5 ms of them."""
    timer = Timer(function)
    number = 1
    while timer.timeit(number) < 5e-4:
        number *= 10
    return min(timer.repeat(3, 10 * number)) / (10 * number)


# --- filters --------------------------------------------------------------------------------


def _lowpass(taps: int, cutoff: float, window: Any) -> Array:
    """Return the filter that SciPy designs, which takes it longer than most convolutions."""
    try:
        return _firwin(taps, cutoff, window)
    except TypeError:  # a list in the window
        return _firwin.__wrapped__(taps, cutoff, window)


@lru_cache(maxsize=64)
def _firwin(taps: int, cutoff: float, window: Any) -> Array:
    from scipy.signal import firwin

    h: Array = firwin(taps, cutoff, window=window)
    return h


@lru_cache(maxsize=64)
def _fit(window_length: int, polyorder: int) -> Array:
    """Return the matrix that fits a polynomial to a window: a sum of Legendre polynomials."""
    t = _scaled(np.arange(window_length), window_length)
    return np.linalg.pinv(np.polynomial.legendre.legvander(t, polyorder))


@lru_cache(maxsize=64)
def _derivative(window_length: int, polyorder: int, deriv: int, pos: float | None) -> Array:
    """Return the matrix that takes a derivative of that sum, at `pos` or at every sample."""
    at = np.arange(window_length) if pos is None else np.array([pos])
    each = np.polynomial.legendre.legder(np.eye(polyorder + 1), deriv)
    values = np.polynomial.legendre.legval(_scaled(at, window_length), each)
    matrix: Array = values.T / _half(window_length) ** deriv
    return matrix


def _scaled(at: Array, window_length: int) -> Array:
    """Return places in a window as numbers from -1 to 1, where polynomials are well behaved."""
    return (at - (window_length - 1) / 2) / _half(window_length)


def _half(window_length: int) -> float:
    return max((window_length - 1) / 2, 1.0)


# --- images ---------------------------------------------------------------------------------


def _convolve2d(
    function: Literal["convolve2d", "correlate2d"],
    in1: Any,
    in2: Any,
    mode: str,
    boundary: str,
    fillvalue: Any,
) -> Any:
    """Convolve, or correlate as SciPy does it."""
    x, w = np.asarray(in1), np.asarray(in2)
    if not x.ndim == w.ndim == 2:
        raise ValueError(f"{function} inputs must both be 2-D arrays")
    is_swapped = _is_swapped(mode, x.shape, w.shape, (0, 1))
    x, w = (w, x) if is_swapped else (x, w)
    pads = padding_of(mode, w.shape)
    if boundary not in BOUNDARIES:
        raise ValueError(
            "Acceptable boundary flags are 'fill', 'circular' (or 'wrap'), and 'symmetric' (or "
            "'symm')."
        )
    if x.size == 0 or w.size == 0:
        raise ValueError(f"shapes {x.shape} and {w.shape}: neither array may be empty")
    if function == "correlate2d":
        # Centred on the other side; of swapped inputs the wrong one stays conjugated.
        pads = tuple((after, before) for before, after in pads)
        w = (w.conj() if w.dtype.kind == "c" else w)[::-1, ::-1]
    dtype = np.result_type(x.dtype, w.dtype)
    lies: Any = BOUNDARIES[boundary]
    if lies == "constant":
        fill = 0 if type(fillvalue) is int and fillvalue == 0 else _fill(fillvalue, dtype)
        lies = (lies, fill) if fill else "zeros"
        is_huge = dtype.kind in "iu" and abs(fill) > 2**53
        if fill and (is_huge or dtype.kind in "cO" or dtype.char == "g"):
            # No constant of convkit's: the one case in which x is copied with its edges.
            x, pads = np.pad(x.astype(dtype), pads, constant_values=fill), ((0, 0), (0, 0))
            lies = "zeros"
    if dtype.char in "gGO":
        if lies != "zeros":
            x, pads = np.pad(x, pads, NUMPY_MODES[lies]), ((0, 0), (0, 0))
        y = by_taps(x, w, (0, 1), pads)
    elif function == "convolve2d" and pads == padding_of(mode, w.shape):
        y = sums(convolution, x, w, dtype, mode=mode, boundary=lies)
    else:
        y = sums(conv2d, x, w[::-1, ::-1].copy(), dtype, padding=pads, padding_mode=lies)
    return y[::-1, ::-1] if is_swapped and function == "correlate2d" else y
