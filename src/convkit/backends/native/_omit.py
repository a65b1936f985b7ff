"""NaN as missing data: sums over what is there, scaled by the weights that saw it.

Three convolutions by compiled kernels, in float64 as the reference has them: of x with
zeros for NaN, of the weights that saw data, and of ones, which counts the gaps under every output.
Without a NaN in x the first one is all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from convkit import activations, boundary
from convkit.algorithm import Array
from convkit.backends.native._kernels import Kernels, Prepared
from convkit.dtypes import is_complex
from convkit.problem import ConvProblem, Mode


@dataclass(frozen=True, slots=True, eq=False)
class Omitting:
    """The three convolutions, prepared, and the sum of each output channel's weights."""

    isa: str
    sums: Prepared
    present: Prepared
    gaps: Prepared
    whole: Array


@lru_cache(maxsize=4096)
def propagating(problem: ConvProblem) -> ConvProblem:
    """Return the sums of `problem`, NaN being data like any other."""
    return replace(
        problem,
        dtype="float64",
        weight_dtype="float64",
        out_dtype="float64",
        activation=None,
        nan_policy="propagate",
        structure="dense",
    )


@lru_cache(maxsize=4096)
def presence(problem: ConvProblem) -> ConvProblem:
    """Return the convolution of what is there (1) and what is not (0); padding is there."""
    modes: tuple[Mode, ...] = tuple(
        ("constant", 1.0) if boundary.is_constant(mode) and max(pads) else mode
        for mode, pads in zip(problem.boundary, problem.padding, strict=True)
    )
    return replace(propagating(problem), boundary=modes)


def why_not(problem: ConvProblem) -> str | None:
    """Return why NaN cannot be omitted from `problem` here, or None if it can."""
    if is_complex(problem.dtype):
        return "nan_policy is omit and dtype is complex, kernels exist for real numbers"
    if max(problem.input_dilation) > 1:
        return "nan_policy is omit and x is dilated, kernels exist for one of the two"
    if any(isinstance(mode, tuple) and np.isnan(mode[1]) for mode in problem.boundary):
        return "nan_policy is omit and x is padded with NaN"
    return None


def prepare(family: Kernels, problem: ConvProblem, w: Array, **choice: Any) -> Omitting:
    """Pack the weights, and ones, for the three convolutions."""
    sums, present = propagating(problem), presence(problem)
    wide = w.astype(sums.weight_dtype)
    ones = np.ones_like(wide)
    parts = [
        family.prepare(p, v, **choice) for p, v in ((sums, wide), (present, wide), (sums, ones))
    ]
    whole = wide.sum(axis=tuple(range(1, wide.ndim)))
    return Omitting(parts[0].isa, parts[0], parts[1], parts[2], whole)


def run(
    family: Kernels,
    problem: ConvProblem,
    prepared: Omitting,
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
) -> None:
    """Write the renormalised sums into `out`."""
    sums, present = propagating(problem), presence(problem)

    def convolve(p: ConvProblem, packed: Prepared, array: Array) -> Array:
        y = np.empty(out.shape, p.out_dtype)
        family.run(p, packed, array.astype(p.dtype, copy=False), None, None, y)
        return y

    missing = np.isnan(x)
    total = convolve(sums, prepared.sums, np.where(missing, 0, x))
    if missing.any():
        seen = convolve(present, prepared.present, ~missing)
        no_constants = replace(sums, boundary=_without_constants(sums))
        gaps = convolve(no_constants, prepared.gaps, missing) > 0
        whole = prepared.whole.reshape(-1, *(1,) * problem.rank)
        with np.errstate(all="ignore"):
            scale = np.where(seen == 0, np.nan, whole / seen)
            total = np.where(gaps, total * scale, total)
    activations.finish(problem, total, bias, residual, out)


def _without_constants(problem: ConvProblem) -> tuple[Mode, ...]:
    """Return the padding modes, constants being no gaps."""
    return tuple("zeros" if boundary.is_constant(mode) else mode for mode in problem.boundary)
