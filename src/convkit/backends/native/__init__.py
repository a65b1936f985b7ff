"""The compiled kernels of csrc/: found by name and instruction set, their errors raised."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from convkit.errors import BackendUnavailableError
from convkit.threads import MAX_THREADS

try:
    from convkit._convkit import ffi, lib
except ImportError as error:
    if os.environ.get("CONVKIT_REQUIRE_NATIVE") == "1":
        raise ImportError(
            f"convkit was installed without its compiled kernels ({error}), and "
            f"CONVKIT_REQUIRE_NATIVE=1 does not allow that; run: pip install --force-reinstall "
            f"convkit-native"
        ) from error
    _REASON = (
        f"backend='native' needs the compiled kernels, which this installation does not have "
        f"({error}); install them with: pip install --force-reinstall convkit-native (a C "
        f"compiler is needed where there is no wheel, and CONVKIT_BUILD=pure must not be set)"
    )
    warnings.warn(f"{_REASON}; until then convkit is slow", RuntimeWarning, stacklevel=2)
    raise BackendUnavailableError(_REASON) from error

__all__ = ["bind", "ffi", "isa", "isas", "kernel_names", "kernels", "lib", "raise_code"]


# From the address of a new reference to the function itself.
bind: Callable[..., Callable[..., int]] = ctypes.cast(lib.ck_python_bind(), ctypes.py_object).value


def text(chars: Any) -> str:
    """Return the Python string of a C string."""
    return str(ffi.string(chars).decode())


@cache
def isas() -> tuple[str, ...]:
    """Return the instruction sets that were compiled and that this CPU has, best first."""
    compiled = (text(lib.ck_isas[i]) for i in range(lib.ck_isa_count))
    return tuple(isa for isa in compiled if lib.ck_cpu_has(isa.encode()))


@cache
def isa() -> str:
    """Return the instruction set in use: the best, or that of CONVKIT_ISA.

    Raises
    ------
    BackendUnavailableError
        If CONVKIT_ISA names one that is not there.
    """
    forced = os.environ.get("CONVKIT_ISA")
    if not forced:
        return isas()[0]
    if forced not in isas():
        raise BackendUnavailableError(
            f"CONVKIT_ISA={forced!r}: this build on this CPU has {', '.join(isas())}; "
            f"unset it for the first of these"
        )
    return forced


@cache
def kernels(name: str) -> dict[str, Any]:
    """Return the version of kernel `name` for each instruction set: its own, or the next lesser."""
    rows = {text(row.isa): row for row in _rows() if text(row.name) == name}
    found: dict[str, Any] = {}
    for isa in reversed(isas()):
        row = rows.get(isa) or next(reversed(found.values()), None)
        if row is not None:
            found[isa] = row
    return dict(reversed(found.items()))


@cache
def kernel_names() -> tuple[str, ...]:
    """Return the names of all kernels."""
    return tuple(dict.fromkeys(text(row.name) for row in _rows()))


def raise_code(code: int, nbytes: int = 0) -> NoReturn:
    """Raise what a negative result of the C library stands for.

    Parameters
    ----------
    code : int
        CK_EINVAL ... CK_EALIGN.
    nbytes : int
        The size of the workspace that was asked for.
    """
    if code == lib.CK_ECANCELED:
        raise _interrupts.pop(threading.get_ident(), KeyboardInterrupt())
    if code == lib.CK_ENOMEM:
        raise MemoryError(f"no memory for a workspace of {nbytes} bytes")
    if code == lib.CK_EOVERLAP:
        raise ValueError("out shares memory with x: pass an array of its own, such as x.copy()")
    if code == lib.CK_EOVERFLOW:
        raise ValueError("the sizes or strides of this problem pass 63 bits")
    if code == lib.CK_EALIGN:
        raise ValueError("an array is not aligned to its dtype: np.require(a, requirements='A')")
    raise AssertionError(f"the C library refused its arguments (code {code}): please report this")


def _rows() -> list[Any]:
    """Return all rows of the table of kernels, best instruction set first."""
    return [lib.ck_kernels[i] for i in range(lib.ck_kernel_count)]


# What a signal handler raised during a native call (Ctrl-C: KeyboardInterrupt), by thread.
_interrupts: dict[int, BaseException] = {}


def _poll() -> int:
    """Let pending signal handlers run, as entering any Python function does."""
    return 0


def _keep_interrupt(_: Any, error: BaseException, traceback: Any) -> None:
    """Keep what a signal handler raised; the call stops, and `raise_code` raises it."""
    _interrupts[threading.get_ident()] = error.with_traceback(traceback)


def _check_environment() -> None:
    """Refuse a CONVKIT_NUM_THREADS that csrc/pool.c would pass over."""
    given = os.environ.get("CONVKIT_NUM_THREADS") or "1"
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= MAX_THREADS):
        raise ValueError(f"CONVKIT_NUM_THREADS={given!r}: expected an int from 1 to {MAX_THREADS}")


_check_environment()
ffi.def_extern(name="ck_poll", error=1, onerror=_keep_interrupt)(_poll)
lib.ck_set_poll(lib.ck_poll)
# Before the interpreter shuts down, while daemon threads may be in a native call: Python ends a
# thread that calls it from then on.
atexit.register(lib.ck_set_poll, ffi.NULL)
