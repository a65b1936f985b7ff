"""Sums of products of any dtype, on convolve, conv1d, conv2d and conv3d.

Padding is what convkit has: pairs of each axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd, prod
from typing import Any, TypeAlias

import numpy as np

from convkit import boundary
from convkit.dtypes import Array, DType
from convkit.functional import conv1d, conv2d, conv3d
from convkit.problem import Mode
from convkit.signal import convolve

Pads: TypeAlias = tuple[tuple[int, int], ...]

CONV = {1: conv1d, 2: conv2d, 3: conv3d}
MODES = ("full", "same", "valid")
# Within the 1e-6 that SciPy's tests allow complex64 its transforms stay, and ours not always: up to
# so many taps are added directly.
MOST_DIRECT = 128
# Modes of upfirdn that repeat elements; the others compute new ones.
REPEATS: dict[str, Mode] = {
    **{"symmetric": "symmetric", "reflect": "reflect"},
    **{"edge": "replicate", "wrap": "circular"},
}
UPFIRDN_MODES = (
    *("constant", "wrap", "edge", "smooth", "symmetric", "reflect"),
    *("antisymmetric", "antireflect", "line"),
)


def padding_of(mode: str, taps: tuple[int, ...]) -> Pads:
    """Return the padding that makes the outputs of `mode`."""
    if mode == "full":
        return tuple((k - 1, k - 1) for k in taps)
    if mode == "same":
        return tuple((k // 2, (k - 1) // 2) for k in taps)
    if mode == "valid":
        return ((0, 0),) * len(taps)
    raise ValueError("Acceptable mode flags are 'valid', 'same', or 'full'.")


def slide(
    x: Array,
    w: Array,
    mode: Any,
    along: tuple[int, ...] | None = None,
    function: Callable[..., Any] = convolve,
    **keywords: Any,
) -> Array:
    """Convolve or correlate along all axes, or along some while the others broadcast."""
    if x.size == 0 or w.size == 0:
        raise ValueError(f"shapes {x.shape} and {w.shape}: neither array may be empty")
    dtype = x.dtype if x.dtype is w.dtype else np.result_type(x.dtype, w.dtype)
    if dtype.char in "gGO" or mode not in MODES:
        pads = padding_of(mode, w.shape)
        w = w if function is convolve else np.flip(w.conj() if w.dtype.kind == "c" else w)
        return by_taps(x, w, range(x.ndim) if along is None else along, pads)
    if along is None and w.ndim > 1 and 1 in w.shape:  # nothing slides along these
        along = tuple(a for a in range(w.ndim) if w.shape[a] > 1) or (w.ndim - 1,)
    if dtype.char == "F" and w.size <= MOST_DIRECT:
        keywords = {"algorithm": "direct"}
    if x.dtype is w.dtype and dtype.char in "fdFD":  # as `sums` has it, a microsecond earlier
        y: Array = function(x, w, mode, axes=along, **keywords)
        return y
    return sums(function, x, w, dtype, mode=mode, axes=along, **keywords)


def polyphase(
    h: Array,
    x: Array,
    up: int,
    down: int,
    first: int,
    count: int,
    axis: int,
    mode: str,
    cval: Any,
) -> Array:
    """Return ``sum(h[k] * u[first + m * down - k])`` for m < count, u being x spread by `up`.

    Outputs of one phase of `up` meet the same taps, and every `period`-th output has the same
    phase: so phases are the output channels of a convolution of x itself::

        taps of phase 0   h6 h3 h0  .          up = 3, down = 2: three outputs,
                 phase 2   . h5 h2  .          then two elements of x further on
                 phase 1   . h7 h4 h1
    """
    if mode not in UPFIRDN_MODES:
        raise ValueError(f"Unknown mode: {mode}")
    dtype = np.result_type(h.dtype, x.dtype, np.float32)
    if dtype.char not in "fdFD":
        raise TypeError(f"h has dtype {h.dtype} and x {x.dtype}: no kernel sums {dtype}")
    axis = np.lib.array_utils.normalize_axis_index(axis, x.ndim)
    h, x = h.astype(dtype, copy=False), x.astype(dtype, copy=False)
    if mode != "constant" or cval:
        before = max(0, (h.size - 1 - first) // up)
        after = max(0, (first + (count - 1) * down) // up - (x.shape[axis] - 1))
        x, first = _extended(x, axis, before, after, mode, cval), first + before * up

    period, step, size = up // gcd(up, down), down // gcd(up, down), x.shape[axis]
    rounds = -(-count // period)
    lines, columns = prod(x.shape[:axis]), prod(x.shape[axis + 1 :])
    tail = () if columns == 1 else (columns,)
    images = x.reshape(lines, 1, size, *tail)
    y = np.empty((lines, rounds, period, *tail), dtype)
    # Filters of phases far apart would hold more zeros than taps.
    block = max(16, h.size // down)
    for i in range(0, period if y.size else 0, block):
        phases = min(block, period - i)
        newest = first + i * down
        base = -((h.size - 1 - newest) // up)
        top = max(base, (newest + (phases - 1) * down) // up)  # base, where h is short: all zeros
        met = newest + down * np.arange(phases)[:, np.newaxis] - up * np.arange(base, top + 1)
        w = h.take(met, mode="clip")
        w[(met < 0) | (met >= h.size)] = 0
        stop = top + 1 + (rounds - 1) * step
        part = sums(
            CONV[1 + len(tail)],
            images[:, :, max(0, base) :],
            w.reshape(phases, 1, -1, *[1] * len(tail)),
            dtype,
            padding=((max(0, -base), max(0, stop - max(size, base))), *[(0, 0)] * len(tail)),
            stride=(step, *[1] * len(tail)),
        )
        y[:, :, i : i + phases] = part[:, :, :rounds].swapaxes(1, 2)
    y = y.reshape(*x.shape[:axis], rounds * period, *x.shape[axis + 1 :])
    return _part(y, axis, slice(count))


def _extended(x: Array, axis: int, before: int, after: int, mode: str, cval: Any) -> Array:
    """Return x with what `mode` puts beyond its ends."""
    size = x.shape[axis]
    positions = np.r_[-before:0, size : size + after]
    if mode == "constant":
        beyond = np.full((*x.shape[:axis], before + after, *x.shape[axis + 1 :]), cval, x.dtype)
    elif mode in REPEATS:
        beyond = x.take(boundary.sources(positions, size, REPEATS[mode]), axis)
    else:
        beyond = _continued(np.moveaxis(x, axis, -1), positions, mode)
        beyond = np.moveaxis(beyond.astype(x.dtype), -1, axis)
    left, right = _part(beyond, axis, slice(before)), _part(beyond, axis, slice(before, None))
    return np.concatenate([left, x, right], axis)


def _continued(x: Array, positions: Any, mode: str) -> Any:
    """Return what lies at `positions` beyond the last axis of x, in modes that compute it."""
    size = x.shape[-1]
    first, last = x[..., :1], x[..., -1:]
    if mode == "antisymmetric":
        mirrored = x[..., boundary.sources(positions, size, "symmetric")]
        return np.where(positions // size % 2, -mirrored, mirrored)
    if mode == "antireflect":
        # It rises by twice the rise of x with every period of the mirrored x.
        period = max(1, 2 * (size - 1))
        mirrored = x[..., boundary.sources(positions, size, "reflect")]
        rise = 2 * (positions // period) * (last - first)
        return rise + np.where(positions % period < size, mirrored, 2 * last - mirrored)
    if mode == "line":
        left = right = (last - first) / max(1, size - 1)
    else:
        left, right = x[..., :2][..., -1:] - first, last - x[..., -2:][..., :1]
    return np.where(positions < 0, first + positions * left, last + (positions - size + 1) * right)


def _part(array: Array, axis: int, part: slice) -> Array:
    """Return a part of one axis."""
    return array[(slice(None),) * axis + (part,)]


def along_axis(
    x: Array, taps: Array, axis: int, pads: tuple[int, int], mode: Any = "zeros"
) -> Array:
    """Convolve along one axis."""
    dtype = np.result_type(x.dtype, taps.dtype)
    if dtype.char in "gGO":
        shape = [1] * x.ndim
        shape[axis] = taps.size
        every = tuple(pads if i == axis else (0, 0) for i in range(x.ndim))
        return by_taps(x, taps.reshape(shape), (axis,), every)
    flipped = taps[::-1].copy()
    columns = prod(x.shape[axis + 1 :])
    if axis == x.ndim - 1 or columns == 0:
        last = x if axis == x.ndim - 1 else np.moveaxis(x, axis, -1)
        y = sums(conv1d, last, flipped, dtype, padding=(pads,), padding_mode=mode)
        return y if axis == x.ndim - 1 else np.moveaxis(y, -1, axis)
    # No transposition: columns are pixels of an image under a filter one pixel wide.
    images = x.reshape(prod(x.shape[:axis]), x.shape[axis], columns)
    w = flipped[:, np.newaxis]
    y = sums(conv2d, images, w, dtype, padding=(pads, (0, 0)), padding_mode=mode)
    return y.reshape(*x.shape[:axis], y.shape[1], *x.shape[axis + 1 :])


def sums(conv: Callable[..., Any], x: Array, w: Array, dtype: DType, **keywords: Any) -> Array:
    """Correlate in `dtype`, by what convkit computes exactly and fast."""
    if dtype.kind not in "biu":
        if x.dtype is not w.dtype:  # real numbers stay real among complex ones
            real = np.dtype(dtype.char.lower())
            x = x.astype(dtype if x.dtype.kind == "c" else real, copy=False)
            w = w.astype(dtype if w.dtype.kind == "c" else real, copy=False)
        y: Array = conv(x, w, **keywords)
        return y
    # Where sums pass the type they wrap; a result of convkit would saturate.
    lies = keywords.get("boundary", keywords.get("padding_mode"))
    x = x.astype(dtype) if isinstance(lies, tuple) else x  # which holds the constant
    if x.itemsize > 1 or w.itemsize > 1 or w.size > 2**15:  # else int32, the default, holds them
        keywords["out_dtype"] = np.uint64 if dtype == np.uint64 else np.int64
    y = conv(x, w, **keywords)
    return y.astype(dtype, copy=False)


def by_taps(x: Array, w: Array, along: Sequence[int], pads: Pads) -> Array:
    """Convolve elements of any kind, one NumPy product a tap."""
    shape = [
        n + k - 1 if a in along else max(n, k)
        for a, (n, k) in enumerate(zip(x.shape, w.shape, strict=True))
    ]
    full = np.zeros(shape, np.result_type(x.dtype, w.dtype))
    for tap in np.ndindex(*(w.shape[a] for a in along)):
        here, there = [slice(None)] * x.ndim, [slice(None)] * x.ndim
        for a, k in zip(along, tap, strict=True):
            here[a], there[a] = slice(k, k + 1), slice(k, k + x.shape[a])
        full[tuple(there)] += x * w[tuple(here)]
    kept = [
        slice(k - 1 - pads[a][0], n + pads[a][1]) if a in along else slice(None)
        for a, (n, k) in enumerate(zip(x.shape, w.shape, strict=True))
    ]
    return full[tuple(kept)]
