"""Every kernel, at the edges of its tile: nothing is missed and nothing is overrun."""

from __future__ import annotations

import numpy as np
import pytest

import convkit as ck
from convkit import registry
from convkit.backends.native import kernels, text
from convkit.problem import ConvProblem

EDGES = [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65]
# What some kernel takes; "W" is the width, "O" the number of output channels.
SHAPES = [
    "conv2d n2 c3 oO i5xW k3x3 p1x1",
    "conv2d n2 cO oO gO i5xW k3x3 p1x1",
    "conv2d n2 c1 o1 i5xW k3x3 p1x1",
    "conv2d n2 c1 o1 i5xW k3x3 p1x1 separable",
    "conv2d n2 c1 o1 i5xW k3x3 p1x1 box",
    "conv1d n2 c1 o1 iW k3 p1",
    "conv1d n2 c3 oO iW k3 p1",
]
DTYPES = [
    *("float32", "float64", "complex64", "complex128", "uint8*float32->uint8", "uint8*int8->int32"),
    *("uint8*int8->uint8", "int16*float32->int16", "uint16*float64->uint16"),
]
KERNELS = [
    (algorithm, kernel, isa)
    for algorithm in registry.algorithms("native")
    for kernel in algorithm.kernel_names()
    for isa, row in kernels(kernel).items()
    if text(row.isa) == isa
]


def taken(algorithm, kernel, isa, width):
    """Return a problem of that width, which the kernel takes."""
    for shape in SHAPES:
        for dtype in DTYPES:
            line = shape.replace("W", str(width)).replace("O", str(width % 19 + 1))
            problem = ConvProblem.parse(f"{line} {dtype}")
            if algorithm.kernel_why_not(problem, kernel, isa) is None:
                return problem
    raise AssertionError(f"{kernel} takes no problem of this test")


def arrays(problem):
    """Return small integers whose sums are exact."""
    rng = np.random.default_rng(problem.in_size[-1])
    low = 0 if problem.dtype.startswith("u") else -3
    x = rng.integers(low, 4, (problem.batch, problem.in_channels, *problem.in_size))
    w_shape = (problem.out_channels, problem.in_channels // problem.groups, *problem.kernel_size)
    w = rng.integers(0, 4, w_shape)
    if problem.structure == "separable":
        w = w[..., :1] * w[..., :1, :]
    elif problem.structure == "box":
        w = np.full_like(w, 3)
    return x.astype(problem.dtype), w.astype(problem.weight_dtype)


@pytest.mark.parametrize(
    ("algorithm", "kernel", "isa"), KERNELS, ids=[f"{kernel}-{isa}" for _, kernel, isa in KERNELS]
)
def test_nothing_is_missed_and_nothing_overrun_at_the_edges_of_a_tile(algorithm, kernel, isa):
    """The result is a view within a frame: what is missed keeps its value, what is overrun not."""
    for width in EDGES:
        problem = taken(algorithm, kernel, isa, width)
        x, w = arrays(problem)
        shape = (problem.batch, problem.out_channels, *problem.out_size)
        dtype = np.dtype(problem.out_dtype)
        blank = 77 if dtype.kind in "iu" else np.nan
        frame = np.full((*shape[:2], *(n + 2 for n in shape[2:])), blank, dtype)
        inside = (..., *(slice(1, -1) for _ in problem.out_size))
        expected = np.empty(shape, dtype)
        prepared = algorithm.prepare(problem, w, isa=isa, kernel=kernel)

        algorithm.run(problem, prepared, x, None, None, frame[inside])

        conv = {1: ck.conv1d, 2: ck.conv2d}[problem.rank]
        keywords = {"padding": problem.padding, "groups": problem.groups}
        conv(x, w, **keywords, backend="numpy", out_dtype=dtype, out=expected)
        off = 0 if algorithm.name == "direct" or dtype.kind in "iu" else 1e-4
        np.testing.assert_allclose(frame[inside], expected, rtol=0, atol=off, err_msg=str(problem))
        frame[inside] = blank
        np.testing.assert_array_equal(frame, np.full_like(frame, blank), str(problem))
