"""native/winograd: how exact tiles are, and what must not spread within one."""

from __future__ import annotations

import numpy as np
import pytest

import convkit as ck
from convkit.backends.native import isas
from convkit.backends.native.direct import ALGORITHM as DIRECT
from convkit.backends.native.winograd import ALGORITHM
from convkit.problem import ConvProblem

pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # Inf - Inf

KERNELS = ALGORITHM.kernel_names()


def run(kernel, x, w, isa=None, **options):
    """Convolve with padding 1 by one kernel."""
    n, channels, height, width = x.shape
    line = f"conv2d n{n} c{channels} o{len(w)} i{height}x{width} k3x3 p1x1 {x.dtype}"
    problem = ConvProblem.parse(line)
    prepared = ALGORITHM.prepare(problem, w, isa=isa, kernel=kernel)
    out = np.full((n, len(w), height, width), np.nan, x.dtype)
    ALGORITHM.run(problem, prepared, x, None, None, out)
    return out


def right(x, w):
    """Return the sums in float64, and with the NaN and Inf of a sum in the type of x."""
    with np.errstate(all="ignore"):
        y = ck.conv2d(x.astype("f8"), w.astype("f8"), padding=1, backend="numpy")
        return y.astype(x.dtype).astype("f8")


def drawn(kernel, channels, outs, height=13, width=19):
    rng = np.random.default_rng(channels)
    dtype = "f4" if kernel.endswith("f32") else "f8"
    x = rng.standard_normal((2, channels, height, width)).astype(dtype)
    return x, rng.standard_normal((outs, channels, 3, 3)).astype(dtype)


def assert_equal(y, expected, scale):
    """The same NaN and Inf, else close beside `scale`."""
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(y), kind(expected), kind.__name__)
    finite = np.isfinite(expected)
    allowed = 50 * np.finfo(y.dtype).eps * scale
    assert np.abs(y[finite] - expected[finite]).max(initial=0) <= allowed


def rms(error):
    return float(np.sqrt(np.mean(np.square(error))))


@pytest.mark.parametrize("channels", [64, 128, 256, 512])
@pytest.mark.parametrize(
    ("kernel", "of_running", "of_direct"), [("2x2", 0.9, 1.3), ("4x4", 2.2, 3.5)]
)
def test_error_beside_that_of_direct_sums(channels, kernel, of_running, of_direct):
    """A running sum of all products, and `direct`, which adds up sums of about 128."""
    x, w = drawn("f32", channels, 8, 8, 8)
    expected = right(x.astype("f8"), w.astype("f8"))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    running = np.zeros_like(expected, "f4")
    for c, i, j in np.ndindex(channels, 3, 3):
        running += padded[:, c, None, i : i + 8, j : j + 8] * w[:, c, i, j][:, None, None]
    direct = ck.conv2d(x, w, padding=1, algorithm="direct", backend="native")

    error = rms(run(f"conv_winograd_{kernel}_f32", x, w) - expected)

    assert error <= of_running * rms(running - expected)
    assert error <= of_direct * rms(direct - expected)


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_input_reaches_the_outputs_of_its_taps_and_no_others(kernel, isa, bad):
    x, w = drawn(kernel, 5, 37)
    for at in [(0, 0), (4, 3), (7, 8), (12, 18)]:
        x[1, 3][at] = bad
        w[7, 3, 1, 1] = 0  # Inf * 0 is NaN

        assert_equal(run(kernel, x, w, isa), right(x, w), 30)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_weights_make_what_direct_sums_make(kernel, bad):
    x, w = drawn(kernel, 4, 20)
    w[5, 2, 0, 1] = bad

    assert_equal(run(kernel, x, w), right(x, w), 30)


@pytest.mark.parametrize("kernel", KERNELS)
def test_sums_that_only_a_transform_overflows_are_right(kernel):
    x, w = drawn(kernel, 3, 20)
    x = (np.sign(x) * np.finfo(x.dtype).max / 4).astype(x.dtype)
    w[:] = 0
    w[:, 0, 1, 0], w[:, 0, 1, 2] = 1, -0.5

    y = run(kernel, x, w)

    assert np.isfinite(y).all()
    np.testing.assert_allclose(
        y,
        x[:, :1] @ np.eye(19, k=1) - x[:, :1] / 2 @ np.eye(19, k=-1) + np.zeros_like(y),
        rtol=8 * np.finfo(x.dtype).eps,
    )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("channels", [1, 15, 16, 17, 130])
@pytest.mark.parametrize("outs", [1, 31, 33, 70])
def test_every_channel_count(kernel, channels, outs):
    x, w = drawn(kernel, channels, outs)

    assert_equal(run(kernel, x, w), right(x, w), 60)


@pytest.mark.parametrize("line", ["c64 o64 i56x56", "c512 o512 i28x28", "c2048 o2048 i14x14"])
def test_memory_is_blocks_of_tiles_and_not_the_layer(line):
    problem = ConvProblem.parse(f"conv2d n8 {line} k3x3 p1x1 float32")

    with ck.threads(2):
        assert ALGORITHM.workspace_bytes(problem) <= 64 << 20


def test_within_a_small_workspace_another_algorithm_is_taken():
    w = np.ones((64, 64, 3, 3), "f4")

    free = ck.plan_conv2d((1, 64, 56, 56), w, padding=1)
    tight = ck.plan_conv2d((1, 64, 56, 56), w, padding=1, max_workspace=100)

    assert (free.algorithm, tight.algorithm) == ("winograd", "direct")
    x = np.ones((1, 64, 56, 56), "f4")
    np.testing.assert_allclose(free(x), tight(x), rtol=1e-5)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("k3x3 float32 strict", "accuracy is strict"),
        ("k3x3 int8", "dtype is int8"),
        ("k3x3 s2x2 float32", "stride and dilation 1"),
        ("k5x5 float32", "3 x 3 taps"),
    ],
)
def test_what_is_not_taken(words, reason):
    said = ALGORITHM.why_not(ConvProblem.parse(f"conv2d n1 c64 o64 i56x56 {words}"))

    assert reason in (said or "")


def test_a_call_counts_the_transform_of_the_weights():
    """A large filter for a small map: a plan has it done before, a call is faster without."""
    problem = ConvProblem.parse("conv2d n1 c256 o256 i14x14 k3x3 p1x1 float32")

    assert ALGORITHM.cost(problem) < DIRECT.cost(problem)
    assert ALGORITHM.call_cost(problem) > DIRECT.call_cost(problem)
