"""What a problem line is called with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import convkit as ck

Array = NDArray[Any]


def arrays(problem: ck.ConvProblem) -> tuple[Array, Array]:
    """Return x and w of normal numbers, or of grey values; w of the problem's structure."""
    rng = np.random.default_rng(0)
    channels = problem.in_channels // problem.groups

    def numbers(shape: tuple[int, ...], dtype: str) -> Array:
        is_integer = np.dtype(dtype).kind in "iu"
        values = rng.integers(0, 120, shape) if is_integer else rng.standard_normal(shape)
        return values.astype(dtype)

    x = numbers((problem.batch, problem.in_channels, *problem.in_size), problem.dtype)
    w = numbers((problem.out_channels, channels, *problem.kernel_size), problem.weight_dtype)
    if problem.structure == "separable":
        w = w[..., :1] * w[..., :1, :]
    elif problem.structure == "box":
        w = np.full_like(w, 1 / w[0, 0].size)
    return x, w


def keywords(problem: ck.ConvProblem) -> dict[str, Any]:
    """Return the keywords that make the problem out of its arrays."""
    return {
        "stride": problem.stride,
        "padding": problem.padding,
        "dilation": problem.dilation,
        "groups": problem.groups,
        "padding_mode": problem.boundary,
        "out_dtype": problem.out_dtype,
    }


def plan(problem: ck.ConvProblem, x: Array, w: Array) -> ck.Plan:
    """Return the plan of the problem."""
    make = {1: ck.plan_conv1d, 2: ck.plan_conv2d, 3: ck.plan_conv3d}[problem.rank]
    return make(x.shape, w, dtype=x.dtype, **keywords(problem))


def call(problem: ck.ConvProblem, x: Array, w: Array) -> Array:
    """Compute the problem by the function a user would call."""
    function = {1: ck.conv1d, 2: ck.conv2d, 3: ck.conv3d}[problem.rank]
    return function(x, w, **keywords(problem))
