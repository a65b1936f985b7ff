"""Complex numbers as twice as many real channels, where no complex kernel takes the problem.

(re)   (wr  -wi) (xr)
(im) = (wi   wr) (xi)        for every tap, input and output channel
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from convkit import activations
from convkit.algorithm import Array
from convkit.backends.native._kernels import Kernels, Prepared
from convkit.dtypes import is_complex, promoted
from convkit.problem import ConvProblem


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """The prepared weights of the real problem."""

    isa: str
    real: Prepared


@lru_cache(maxsize=4096)
def in_reals(problem: ConvProblem) -> ConvProblem:
    """Return `problem` with a channel for each part of a number."""
    dtype = "float32" if promoted(problem.dtype, problem.weight_dtype) == "complex64" else "float64"
    return replace(
        problem,
        in_channels=2 * problem.in_channels,
        out_channels=2 * problem.out_channels,
        dtype=dtype,
        weight_dtype=dtype,
        out_dtype=dtype,
        layout="channels_first",
        structure="dense",
    )


def why_not(problem: ConvProblem) -> str | None:
    """Return why `problem` is not to be had in real parts, or None if it is."""
    if not is_complex(promoted(problem.dtype, problem.weight_dtype)):
        return "it is not complex"
    if any(isinstance(mode, tuple) for mode in problem.boundary):
        return "complex numbers are padded with a constant, kernels exist for all other modes"
    return None


def prepare(family: Kernels, problem: ConvProblem, w: Array, **choice: Any) -> Parts:
    """Pack the weights of all four products."""
    out_channels, channels, *size = w.shape
    parts = np.empty((out_channels, 2, channels, 2, *size), in_reals(problem).dtype)
    parts[:, 0, :, 0] = parts[:, 1, :, 1] = w.real
    parts[:, 1, :, 0] = w.imag
    np.negative(w.imag, out=parts[:, 0, :, 1])
    real = parts.reshape(2 * out_channels, 2 * channels, *size)
    packed = family.prepare(in_reals(problem), real, **choice)
    return Parts(packed.isa, packed)


def run(
    family: Kernels,
    problem: ConvProblem,
    prepared: Parts,
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
) -> None:
    """Split x, convolve, and put the parts of y together."""
    p = in_reals(problem)
    split = np.stack([x.real, x.imag], axis=2).reshape(p.batch, p.in_channels, *p.in_size)
    y = np.empty((p.batch, problem.out_channels, 2, *p.out_size), p.out_dtype)
    whole = y.reshape(p.batch, p.out_channels, *p.out_size)
    family.run(p, prepared.real, split.astype(p.dtype, copy=False), None, None, whole)
    sums = np.empty(out.shape, "complex64" if p.dtype == "float32" else "complex128")
    sums.real, sums.imag = y[:, :, 0], y[:, :, 1]
    activations.finish(problem, sums, bias, residual, out)
