"""StreamingConvolver: `convolve` of a signal that comes in pieces, without delay.

The work is that of csrc/streams/ through backends/native/_streams.py; what its kernels do not take
(wide integers, filters that are not finite, an installation without them) goes through `convolve`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy import ndarray

from convkit.arguments import (
    as_array,
    as_int,
    check_devices,
    dtype_name,
    empty,
    exporter,
    native,
)
from convkit.dtypes import Array, DType, is_integer, promoted, real_dtype, result_dtype, store
from convkit.errors import BackendUnavailableError, ShapeError
from convkit.functional import dtype_of
from convkit.signal import convolve

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import DTypeLike


class StreamingConvolver:
    """Convolve a signal that comes in pieces with a filter, without delay.

    What `push` has returned so far is what ``convolve(signal, v, "full")`` begins with, however the
    signal was cut into pieces; `flush` returns the rest. An object is for one thread at a time.

    Parameters
    ----------
    v : array_like, shape (K,), or one filter for each channel
        The filter. With two axes it has that of time where `axis` says, and the other one is as
        long as there are channels, or 1.
    axis : int, default -1
        The axis of time of the pieces: -1 for (channels, n), 0 for (n, channels).
    block : int, optional
        How many samples a push usually has: pushes of exactly that size are the fastest. All others
        work as well.
    dtype : dtype, optional
        Of the signal; by default that of `v`.
    channels : int, optional
        How many signals there are side by side. None: one, in pieces of one axis; or as many as
        `v` has filters.

    Attributes
    ----------
    latency : int
        Samples by which the output lags behind ``convolve(signal, v)``: always 0.
    block, axis, channels, dtype
        As given, `dtype` also by default.

    Raises
    ------
    ShapeError
        If `v`, `axis`, `channels` and `block` do not fit together.
    TypeError
        If an argument is of the wrong kind.

    See Also
    --------
    convolve : The same for a signal that is there as a whole.
    plan_convolve : The same for many signals of one length.

    Notes
    -----
    The result has the type that `convolve` gives it. Short filters, and those of integers, are
    summed directly. Long ones are cut: their beginning is summed directly, the rest passes fast
    Fourier transforms, of the longer blocks the later it comes [1]_. Results of transforms have the
    norm-wise accuracy of `convolve`; which pieces the signal comes in changes no bit of them,
    unless `block` is 128 or more, where whole blocks pass a transform altogether. NaN and Inf reach
    the K outputs that a direct sum takes them to, and no others.

    References
    ----------
    .. [1] W. G. Gardner, "Efficient convolution without input-output delay", Journal of the Audio
       Engineering Society 43(3), 1995.

    Examples
    --------
    >>> import numpy as np
    >>> mean = StreamingConvolver(np.array([0.5, 0.5]))
    >>> mean.push([1.0, 3.0, 5.0])
    array([0.5, 2. , 4. ])
    >>> mean.push([7.0])
    array([6.])
    >>> mean.flush()
    array([3.5])

    Two channels of interleaved samples, in blocks of 64:

    >>> echo = np.zeros(48_000, "f4")
    >>> echo[[0, 24_000]] = 1.0, 0.5
    >>> room = StreamingConvolver(echo, axis=0, block=64, channels=2)
    >>> room.push(np.ones((64, 2), "f4")).shape
    (64, 2)
    """

    __slots__ = (
        *("_channels", "_engine", "_ndim", "_samples", "_sums", "_time", "_v", "_wide", "_y_dtype"),
        *("axis", "block", "channels", "dtype"),
    )

    latency = 0

    def __init__(
        self,
        v: Any,
        *,
        axis: int = -1,
        block: int | None = None,
        dtype: DTypeLike | None = None,
        channels: int | None = None,
    ) -> None:
        check_devices(v=v)
        self._v = native(as_array(v, "v"), as_array(v, "v").dtype.newbyteorder("=")).copy()
        self.block = None if block is None else as_int(block, "block", least=1)
        self.channels = None if channels is None else as_int(channels, "channels", least=1)
        self.dtype: DType = dtype_of(self._v.dtype if dtype is None else dtype).newbyteorder("=")
        self.axis = axis
        if self._v.ndim not in (1, 2) or self._v.size == 0:
            raise ShapeError(
                f"v has shape {self._v.shape}: expected (taps,), or a filter for each channel, and "
                f"at least one tap"
            )
        self._ndim = max(self._v.ndim, 1 if channels is None else 2)
        self._time = _time_axis(axis, self._ndim)
        filters = 1 if self._v.ndim == 1 else self._v.shape[1 - self._time]
        self._channels = filters if self.channels is None else self.channels
        if filters not in (1, self._channels):
            raise ShapeError(
                f"v has shape {self._v.shape}, {filters} filters with axis={axis}, for "
                f"channels={channels}: expected 1 filter or as many as there are channels"
            )
        x, w = dtype_name(self.dtype, "x"), dtype_name(self._v.dtype, "v")
        self._y_dtype = real_dtype(result_dtype(x, w))
        self._wide = self.dtype if is_integer(x) else real_dtype(promoted(x, w))
        self._samples, self._sums, self._engine = self._decide(x, w)

    def _decide(self, x: str, w: str) -> tuple[DType, DType, _Engine]:
        """Return what computes sums of these types, after the types it reads and writes."""
        is_exact = is_integer(x) and is_integer(w)
        sums = _integer_sums(x, self._v) if is_exact else _float_sums(x, w)
        with np.errstate(over="ignore"):
            largest = np.abs(self._v).sum(dtype=np.float64)
        if sums is not None and np.isfinite(largest):
            filters = self._v.T if self._v.ndim == 2 and self._time == 0 else self._v
            with suppress(BackendUnavailableError):
                from convkit.backends.native._streams import NativeStream

                return (
                    np.dtype(sums),
                    np.dtype(sums),
                    NativeStream(
                        np.atleast_2d(filters).astype(sums),
                        self._channels,
                        self.block or 0,
                        is_interleaved=self._ndim == 2 and self._time == 0,
                        is_exact=is_exact,
                    ),
                )
        before = np.zeros(self._shape(self._taps - 1), self.dtype)
        return self.dtype, self._y_dtype, _Joined(self._v, before, self._time)

    @property
    def _taps(self) -> int:
        return int(self._v.shape[self._time if self._v.ndim == 2 else 0])

    def _shape(self, count: int) -> tuple[int, ...]:
        """Return the shape of a piece of so many samples."""
        if self._ndim == 1:
            return (count,)
        return (count, self._channels) if self._time == 0 else (self._channels, count)

    def push(self, x: Any, *, out: Any = None) -> Any:
        """Filter the next samples.

        Parameters
        ----------
        x : array_like, shape (n,), (channels, n) or (n, channels)
            Any number of samples, also none; of `dtype`, or of one that it holds exactly.
        out : ndarray, of the result's shape and dtype, optional
            Where to write; may be `x`.

        Returns
        -------
        ndarray, of the shape of `x`
            The outputs for these samples: `out`, or a new array; of the library of `x` if that is
            not NumPy.

        Raises
        ------
        ShapeError, TypeError, ValueError
            If `x` or `out` is not of the shape, dtype or kind that is expected. The stream goes on
            as if the call had not been, also after Ctrl-C.
        """
        # As little as there can be for what is pushed in the usual way: C arrays of the right type.
        if type(x) is ndarray and x.dtype is self._samples is self._y_dtype and out is None:
            shape = x.shape
            if (
                len(shape) == self._ndim
                and (self._ndim == 1 or shape[1 - self._time] == self._channels)
                and x.flags.carray
            ):
                y = np.empty(shape, self._sums)
                self._engine.push(x, y)
                return y
        return self._push(x, out)

    def _push(self, x: Any, out: Any) -> Any:
        """Push anything that may be pushed."""
        check_devices(x=x, out=out)
        export = exporter(x)
        array = self._read(x)
        if out is not None:
            _check_out(out, array.shape, self._y_dtype)
        if array.size:
            samples = np.require(array, self._samples, ["C", "A"])
            sums = empty(samples.shape, self._sums)
            self._engine.push(samples, sums)
        else:
            sums = np.empty(array.shape, self._sums)
        if out is None and self._sums == self._y_dtype:
            return sums if export is None else export(sums)
        y = empty(sums.shape, self._y_dtype) if out is None else out
        store(sums, y)
        return y if export is None or out is not None else export(y)

    def _read(self, x: Any) -> Array:
        """Return x as an array of the right shape and of a type that is safe to cast."""
        array = as_array(x, "x")
        count = array.shape[self._time] if array.ndim == self._ndim else 0
        if array.shape != self._shape(count):
            expected = str(self._shape(-1)).replace("-1", "n")
            raise ShapeError(f"x has shape {array.shape}; this stream takes {expected}")
        # Python numbers come as float64 and int64, which nobody asked for.
        casting: Literal["same_kind", "safe"] = "safe" if hasattr(x, "dtype") else "same_kind"
        if array.dtype.newbyteorder("=") != self.dtype and not np.can_cast(
            array.dtype, self._wide, casting
        ):
            raise TypeError(
                f"x has dtype {array.dtype}; this stream is of {self.dtype}: cast it, or give "
                f"dtype={str(array.dtype)!r} to StreamingConvolver"
            )
        with np.errstate(all="ignore"):
            return array.astype(self.dtype, copy=False)

    def flush(self) -> Any:
        """Return what is left of the stream, K - 1 samples, and go back to the beginning.

        Returns
        -------
        ndarray, shape (K - 1,), (channels, K - 1) or (K - 1, channels)
            The outputs that follow the last sample.
        """
        y = self.push(np.zeros(self._shape(self._taps - 1), self.dtype))
        self.reset()
        return y

    def reset(self) -> None:
        """Go back to the beginning of a stream."""
        self._engine.reset()

    def copy(self) -> Self:
        """Return one that goes on from here, apart from this one.

        What the two share is the filter, which neither changes. So a state can be kept, and gone
        back to: as often as wished, since copies may be copied.

        Returns
        -------
        StreamingConvolver
            With the same stream behind it.
        """
        other = object.__new__(type(self))
        for name in (
            name for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())
        ):
            setattr(other, name, getattr(self, name))
        other._engine = self._engine.copy()
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a copy: arrays are its own, or never change."""
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the filter and the last samples, from which any machine finds the state again."""
        given = (self._v, self.axis, self.block, self.dtype, self.channels)
        return _restore, (type(self), *given, self._engine.history())

    def __repr__(self) -> str:
        return (
            f"<StreamingConvolver of {self._v.shape} taps on {self._shape(-1)} {self.dtype}: "
            f"{self._engine}>"
        ).replace("-1", "n")


def _restore(
    kind: type[StreamingConvolver],
    v: Array,
    axis: int,
    block: int | None,
    dtype: DType,
    channels: int | None,
    history: Array,
) -> StreamingConvolver:
    """Return a convolver behind which there are these samples."""
    stream = kind(v, axis=axis, block=block, dtype=dtype, channels=channels)
    if history.size:  # engines know no empty pieces
        stream._engine.push(history, np.empty(history.shape, stream._sums))
    return stream


class _Engine(Protocol):
    """What computes: on contiguous, aligned arrays of its types."""

    def push(self, x: Array, y: Array) -> None: ...
    def reset(self) -> None: ...
    def copy(self) -> _Engine: ...
    def history(self) -> Array: ...


class _Joined:
    """Joins each piece to the samples before it, and convolves the two."""

    def __init__(self, v: Array, history: Array, axis: int) -> None:
        self._v, self._history, self._axis = v, history, axis

    def push(self, x: Array, y: Array) -> None:
        joined = np.concatenate([self._history, x], self._axis)
        y[...] = convolve(joined, self._v, "valid", axes=self._axis, algorithm="direct")
        last = np.arange(x.shape[self._axis], joined.shape[self._axis])
        self._history = joined.take(last, self._axis)

    def reset(self) -> None:
        self._history = np.zeros_like(self._history)

    def copy(self) -> _Joined:
        return _Joined(self._v, self._history, self._axis)

    def history(self) -> Array:
        return self._history

    def __repr__(self) -> str:
        return "by convolve"


def _time_axis(axis: Any, ndim: int) -> int:
    """Return the axis of time, not negative."""
    is_int = hasattr(axis, "__index__") and not isinstance(axis, bool | np.bool_)
    if not is_int:
        raise TypeError(f"axis={axis!r}: expected an int")
    if not -ndim <= axis < ndim:
        raise ShapeError(f"axis={axis!r}: pieces have {ndim} axes")
    return int(axis) % ndim


def _check_out(out: Any, shape: tuple[int, ...], dtype: DType) -> None:
    if not isinstance(out, ndarray):
        raise TypeError(f"out is a {type(out).__name__}: expected an array to write to")
    if out.shape != shape or out.dtype != dtype:
        raise ShapeError(
            f"out has shape {out.shape} and dtype {out.dtype}; expected {shape} and {dtype}"
        )
    if not out.flags.writeable:
        raise ValueError("out is read-only: expected an array to write to")


def _float_sums(x: str, w: str) -> str | None:
    """Return the kernels' type that holds sums of these types, at least one of which is inexact."""
    common = promoted(x, w)
    common = {"float16": "float32", "bfloat16": "float32"}.get(common, common)
    return common if common in ("float32", "float64", "complex64", "complex128") else None


def _integer_sums(x: str, v: Array) -> str | None:
    """Return the kernels' type in which every sum of integers is exact."""
    bounds = np.iinfo("uint8" if x == "bool" else x)
    largest = float(max(bounds.max, -int(bounds.min))) * np.abs(v.astype(np.float64)).sum()
    return "float32" if largest <= 2**24 else "float64" if largest <= 2**52 else None
