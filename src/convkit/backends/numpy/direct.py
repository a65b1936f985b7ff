"""The definition of convolution, written as a sum over kernel taps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convkit import activations, boundary
from convkit.algorithm import Algorithm, Array, real_dtype
from convkit.dtypes import sum_dtype, unit_roundoff
from convkit.problem import ConvProblem

# Elements of the sums that are worked on at a time: a few of the caches, never gigabytes.
BLOCK = 2**20
# Instead of an index: between two elements of a dilated input.
ZERO = -2


class NumpyDirect(Algorithm):
    """Sum w[o, c, k] * x[n, c, i * stride + k * dilation] over channels c and taps k.

    In float64, complex128 or 64-bit integers, rounded once.
    """

    name = "direct"
    backend = "numpy"

    def why_not(self, problem: ConvProblem) -> str | None:
        """Take every forward problem."""
        return None if problem.op == "forward" else f"op is {problem.op}, forward is written"

    def cost(self, problem: ConvProblem) -> float:
        """Two nanoseconds a multiply-add, 50 microseconds a tap."""
        return 5e-5 * prod(problem.kernel_size) + 2e-9 * problem.macs

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """Count the sums of a block and what one tap meets, each with a temporary."""
        images, rows = _block(problem)
        return 2 * 16 * images * rows * _row_elements(problem)

    def error_bound(self, problem: ConvProblem) -> float:
        """Return that of a running sum, or of one rounding where the sums have digits to spare."""
        has_spare_digits = unit_roundoff(problem.out_dtype) > unit_roundoff("float64")
        return 2.0 if has_spare_digits else super().error_bound(problem)

    def prepare(self, problem: ConvProblem, weights: Array) -> Array:
        """Return the weights in the type of the sums: a matrix for each tap and group."""
        p = problem
        shape = (p.groups, p.out_channels // p.groups, p.in_channels // p.groups, *p.kernel_size)
        split = weights.astype(sum_dtype(p.dtype, p.weight_dtype)).reshape(shape)
        return np.moveaxis(split, (0, 1, 2), (-3, -2, -1))

    def run(
        self,
        problem: ConvProblem,
        prepared: Any,
        x: Array,
        bias: Array | None,
        residual: Array | None,
        out: Array,
    ) -> None:
        """Compute block by block."""
        for images, rows in _blocks(problem):
            with np.errstate(all="ignore"):
                y = _sums(problem, prepared, x[images], rows)
            added = None if residual is None else residual[images, :, rows]
            activations.finish(problem, y, bias, added, out[images, :, rows])


def _row_elements(problem: ConvProblem) -> int:
    """Count the sums of one row of an image, and what they are sums of."""
    return (problem.in_channels + problem.out_channels) * prod(problem.out_size[1:])


def _block(problem: ConvProblem) -> tuple[int, int]:
    """Return how many images, and how many rows of each, are worked on at a time."""
    height = problem.out_size[0]
    rows = max(1, min(height, BLOCK // max(1, _row_elements(problem))))
    images = BLOCK // max(1, rows * _row_elements(problem)) if rows == height else 1
    return max(1, min(problem.batch, images)), rows


def _blocks(problem: ConvProblem) -> Iterator[tuple[slice, slice]]:
    """Yield images and rows (of the first convolved axis), a block at a time."""
    images, rows = _block(problem)
    height = problem.out_size[0]
    for image, row in product(range(0, problem.batch, images), range(0, height, rows)):
        yield slice(image, min(image + images, problem.batch)), slice(row, min(row + rows, height))


def _sums(p: ConvProblem, weights: Array, x: Array, rows: slice) -> Array:
    """Return the sums of some images, shape (len(x), out_channels, len(rows), *out_size[1:])."""
    size = (rows.stop - rows.start, *p.out_size[1:])
    shape = (len(x), p.groups, p.out_channels // p.groups, prod(size))
    total = np.zeros(shape, weights.dtype)
    present = np.zeros(shape, weights.dtype)
    gaps = np.zeros((len(x), p.groups, 1, prod(size)), bool)
    for tap in product(*map(range, p.kernel_size)):
        taps: Array = weights[tap]
        seen = _under(p, x, tap, rows).astype(weights.dtype)
        seen = seen.reshape(len(x), p.groups, p.in_channels // p.groups, prod(size))
        if p.nan_policy == "omit":
            is_here = ~np.isnan(seen)
            present += taps @ is_here.astype(weights.dtype)
            gaps |= ~is_here.all(axis=2, keepdims=True)
            seen = np.where(is_here, seen, 0)
        total += taps @ seen
    if p.nan_policy == "omit":
        whole = weights.sum(axis=(*range(p.rank), -1))[..., np.newaxis]
        scale = np.where(present == 0, np.nan, whole / present)
        total = np.where(gaps, total * scale, total)
    return total.reshape(len(x), p.out_channels, *size)


def _under(p: ConvProblem, x: Array, tap: tuple[int, ...], rows: slice) -> Array:
    """Return the elements of the dilated and padded x that one tap meets, one for each output."""
    sources = [_sources(p, axis, k, rows) for axis, k in enumerate(tap)]
    if x.size:
        inside = (np.maximum(source, 0) for source in sources)
        seen: Array = x[np.ix_(np.arange(len(x)), np.arange(p.in_channels), *inside)]
    else:  # nothing but padding, or no channels
        seen = np.zeros((len(x), p.in_channels, *map(len, sources)), x.dtype)
    for axis, source in enumerate(sources):
        np.moveaxis(seen, 2 + axis, 0)[source == ZERO] = 0
    for axis, source in enumerate(sources):  # as np.pad does: the last axis wins a corner
        constant = np.asarray(boundary.pad_value(p.boundary[axis])).astype(real_dtype(p.dtype))
        np.moveaxis(seen, 2 + axis, 0)[source == boundary.CONSTANT] = constant
    return seen


def _sources(p: ConvProblem, axis: int, k: int, rows: slice) -> Array:
    """Return the index in x of what tap `k` meets along one axis, `ZERO` or `boundary.CONSTANT`."""
    first, last = (rows.start, rows.stop) if axis == 0 else (0, p.out_size[axis])
    start = k * p.dilation[axis] - p.padding[axis][0]
    stride = p.stride[axis] if last > 1 else 0  # of a single output it may be past any x
    positions = start + stride * np.arange(first, last, dtype=np.int64)
    found = boundary.sources(positions, p.dilated_size[axis], p.boundary[axis])
    step = p.input_dilation[axis]
    is_between = (found >= 0) & (found % step != 0)
    return np.where(found < 0, found, np.where(is_between, ZERO, found // step))


ALGORITHM = NumpyDirect()
