"""convolve and correlate: the convolution of signal processing, on the dispatcher of conv*.

Both are plain filters: the axes that v slides along go last, v is flipped (`convolve`) or
conjugated (`correlate`), and the mode becomes padding.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from convkit.arguments import as_array, check_devices, exporter
from convkit.dtypes import Array
from convkit.errors import ShapeError, UnsupportedError
from convkit.functional import conv1d, conv2d, conv3d

Extent: TypeAlias = Literal["full", "same", "valid"]

CONV = {1: conv1d, 2: conv2d, 3: conv3d}


def convolve(
    a: Any,
    v: Any,
    mode: Extent = "full",
    *,
    axes: int | tuple[int, ...] | None = None,
    boundary: Any = "zeros",
    out: Any = None,
    **keywords: Any,
) -> Any:
    """Convolve an array with a filter, which is flipped, as signal processing does.

    Parameters
    ----------
    a : array_like
        What is filtered.
    v : array_like
        The filter. It has one axis for each of `axes` and is applied at every position of the
        others; or as many axes as `a`, those outside `axes` of extent 1.
    mode : {"full", "same", "valid"}, default "full"
        What is kept along `axes`, for extents n of `a` and k of `v`: all n + k - 1 outputs; the
        n in their middle, from (k - 1) // 2 on, as SciPy centres them; those that need no
        padding. Where `v` is larger than `a` on every axis "valid" swaps the two, as SciPy does.
    axes : int or tuple of int, optional
        Axes of `a`, at most three; by default its last ones, as many as `v` has.
    boundary : str or ("constant", value), or a tuple of these, default "zeros"
        What lies beyond the edges of `a`: the padding modes of `conv2d`, for all axes or each.
    out : ndarray, optional
        Where to write the result.
    **keywords
        `out_dtype`, `algorithm`, `backend`, `accuracy` and `nan_policy`, as of `conv2d`.

    Returns
    -------
    ndarray
        `out`, or a new array; of the library of `a` if that is not NumPy.

    Raises
    ------
    ShapeError
        If `v`, `axes` and `a` do not fit together.
    UnsupportedError
        For more than three axes.

    See Also
    --------
    correlate : The filter is conjugated instead of flipped.
    conv1d, conv2d, conv3d : Layers of neural networks; stride, dilation, groups.

    Examples
    --------
    >>> convolve([1.0, 2.0, 3.0], [1.0, 0.0, 0.5])
    array([1. , 2. , 3.5, 1. , 1.5])
    >>> convolve([1.0, 2.0, 3.0], [1.0, 1.0], "same", boundary="replicate")
    array([2., 3., 5.])
    """
    return _slide(a, v, mode, axes, boundary, out, keywords, is_flipped=True)


def correlate(
    a: Any,
    v: Any,
    mode: Extent = "full",
    *,
    axes: int | tuple[int, ...] | None = None,
    boundary: Any = "zeros",
    out: Any = None,
    **keywords: Any,
) -> Any:
    """Correlate an array with a filter, which is conjugated and not flipped, as SciPy does.

    All else is as in `convolve`, of which this is the convolution with the flipped conjugate
    of `v`.

    Examples
    --------
    >>> correlate([1.0, 2.0, 3.0], [1.0, 0.0, 0.5])
    array([0.5, 1. , 2.5, 2. , 3. ])
    >>> correlate([1j, 0.0], [1j], "same")
    array([1.+0.j, 0.+0.j])
    """
    return _slide(a, v, mode, axes, boundary, out, keywords, is_flipped=False)


def _slide(
    a: Any,
    v: Any,
    mode: Extent,
    axes: int | tuple[int, ...] | None,
    boundary: Any,
    out: Any,
    keywords: dict[str, Any],
    *,
    is_flipped: bool,
) -> Any:
    """Bring the axes to the end, the filter into the form of conv*, and the mode into padding."""
    if mode not in get_args(Extent):
        raise ValueError(f"mode={mode!r}: expected 'full', 'same' or 'valid'")
    check_devices(a=a, v=v, out=out)
    export = exporter(a)
    x, w = as_array(a, "a"), as_array(v, "v")
    along = _axes(x, w, axes)
    rank = len(along)
    x = np.moveaxis(x, along, range(-rank, 0))
    w = np.squeeze(w, tuple(set(range(w.ndim)) - set(along))) if w.ndim > rank else w
    size, taps = x.shape[-rank:], w.shape
    if mode == "valid" and x.ndim == rank and all(k > n for k, n in zip(taps, size, strict=True)):
        # Convolution commutes; correlation does so up to order and conjugation.
        y = _slide(w, x, mode, None, boundary, None, keywords, is_flipped=is_flipped)
        return _deliver(y if is_flipped else np.flip(y).conj(), out, export)
    if 0 in taps or 0 in size:
        raise ShapeError(f"a of shape {x.shape} and v of shape {taps}: neither may be empty")

    w = np.flip(w) if is_flipped else w.conj()
    pads = {
        "full": [(k - 1, k - 1) for k in taps],
        "same": [(k - 1 - (k - 1) // 2, (k - 1) // 2) for k in taps],
        "valid": [(0, 0) for _ in taps],
    }[mode]
    if out is not None:
        keywords = {**keywords, "out": np.moveaxis(out, along, range(-rank, 0))}
    y = CONV[rank](x, w, padding=tuple(pads), padding_mode=boundary, **keywords)
    if out is not None:
        return out
    return _deliver(np.moveaxis(y, range(-rank, 0), along), None, export)


def _axes(x: Array, w: Array, axes: int | tuple[int, ...] | None) -> tuple[int, ...]:
    """Return the axes of x that w slides along, not negative, in the order of the axes of w."""
    if axes is None:
        axes = tuple(range(x.ndim - w.ndim, x.ndim))
    given = np.atleast_1d(np.asarray(axes)).tolist()
    if any(type(i) is not int or not -x.ndim <= i < x.ndim for i in given):
        raise ShapeError(f"axes={axes!r}: expected axes of a, which has shape {x.shape}")
    along = tuple(i % x.ndim for i in given)
    if len(set(along)) < len(along) or not along:
        raise ShapeError(f"axes={axes!r}: expected one axis or more, each of them once")
    if len(along) > max(CONV):
        raise UnsupportedError(f"v slides along {len(along)} axes; at most {max(CONV)} are written")
    others = [w.shape[i] for i in range(w.ndim) if i not in along] if w.ndim == x.ndim else []
    if w.ndim not in (len(along), x.ndim) or any(extent != 1 for extent in others):
        raise ShapeError(
            f"v has shape {w.shape}; with axes={along} of a, whose shape is {x.shape}, it has "
            f"{len(along)} axes, or {x.ndim} of which all others have extent 1"
        )
    return tuple(sorted(along)) if w.ndim == x.ndim else along


def _deliver(y: Array, out: Any, export: Any) -> Any:
    """Return y where the caller wants it."""
    if out is not None:
        out[...] = y
        return out
    return y if export is None else export(y)
