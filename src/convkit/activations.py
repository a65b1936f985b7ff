"""The activations, as the formulas that every algorithm is held to."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np

from convkit.dtypes import Array, store, sum_dtype
from convkit.problem import Activation, ActivationName, ConvProblem

NAMES: tuple[str, ...] = get_args(ActivationName)
LEAKY_SLOPE = 0.01  # of "leaky_relu" without a slope of its own, as in PyTorch


def apply(y: Array, activation: Activation | None) -> Array:
    """Return `activation` of every element of `y`.

    Integers stay what they are under those that keep them whole (relu, relu6, clip to integers);
    all others compute in float64.

    Examples
    --------
    >>> apply(np.array([-2.0, 0.5, 9.0]), "relu6")
    array([0. , 0.5, 6. ])
    >>> apply(np.array([-2.0, 0.5, 9.0]), ("leaky_relu", 0.25))
    array([-0.5,  0.5,  9. ])
    """
    if activation is None:
        return y
    with np.errstate(all="ignore"):
        if activation == "relu":
            return np.maximum(y, 0)
        if activation == "relu6":
            return _clip(y, 0.0, 6.0)
        if activation == "leaky_relu":
            return _leaky_relu(y, LEAKY_SLOPE)
        if isinstance(activation, tuple):
            name, *parameters = activation
            return _clip(y, *parameters) if name == "clip" else _leaky_relu(y, *parameters)
        return FORMULAS[activation](y.astype(np.float64))


def finish(
    problem: ConvProblem, sums: Array, bias: Array | None, residual: Array | None, out: Array
) -> None:
    """Write activation(sums + bias + residual) into `out`, rounded once."""
    if bias is not None or residual is not None or problem.activation is not None:
        sums = sums.astype(sum_dtype(problem.dtype, problem.weight_dtype), copy=False)
    if bias is not None:
        sums = sums + _wide(bias).reshape(-1, *(1,) * problem.rank)
    if residual is not None:
        sums = sums + _wide(residual)
    store(apply(sums, problem.activation), out)


def _wide(array: Array) -> Array:
    """Return bfloat16, which NumPy does not add to its own types, as float64."""
    return array.astype(np.float64) if array.dtype.kind == "V" else array


def _clip(y: Array, low: float, high: float) -> Array:
    """Clip, integers in integers where the bounds allow it."""
    if y.dtype.kind not in "iu":
        return np.minimum(np.maximum(y, low), high)
    # An integer lies within bounds exactly if it lies within the integers between them.
    own = np.iinfo(y.dtype)
    whole = all(math.isinf(bound) or float(bound).is_integer() for bound in (low, high))
    if not whole:
        return _clip(y.astype(np.float64), low, high)
    bounds = [own.min if b < own.min else own.max if b > own.max else int(b) for b in (low, high)]
    return np.minimum(np.maximum(y, bounds[0]), bounds[1])


def _leaky_relu(y: Array, slope: float) -> Array:
    return np.where(y < 0, y * slope, y)


def _sigmoid(y: Array) -> Array:
    """1 / (1 + exp(-y)), the exponential taken where it cannot overflow."""
    small = np.exp(-np.abs(y))
    return np.where(y < 0, small, 1.0) / (1.0 + small)


def _silu(y: Array) -> Array:
    return y * _sigmoid(y)


def _gelu(y: Array) -> Array:
    """Multiply by the normal distribution function: the exact form, by erf."""
    tail: Array = np.vectorize(math.erfc, otypes=[np.float64])(-y / math.sqrt(2))
    return y * 0.5 * tail


def _hardswish(y: Array) -> Array:
    return y * _clip(y + 3, 0.0, 6.0) / 6


FORMULAS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "silu": _silu,
    "gelu": _gelu,
    "hardswish": _hardswish,
}
