"""native/direct: what is its own; the agreement test holds its results to the reference."""

from __future__ import annotations

import numpy as np
import pytest

import convkit as ck
from convkit.backends.native import _phases, isas, lib
from convkit.backends.native.direct import ALGORITHM
from convkit.problem import ConvProblem

# What the allocator writes before a block: its size.
HEADER = 64


def ones(line: str) -> tuple[ConvProblem, np.ndarray, np.ndarray]:
    """Return a problem and arrays of small integers for it, whose sums are exact."""
    problem = ConvProblem.parse(line)
    rng = np.random.default_rng(len(line))
    x = rng.integers(-3, 4, (problem.batch, problem.in_channels, *problem.in_size))
    w = rng.integers(
        -3,
        4,
        (problem.out_channels, problem.in_channels // problem.groups, *problem.kernel_size),
    )
    return problem, x.astype(problem.dtype), w.astype(problem.weight_dtype)


@pytest.mark.parametrize("isa", isas())
def test_bits_do_not_depend_on_where_x_lies(isa):
    rng = np.random.default_rng(0)
    problem = ConvProblem.parse("conv2d n1 c5 o20 i9x37 k3x3 p1x1 float32")
    w = rng.standard_normal((20, 5, 3, 3), dtype="f4")
    prepared = ALGORITHM.prepare(problem, w, isa)
    buffer = np.empty(5 * 9 * 37 + 16, "f4")
    x = rng.standard_normal((1, 5, 9, 37), dtype="f4")
    results = []

    for shift in range(16):
        moved = buffer[shift : shift + x.size].reshape(x.shape)
        moved[...] = x
        out = np.empty((1, 20, 9, 37), "f4")
        ALGORITHM.run(problem, prepared, moved, None, None, out)
        results.append(out.tobytes())

    assert len(set(results)) == 1


def test_integers_are_exact_to_the_last_that_float64_holds():
    x = np.full(2**16, 2**16 - 1, np.uint16)
    w = np.full(2**12, 2**15 - 1, np.int16)
    w[0] -= 1
    plan = ck.plan_conv1d(x.shape, w, dtype=x.dtype, out_dtype=np.int64)

    assert plan.backend == "native"
    assert set(plan(x).tolist()) == {(2**16 - 1) * int(w.astype(np.int64).sum())}


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32"])
@pytest.mark.parametrize("largest", [9, 2**29])
def test_wide_integers_are_exact_whether_floats_hold_them_or_not(dtype, largest):
    rng = np.random.default_rng(0)
    x = rng.integers(0, largest, 200, endpoint=True).astype(dtype)
    w = rng.integers(0, largest, 5, endpoint=True).astype(dtype)
    x[0] = w[0] = largest

    plan = ck.plan_conv1d(x.shape, w, padding=2, out_dtype=np.uint64)

    assert plan.backend == "native"
    expected = np.correlate(x.astype(object), w.astype(object), "same")
    assert plan(x).tolist() == expected.tolist()


def test_a_canceled_call_does_not_start_again():
    """An interrupt that `quick` took for a reason to go the long way would be lost."""
    from convkit.backends.native import _kernels

    with pytest.raises(KeyboardInterrupt):
        _kernels._raise_canceled()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    "line",
    [
        "conv2d n1 c64 o64 i56x56 k3x3 p1x1 float32",
        "conv2d n1 c1 o1 i700x900 k9x9 p4x4 reflect float64",
        "conv1d n1 c1 o1 i1000000 k31 float32",
        "conv2d n2 c512 o8 i40x40 k1x1 float32",
        "conv2d n1 c3 o16 i200x200 k3x3 p1x1 uint8*float32->uint8",
    ],
)
def test_workspace_is_what_is_measured(line, threads):
    problem, x, w = ones(line)
    with ck.threads(threads):
        prepared = ALGORITHM.prepare(problem, w)
        out = np.empty((problem.batch, problem.out_channels, *problem.out_size), problem.out_dtype)
        lib.ck_release_caches()
        before = lib.ck_live_bytes()
        lib.ck_reset_peak()

        ALGORITHM.run(problem, prepared, x, None, None, out)

        said = ALGORITHM.workspace_bytes(problem)
        peak = lib.ck_peak_bytes() - before
    if problem.dtype == "uint8":  # what is cast is NumPy's
        assert peak < said
    else:
        assert said == peak - HEADER


def test_padding_takes_no_copy_of_the_input():
    """A mode other than zeros may cost the sources of its edges, not memory for x."""
    line = "conv2d n1 c1 o1 i3000x3000 k5x5 p2x2"

    zeros, reflect = (
        ALGORITHM.workspace_bytes(ConvProblem.parse(f"{line}{mode} float32"))
        for mode in ("", " reflect")
    )

    assert reflect <= 1.05 * zeros
    assert zeros < 2**20 < 3000 * 3000 * 4


@pytest.mark.parametrize("threads", [1, 2])
def test_subnormal_numbers_are_kept_by_strict_and_zero_else(threads):
    x, w = np.full(100_000, 1e-40, np.float32), np.ones(1, np.float32)
    with ck.threads(threads):
        assert set(ck.conv1d(x, w, accuracy="strict", backend="native")) == {np.float32(1e-40)}
        assert set(ck.conv1d(x, w, backend="native")) == {0.0}

    assert np.float32(1e-40) * np.float32(1) != 0  # the caller's own arithmetic stays what it was


@pytest.mark.parametrize("line", ["conv2d n1 c4 o8 i16x16 k4x4 u2x2 p2x2 float32"])
def test_of_a_dilated_input_no_zero_is_multiplied(line):
    problem = ConvProblem.parse(line)

    parts = _phases.problems(problem)

    assert len(parts) == 4
    assert sum(part.macs for part in parts) == problem.macs // 4
    assert all(part.input_dilation == (1, 1) for part in parts)
