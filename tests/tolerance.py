"""How far a result may be from the reference: a formula, in this one place."""

from __future__ import annotations

from dataclasses import replace

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

    c * u * sum(|x| * |w|), with c the error bound of the algorithm and of the reference, and u
    the roundoff of the type that was summed in; four roundings of bias, residual and sum; those
    of the activation; and one more in the type of the result.
    """
    sums = result_dtype(problem.dtype, problem.weight_dtype)
    smooth = problem.activation in ("sigmoid", "tanh", "silu", "gelu", "hardswish")
    size = _magnitude(problem, x, w, bias, residual)
    if is_integer(sums) and problem.activation is None and is_integer(problem.out_dtype):
        return np.zeros_like(size)
    u = 2**-53 if is_integer(sums) else max(unit_roundoff(sums), 2**-53)
    u = 2**-24 if sums in ("float16", "bfloat16") else u  # summed in float32 at the least
    c = algorithm.error_bound(problem) + REFERENCE.error_bound(problem) + 4
    error = c * u * size
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
