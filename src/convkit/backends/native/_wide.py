"""Integers too wide for floats by their type, but seldom by their values.

Sums below 2^53 are exact in float64. Whether they are is known when x is seen: if not, the
reference adds them up as integers. The result is the same either way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from convkit import activations, boundary
from convkit.algorithm import Array, WForm
from convkit.backends.native._kernels import Kernels, Prepared, sum_dtype
from convkit.backends.numpy.direct import ALGORITHM as REFERENCE
from convkit.dtypes import is_integer
from convkit.dtypes import sum_dtype as sum_type
from convkit.problem import ConvProblem


@dataclass(frozen=True, slots=True, eq=False)
class Wide:
    """Weights for the kernels and for the reference; the largest sum of |w| of a channel."""

    isa: str
    floats: Prepared
    integers: Any
    largest: float


def is_wide(problem: ConvProblem) -> bool:
    """Whether the types of `problem` alone do not say that float64 holds its sums."""
    both = is_integer(problem.dtype) and is_integer(problem.weight_dtype)
    return both and sum_dtype(problem, rounds=False) is None


@lru_cache(maxsize=4096)
def in_floats(problem: ConvProblem) -> ConvProblem:
    """Return the sums of `problem` in float64."""
    return replace(
        problem,
        dtype="float64",
        weight_dtype="float64",
        out_dtype="float64",
        activation=None,
        structure="dense",
    )


def prepare(family: Kernels, problem: ConvProblem, w: Array, **choice: Any) -> Wide:
    """Pack the weights for both ways."""
    floats = w.astype(np.float64)
    largest = np.abs(floats).sum(axis=tuple(range(1, w.ndim))).max(initial=0.0)
    packed = family.prepare(in_floats(problem), floats, **choice)
    return Wide(packed.isa, packed, REFERENCE.prepare(problem, w), float(largest))


def quick_call(
    family: Kernels, problem: ConvProblem, w_form: WForm
) -> Callable[[Array, Array, Array | None, Array], int] | None:
    """Return a quick call for sums that are, as the arrays show, below 2^53."""
    is_plain = problem.activation is None and all(mode == "zeros" for mode in problem.boundary)
    if not is_plain or problem.out_dtype != sum_type(problem.dtype, problem.weight_dtype):
        return None
    call = family.quick_call(in_floats(problem), w_form)
    if call is None:
        return None

    def integers(x: Array, w: Array, bias: Array | None, y: Array) -> int:
        a, v = x.astype(np.float64, order="C"), w.astype(np.float64, order="C")
        # No sum of products, of whichever of them, exceeds the product of the 2-norms.
        if bias is not None or np.vdot(a, a) * np.vdot(v, v) >= 2.0**105:
            return 1
        sums = np.empty(y.shape)
        code = call(a, v, None, sums)
        if code == 0:
            np.copyto(y.view(np.int64), sums, casting="unsafe")
        return code

    return integers


def run(
    family: Kernels,
    problem: ConvProblem,
    prepared: Wide,
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
) -> None:
    """Write exact sums into `out`."""
    extremes = [float(x.min(initial=0)), float(x.max(initial=0))]
    extremes += [boundary.pad_value(mode) for mode in problem.boundary]
    if max(map(abs, extremes)) * prepared.largest >= 2**53:
        REFERENCE.run(problem, prepared.integers, x, bias, residual, out)
        return
    sums = np.empty(out.shape)
    family.run(in_floats(problem), prepared.floats, x.astype(np.float64), None, None, sums)
    # Negative sums of uint64 wrap in the reference, and so they do here.
    exact = sums.astype(np.int64).astype(sum_type(problem.dtype, problem.weight_dtype))
    activations.finish(problem, exact, bias, residual, out)
