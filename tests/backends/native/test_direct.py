"""native/direct: what is its own; the agreement test holds its results to the reference."""

from __future__ import annotations

import numpy as np
import pytest

import convkit as ck
from convkit.backends.native import isas, kernel_names, lib
from convkit.backends.native.direct import ALGORITHM
from convkit.problem import ConvProblem

# What the allocator writes before a block: its size.
HEADER = 64
EDGES = [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65]


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
@pytest.mark.parametrize("kernel", kernel_names())
def test_nothing_is_missed_and_nothing_overrun_at_the_edges_of_a_tile(kernel, isa):
    """The result is a view within NaN: what is missed stays NaN, what is overrun no longer is."""
    dtype = {"f32": "float32", "f64": "float64"}[kernel.rpartition("_")[2]]
    channels = 1 if "single" in kernel else 3
    for width in EDGES:
        problem, x, w = ones(
            f"conv2d n2 c{channels} o{channels if channels == 1 else width % 19 + 1} "
            f"i5x{width} k3x3 p1x1 {dtype}"
        )
        frame = np.full((2, problem.out_channels, 7, width + 2), np.nan, dtype)
        out = frame[:, :, 1:-1, 1:-1]
        expected = np.empty(out.shape, dtype)

        ALGORITHM.run(problem, ALGORITHM.prepare(problem, w, isa, kernel), x, None, None, out)
        ck.conv2d(x, w, padding=1, backend="numpy", out=expected)

        np.testing.assert_array_equal(out, expected, str(problem))
        assert np.isnan(frame).sum() == frame.size - out.size, str(problem)


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


def test_integers_that_might_not_be_exact_are_refused():
    problem = ConvProblem.parse("conv1d n1 c1 o1 i9 k3 int64")

    assert "exact" in (ALGORITHM.why_not(problem) or "")


def test_a_canceled_call_does_not_start_again():
    """An interrupt that `quick` took for a reason to go the long way would be lost."""
    from convkit.backends.native import direct

    with pytest.raises(KeyboardInterrupt):
        direct._unless_canceled(lib.CK_ECANCELED)


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
