"""Filters on streams: the kernels of csrc/streams/, their packed filters and their state."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from convkit.algorithm import Array
from convkit.backends.native import ffi, isa, isas, lib, raise_code, text
from convkit.backends.native._kernels import TYPES

# Longer pushes can be interrupted (Ctrl-C), and are then undone.
INTERRUPTED_FROM = 2e-3


@cache
def kernels(dtype: str) -> dict[str, Any]:
    """Return the kernel for streams of `dtype` of each instruction set that this CPU has."""
    rows = [lib.ck_stream_kernels[i] for i in range(lib.ck_stream_kernel_count)]
    fitting = {text(row.isa): row for row in rows if row.type == TYPES[dtype]}
    found: dict[str, Any] = {}
    for name in reversed(isas()):  # its own, or that of the next lesser
        row = fitting.get(name) or next(reversed(found.values()), None)
        if row is not None:
            found[name] = row
    return found


class NativeStream:
    """A filter on a stream of one dtype of the kernels.

    Parameters
    ----------
    v : ndarray, shape (filters, taps)
        One filter for all channels, or one for each; float32, float64, complex64 or complex128.
    channels : int
        How many there are.
    block : int
        Samples of the usual push; 0: any.
    is_interleaved : bool
        Whether x and y are (samples, channels), not (channels, samples).
    is_exact : bool, default False
        Whether the sums are of integers: none passes a transform.
    use : str, optional
        The instruction set, by default the one in use.

    Raises
    ------
    ValueError
        If the taps are not finite, or their sum is not.
    """

    __slots__ = ("_packed", "_state", "_stream")

    def __init__(
        self,
        v: Array,
        channels: int,
        block: int,
        *,
        is_interleaved: bool,
        is_exact: bool = False,
        use: str | None = None,
    ) -> None:
        v = np.ascontiguousarray(v)
        stream = ffi.new("ck_stream *")
        stream.kernel = kernels(v.dtype.name)[use or isa()]
        stream.filters, stream.taps = v.shape
        stream.channels = channels
        stream.block = block
        stream.direct = is_exact
        stream.interleaved = is_interleaved
        _check(lib.ck_stream_plan(stream))
        self._stream = stream
        self._packed = _aligned(stream.packed_bytes, np.empty)
        stream.packed = ffi.from_buffer(self._packed)
        self._take_state(np.zeros)
        code = lib.ck_stream_pack(stream, ffi.from_buffer(v))
        if code == lib.CK_EINVAL:
            raise ValueError("the taps are not finite, or their sum is not")
        _check(code)

    def _take_state(self, allocate: Callable[..., Array]) -> None:
        self._state = _aligned(self._stream.state_bytes, allocate)
        self._stream.state = ffi.from_buffer(self._state)

    def __repr__(self) -> str:
        return f"{text(self._stream.kernel.name)} ({text(self._stream.kernel.isa)})"

    @property
    def position(self) -> int:
        """Samples so far."""
        return int(self._state[:8].view(np.int64)[0])

    @property
    def nbytes(self) -> int:
        """Bytes of the packed filter and of the state."""
        return self._packed.nbytes + self._state.nbytes

    def push(self, x: Array, y: Array) -> None:
        """Filter the samples of x, contiguous and aligned as y is, which it may be."""
        count = x.shape[0 if self._stream.interleaved else -1]
        if count * self._stream.seconds < INTERRUPTED_FROM:
            code = lib.ck_stream_push(self._stream, ffi.from_buffer(x), ffi.from_buffer(y), count)
            if code:
                raise_code(code)
            return
        before = self._state.copy()
        try:
            _check(lib.ck_stream_push(self._stream, ffi.from_buffer(x), ffi.from_buffer(y), count))
        except BaseException:
            self._state[...] = before
            raise

    def reset(self) -> None:
        """Go back to the beginning of a stream."""
        self._state[...] = 0

    def copy(self) -> NativeStream:
        """Return one that goes on from here; the packed filter is the same."""
        other = object.__new__(NativeStream)
        other._packed = self._packed
        other._stream = ffi.new("ck_stream *", self._stream[0])
        other._take_state(np.empty)
        other._state[...] = self._state
        return other

    def history(self) -> Array:
        """Return the last samples, as many as it takes to come to this state from the beginning."""
        stream = self._stream
        position, size = self.position, stream.history_size
        # Blocks begin at the same places of the stream again.
        turn = stream.level[stream.level_count - 1].block if stream.level_count else 1
        begin = max(0, -(-(position - size) // turn) * turn)
        dtype = next(name for name, kind in TYPES.items() if kind == stream.kernel.type)
        parts = 2 if dtype.startswith("complex") else 1
        real = np.dtype(dtype).type(0).real.dtype
        first = stream.history * real.itemsize
        planes = self._state[first:].view(real)[: stream.channels * parts * size]
        order = np.arange(begin, position) % size
        planes = planes.reshape(stream.channels, parts, size)[..., order]
        x = np.ascontiguousarray(np.moveaxis(planes, 1, -1)).view(dtype)[..., 0]
        return np.ascontiguousarray(x.T if stream.interleaved else x)


def _aligned(nbytes: int, allocate: Callable[..., Array]) -> Array:
    """Return that many bytes on cache lines of their own."""
    block = allocate(nbytes + 64, np.uint8)
    start = -block.__array_interface__["data"][0] % 64
    return block[start : start + nbytes]


def _check(code: int) -> None:
    if code:
        raise_code(code)
