"""Element types: which are taken, what comes out, and how a sum becomes an element."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias, cast

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
DType: TypeAlias = np.dtype[Any]

NAMES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)
# Products of two of these fit 32 bits, and sums of many of them do in practice.
NARROW = frozenset({"bool", "int8", "int16", "uint8", "uint16"})


@cache
def real_dtype(name: str) -> DType:
    """Return the dtype of `name`, also of the one that ml_dtypes adds (bfloat16)."""
    if name == "bfloat16":
        from ml_dtypes import bfloat16

        return cast("DType", np.dtype(bfloat16))
    return np.dtype(name)


def is_integer(name: str) -> bool:
    """Whether the dtype of `name` holds integers; bool counts as one."""
    return name.startswith(("bool", "int", "uint"))


def is_complex(name: str) -> bool:
    """Whether the dtype of `name` holds complex numbers."""
    return name.startswith("complex")


@cache
def promoted(x: str, w: str) -> str:
    """Return the name of the type that holds the values of both, by NumPy's rules."""
    if x == w:
        return x
    if "bfloat16" in (x, w):
        # ml_dtypes has no common type for bfloat16 and wide integers: they join as float32 would,
        # and float16, which bfloat16 cannot hold either, gives float32.
        other = x if w == "bfloat16" else w
        return "bfloat16" if other in ("bool", "int8", "uint8") else promoted("float32", other)
    return np.result_type(x, w).name


@cache
def result_dtype(x: str, w: str) -> str:
    """Return the name of the type that a convolution of `x` with `w` has by default."""
    if not (is_integer(x) and is_integer(w)):
        return promoted(x, w)
    if x in NARROW and w in NARROW:
        return "int32"
    return "uint64" if promoted(x, w) == "uint64" else "int64"


@cache
def sum_dtype(x: str, w: str) -> DType:
    """Return the type in which the reference adds products of `x` with `w`."""
    result = result_dtype(x, w)
    if is_integer(result):
        return np.dtype("uint64" if result == "uint64" else "int64")
    return np.dtype("complex128" if is_complex(result) else "float64")


def unit_roundoff(name: str) -> float:
    """Return the largest relative error of rounding to the type of `name`; 0 for integers."""
    if is_integer(name):
        return 0.0
    if name == "bfloat16":
        return 2.0**-8
    return float(np.finfo(name).eps) / 2


def store(values: Array, out: Array) -> None:
    """Write `values` into `out`; into integers rounded to nearest even, saturated, NaN as 0."""
    with np.errstate(all="ignore"):
        if out.dtype.kind not in "iu":
            out[...] = values
            return
        bounds = np.iinfo(out.dtype)
        if values.dtype.kind in "iu":
            own = np.iinfo(values.dtype)
            out[...] = values.clip(max(bounds.min, own.min), min(bounds.max, own.max))
            return
        top = float(bounds.max)
        if values.dtype.kind == "f" and top == values.dtype.type(top) and top < 2**31 - 1:
            rounded = np.rint(values)
            np.clip(rounded, float(bounds.min), top, out=rounded)
            if np.isnan(rounded.sum()):  # nothing infinite is left that could make it so
                rounded[np.isnan(rounded)] = 0.0
            out[...] = rounded
            return
        rounded = np.nan_to_num(np.rint(values), nan=0.0, posinf=np.inf, neginf=-np.inf)
        # As a float the largest integer may round up to one that the cast cannot take.
        out[...] = np.where(rounded < top, rounded, 0.0).clip(float(bounds.min))
        out[rounded >= top] = bounds.max
