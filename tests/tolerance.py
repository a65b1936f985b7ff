"""How far a result may be from the reference: a formula, in this one place."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from convkit.algorithm import Algorithm
from convkit.arguments import Form
from convkit.backends.numpy.direct import ALGORITHM as REFERENCE
from convkit.dtypes import Array, is_complex, is_integer, result_dtype, unit_roundoff
from convkit.plan import execute, prepare
from convkit.problem import ConvProblem

# Steepest slopes of the activations, by which they multiply an error. Of all others it is 1.
SLOPES = {"silu": 1.1, "gelu": 1.13, "hardswish": 1.5}
# Roundings of an activation's own formula, relative to what goes in and to 1.
ACTIVATION_ROUNDINGS = 8


def allowed_error(
    problem: ConvProblem,
    algorithm: Algorithm,
    x: Array,
    w: Array,
    bias: Array | None,
    residual: Array | None,
) -> Array:
    """Return the largest |y - reference| allowed for each output; 0 where all is exact.

    c * u * sum(|x| * |w|), or of normwise algorithms c * u * |x| * |w| in 2-norms, with c the
    error bound of the algorithm and of the reference, and u the roundoff of the type that was
    summed in; four roundings of bias, residual and sum; those of the activation; and one more in
    the type of the result.
    """
    sums = result_dtype(problem.dtype, problem.weight_dtype)
    smooth = problem.activation in ("sigmoid", "tanh", "silu", "gelu", "hardswish")
    size = _magnitude(problem, x, w, bias, residual)
    norm = _norms(problem, x, w) if algorithm.error_norm == "normwise" else 0.0
    if is_integer(sums) and problem.activation is None and is_integer(problem.out_dtype):
        return np.zeros_like(size)
    u = 2**-53 if is_integer(sums) else max(unit_roundoff(sums), 2**-53)
    u = 2**-24 if sums in ("float16", "bfloat16") else u  # summed in float32 at the least
    c = algorithm.error_bound(problem) + REFERENCE.error_bound(problem) + 4
    error = c * u * (size + norm)
    if problem.nan_policy == "omit":
        error = error * _amplification(problem, x, w)
    if smooth:
        error = SLOPES.get(str(problem.activation), 1.0) * error
        error += ACTIVATION_ROUNDINGS * u * (1 + size)
    if is_integer(problem.out_dtype):
        return np.ceil(error)  # a sum beside a half may be rounded the other way
    # Four roundings: where a complex result is made of four products, or a float16 is rounded.
    return error + 4 * unit_roundoff(problem.out_dtype) * size * (1 + smooth)


def _magnitude(
    problem: ConvProblem, x: Array, w: Array, bias: Array | None, residual: Array | None
) -> Array:
    """Return sum(|x| * |w|) + |bias| + |residual|; without what is not finite."""
    boundary = tuple(
        ("constant", abs(mode[1])) if isinstance(mode, tuple) else mode for mode in problem.boundary
    )
    real = replace(
        problem,
        dtype="float64",
        weight_dtype="float64",
        out_dtype="float64",
        boundary=boundary,
        activation=None,
        nan_policy="propagate",
    )
    form = Form.of(real)
    parts = [None if a is None else _absolute(a) for a in (x, w, bias, residual)]
    prepared = prepare(form, REFERENCE, parts[1])
    return execute(form, REFERENCE, prepared, parts[0], parts[2], parts[3], None)


def _amplification(problem: ConvProblem, x: Array, w: Array) -> Array:
    """Return by how much scaling to the weights that saw data multiplies an error, 1 at least.

    y = total * whole / present: the error of `present` is relative to sum(|w|).
    """
    if max(problem.input_dilation) > 1:  # the reference alone
        return np.ones(1)
    modes = tuple(
        mode if mode in ("reflect", "symmetric", "replicate", "circular") else ("constant", 1.0)
        for mode in problem.boundary
    )
    wide = "complex128" if is_complex(problem.dtype) else "float64"
    seen = replace(
        problem,
        dtype=wide,
        weight_dtype=wide,
        out_dtype=wide,
        boundary=modes,
        activation=None,
        nan_policy="propagate",
    )
    form = Form.of(seen)
    weights = w.astype(wide)
    present = np.abs(
        execute(form, REFERENCE, prepare(form, REFERENCE, weights), ~np.isnan(x), None, None, None)
    )
    sums = np.abs(weights).sum(axis=tuple(range(1, w.ndim)))
    shape = (-1, *(1,) * problem.rank) if problem.layout != "channels_last" else (-1,)
    total = (
        np.reshape(sums, shape)[..., np.newaxis]
        if problem.layout == "batch_last"
        else (np.reshape(sums, shape))
    )
    with np.errstate(all="ignore"):
        ratio = np.nan_to_num(total / present, nan=1.0, posinf=1.0)
    return 1 + ratio * (1 + ratio)


def _norms(problem: ConvProblem, x: Array, w: Array) -> Array:
    """Return |x| * |w| for each output channel: largest 2-norms that a channel can have."""
    constants = [abs(mode[1]) for mode in problem.boundary if isinstance(mode, tuple)]
    largest = max([float(_absolute(x).max(initial=0.0)), *constants])
    elements = prod(problem.padded_size) * problem.in_channels // problem.groups
    filters = np.sqrt((_absolute(w) ** 2).sum(axis=tuple(range(1, w.ndim))))
    channel = filters if w.ndim > problem.rank else np.sqrt((_absolute(w) ** 2).sum())
    norms = largest * np.sqrt(elements) * np.reshape(channel, (-1, *(1,) * problem.rank))
    if problem.layout == "batch_last":  # one channel
        return norms[..., np.newaxis]
    return np.moveaxis(norms, 0, -1) if problem.layout == "channels_last" else norms


def _absolute(array: Array) -> Array:
    wide = array.astype(np.complex128 if is_complex(array.dtype.name) else np.float64)
    return np.nan_to_num(np.abs(wide), nan=0.0, posinf=0.0, neginf=0.0)


def assert_close(actual: Array, expected: Array, allowed: Array, said: str) -> None:
    """Assert that results agree: infinities and NaN exactly, all else within `allowed`."""
    assert actual.shape == expected.shape, said
    assert actual.dtype == expected.dtype, said
    wide = np.complex128 if actual.dtype.kind == "c" else np.float64
    if actual.dtype.kind in "iu":
        wide = object if actual.dtype.itemsize == 8 else np.int64
    a, b = actual.astype(wide), expected.astype(wide)
    if wide in (np.float64, np.complex128):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b), said)
        finite = np.isfinite(b)
        both = ~finite & ~np.isnan(b)
        np.testing.assert_array_equal(a[both], b[both], said)
        a, b, allowed = a[finite], b[finite], allowed[finite]
    wrong = np.abs(a - b) > allowed
    if np.any(wrong):
        worst = np.max(np.abs(a - b) / np.maximum(allowed, 1e-300))
        raise AssertionError(
            f"{said}\n{np.count_nonzero(wrong)} of {np.size(wrong)} outside, at worst {worst:.3g} "
            f"times what is allowed"
        )
