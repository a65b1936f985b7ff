"""More than three convolved axes: the last three by kernels, added up over the taps of the others.

Descriptors of csrc/abi.h have three axes. For every position and tap along the axes before these,
a kernel adds its sums to those that are there, by its residual.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from convkit import activations, boundary
from convkit.algorithm import Array
from convkit.backends.native._kernels import MAX_RANK, Kernels, Prepared, sum_dtype
from convkit.problem import ConvProblem


@dataclass(frozen=True, slots=True, eq=False)
class Nested:
    """The prepared weights of every tap of the first axes."""

    isa: str
    taps: dict[tuple[int, ...], Prepared]


@lru_cache(maxsize=4096)
def innermost(problem: ConvProblem) -> ConvProblem:
    """Return what the last three axes are to the kernels."""
    p = problem
    dtype = sum_dtype(p, rounds=False)
    assert dtype is not None, f"no kernel holds the sums of {p}"
    names = ("in_size", "kernel_size", "stride", "dilation", "input_dilation", "padding")
    last = {name: getattr(p, name)[-MAX_RANK:] for name in names}
    return replace(
        p,
        **last,
        boundary=p.boundary[-MAX_RANK:],
        dtype=dtype,
        weight_dtype=dtype,
        out_dtype=dtype,
        activation=None,
        layout="channels_first",
        structure="dense",
    )


def count(problem: ConvProblem) -> int:
    """Count the convolutions of three axes that `problem` is made of."""
    lead = problem.rank - MAX_RANK
    return prod(problem.out_size[:lead]) * prod(problem.kernel_size[:lead])


def prepare(family: Kernels, problem: ConvProblem, w: Array, **choice: Any) -> Nested:
    """Pack the weights of every tap of the first axes on their own."""
    inner = innermost(problem)
    lead = problem.kernel_size[:-MAX_RANK]
    taps = {
        tap: family.prepare(inner, w[(slice(None), slice(None), *tap)], **choice)
        for tap in np.ndindex(lead)
    }
    return Nested(next(iter(taps.values())).isa, taps)


def run(
    family: Kernels,
    problem: ConvProblem,
    prepared: Nested,
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
) -> None:
    """Add up, position by position along the first axes."""
    p, inner = problem, innermost(problem)
    lead = p.rank - MAX_RANK
    x = x.astype(inner.dtype, copy=False)
    sums = np.zeros(out.shape, inner.out_dtype)
    sources = [_sources(p, axis) for axis in range(lead)]
    for at in np.ndindex(*p.out_size[:lead]):
        y = sums[(slice(None), slice(None), *at)]
        for tap, packed in prepared.taps.items():
            found = [int(sources[i][at[i], tap[i]]) for i in range(lead)]
            family.run(inner, packed, _seen(p, x, found), None, y, y)
    activations.finish(p, sums, bias, residual, out)


def _sources(p: ConvProblem, axis: int) -> Array:
    """Return where in x each output and tap of an axis looks: an index, _ZERO or _CONSTANT."""
    outs = np.arange(p.out_size[axis], dtype=np.int64)[:, np.newaxis] * (
        p.stride[axis] if p.out_size[axis] > 1 else 0
    )
    taps = np.arange(p.kernel_size[axis], dtype=np.int64) * (
        p.dilation[axis] if p.kernel_size[axis] > 1 else 0
    )
    positions = outs + taps - p.padding[axis][0]
    found = boundary.sources(positions, p.dilated_size[axis], p.boundary[axis])
    step = p.input_dilation[axis]
    return np.where(found < 0, found, np.where(found % step, _ZERO, found // step))


_ZERO = -2  # between two elements of a dilated input


def _seen(p: ConvProblem, x: Array, found: list[int]) -> Array:
    """Return the part of x at one position along the first axes."""
    constants = [i for i, source in enumerate(found) if source == boundary.CONSTANT]
    if not constants and min(found) >= 0:
        index: tuple[Any, ...] = (slice(None), slice(None), *found)
        part: Array = x[index]
        return part
    value = boundary.pad_value(p.boundary[constants[-1]]) if constants else 0.0
    shape = (*x.shape[:2], *x.shape[2 + len(found) :])
    return np.broadcast_to(np.asarray(value, x.dtype), shape)
