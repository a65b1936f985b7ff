"""How many threads a call may use; the pool of them is csrc/pool.c."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["get_num_threads", "set_num_threads", "threads"]

# What csrc/pool.c has room for.
MAX_THREADS = 256

# The count where there is no compiled module, and so no threads to be counted.
_num_threads = 1


def _pool() -> Any:
    """Return the compiled library, or None in an installation without it."""
    try:
        from convkit._convkit import lib
    except ImportError:
        return None
    return lib


def get_num_threads() -> int:
    """Return how many threads a call may use, the calling one included.

    Returns
    -------
    int
        At first the environment variable ``CONVKIT_NUM_THREADS`` if it is set, else the number
        of CPUs this process may use: the lesser of its CPU affinity and its control group's quota.

    See Also
    --------
    set_num_threads : Set it.
    threads : Set it for a block of code.

    Examples
    --------
    >>> import convkit as ck
    >>> ck.get_num_threads() >= 1
    True
    """
    pool = _pool()
    return int(pool.convkit_get_num_threads()) if pool else _num_threads


def set_num_threads(n: int) -> None:
    """Set how many threads a call may use, the calling one included.

    The count is that of the process: it holds for calls from any of its threads. Results have
    the same bits whatever it is.

    Parameters
    ----------
    n : int
        From 1 to 256.

    Raises
    ------
    TypeError
        If `n` is no integer.
    ValueError
        If `n` is out of range.

    See Also
    --------
    threads : Set it for a block of code.

    Examples
    --------
    >>> import convkit as ck
    >>> before = ck.get_num_threads()
    >>> ck.set_num_threads(2)
    >>> ck.get_num_threads()
    2
    >>> ck.set_num_threads(before)
    """
    global _num_threads
    count = _checked(n)
    pool = _pool()
    if pool:
        pool.convkit_set_num_threads(count)
    else:
        _num_threads = count


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Set how many threads a call may use within a ``with`` block.

    Parameters
    ----------
    n : int
        From 1 to 256.

    Raises
    ------
    TypeError
        If `n` is no integer.
    ValueError
        If `n` is out of range.

    Notes
    -----
    The count is that of the process: blocks in two threads that overlap in time see each other's.

    Examples
    --------
    >>> import convkit as ck
    >>> with ck.threads(1):
    ...     ck.get_num_threads()
    1
    """
    before = get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        set_num_threads(before)


def _checked(n: int) -> int:
    """Return `n` as an int that the pool takes."""
    try:
        count = operator.index(n)
    except TypeError:
        count = None
    if count is None or isinstance(n, bool):
        raise TypeError(f"n={n!r}: expected an int from 1 to {MAX_THREADS}")
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"n={count}: expected 1 to {MAX_THREADS} threads; 1 turns threading off")
    return count
