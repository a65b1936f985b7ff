"""The reference, against loops that cannot be wrong and against SciPy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import DTYPES, problems

import convkit as ck
from convkit.arguments import Form
from convkit.backends.numpy import direct
from convkit.backends.numpy.direct import ALGORITHM
from convkit.dtypes import is_integer
from convkit.plan import execute, prepare
from convkit.problem import ConvProblem

NUMPY = {"backend": "numpy"}
# Types in which small integers are exact, so that loops and the reference are equal.
EXACT = [d for d in DTYPES if d[0] not in ("float16", "bfloat16") and not d[2].startswith("bf")]


def spread_and_padded(problem: ConvProblem, x: np.ndarray) -> np.ndarray:
    """Dilate and pad by np.pad, one axis after the other."""
    names = {"replicate": "edge", "circular": "wrap"}
    for axis, step in enumerate(problem.input_dilation, start=2):
        shape = list(x.shape)
        shape[axis] = problem.dilated_size[axis - 2]
        spread = np.zeros(shape, x.dtype)
        np.moveaxis(spread, axis, 0)[::step] = np.moveaxis(x, axis, 0)
        x = spread
    for axis, (pads, mode) in enumerate(zip(problem.padding, problem.boundary, strict=True), 2):
        widths = [(0, 0)] * x.ndim
        widths[axis] = pads
        if mode == "zeros" or isinstance(mode, tuple):
            value = mode[1] if isinstance(mode, tuple) else 0
            x = np.pad(x, widths, constant_values=np.asarray(value).astype(x.dtype))
        elif sum(pads):
            x = np.pad(x, widths, mode=names.get(mode, mode))
    return x


def by_loops(problem: ConvProblem, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Sum in Python numbers."""
    p = problem
    x = spread_and_padded(p, x)
    y = np.zeros((p.batch, p.out_channels, *p.out_size), object)
    per_group_in, per_group_out = p.in_channels // p.groups, p.out_channels // p.groups
    for b, oc in product(range(p.batch), range(p.out_channels)):
        for at in product(*map(range, p.out_size)):
            for ic, tap in product(range(per_group_in), product(*map(range, p.kernel_size))):
                where = (
                    i * s + k * d for i, s, k, d in zip(at, p.stride, tap, p.dilation, strict=True)
                )
                seen = x[(b, oc // per_group_out * per_group_in + ic, *where)]
                y[(b, oc, *at)] += seen.item() * w[(oc, ic, *tap)].item()
    return y


def is_small(problem: ConvProblem) -> bool:
    return problem.macs <= 20_000 and max(problem.padded_size) <= 10**4


@settings(max_examples=60)
@given(
    problem=problems(dtypes=EXACT, nan_policies=["propagate"]).filter(is_small),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_sum_that_loops_compute(problem: ConvProblem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = ConvProblem.parse(
        " ".join(w for w in str(problem).split() if not w.startswith(_NOT_OF_SUMS))
    )
    form = Form.of(plain)
    low = 0 if plain.dtype.startswith(("bool", "uint")) else -3
    high = 2 if plain.dtype == "bool" else 4
    x = rng.integers(low, high, form.x_shape).astype(plain.dtype)
    w_low = 0 if plain.weight_dtype.startswith(("bool", "uint")) else -2
    w = rng.integers(w_low, 2, form.w_shape).astype(plain.weight_dtype)

    y = execute(form, ALGORITHM, prepare(form, ALGORITHM, w), x, None, None, None)

    expected = by_loops(plain, form.x_view(x), w)
    if is_integer(plain.out_dtype):
        bounds = np.iinfo(plain.out_dtype)
        expected = np.vectorize(round, otypes=[object])(expected) if expected.size else expected
        expected = np.clip(expected, bounds.min, bounds.max)
    np.testing.assert_array_equal(form.y_view(y), expected.astype(plain.out_dtype), str(plain))


_NOT_OF_SUMS = ("relu", "leaky", "sigmoid", "tanh", "silu", "gelu", "hardswish", "clip")


@pytest.mark.parametrize(
    ("mode", "scipy_mode"),
    [
        *(("zeros", "constant"), ("reflect", "mirror"), ("symmetric", "reflect")),
        *(("replicate", "nearest"), ("circular", "wrap")),
    ],
)
def test_one_channel_is_what_ndimage_correlates(mode: str, scipy_mode: str) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((3, 17, 9)), rng.standard_normal((5, 3))

    y = ck.conv2d(x, w, padding="same", padding_mode=mode, **NUMPY)

    expected = [scipy.ndimage.correlate(image, w, mode=scipy_mode) for image in x]
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_one_channel_is_what_signal_correlates(mode: str, rank: int) -> None:
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((9,) * rank), rng.standard_normal((3,) * rank)

    y = getattr(ck, f"conv{rank}d")(x, w, padding=mode, **NUMPY)

    np.testing.assert_allclose(y, scipy.signal.correlate(x, w, mode), rtol=1e-12, atol=1e-12)


def test_complex_weights_are_not_conjugated() -> None:
    y = ck.conv1d(np.array([1j, 2j]), np.array([1j]), **NUMPY)

    np.testing.assert_array_equal(y, [-1, -2])


def test_float16_is_rounded_once() -> None:
    x = np.full((1, 4096), 1.0, np.float16)

    y = ck.conv1d(x, np.ones(4096, np.float16), **NUMPY)

    assert y.tolist() == [[4096.0]]  # in float16 the sum would stay at 2048


@pytest.mark.parametrize(
    ("x", "w", "out_dtype", "expected"),
    [
        ([127, 127], [100, 100], np.int8, 127),
        ([-128, -128], [100, 100], np.int8, -128),
        ([1, 0], [-1, 0], np.uint8, 0),
        ([127, 127], [127, 127], np.uint8, 255),
    ],
)
def test_narrow_results_saturate(
    x: list[int], w: list[int], out_dtype: type, expected: int
) -> None:
    y = ck.conv1d(np.array(x, np.int8), np.array(w, np.int8), out_dtype=out_dtype, **NUMPY)

    assert y.dtype == out_dtype
    assert y.tolist() == [expected]


def test_int32_sums_saturate_instead_of_wrapping() -> None:
    x = np.full(3, 2**15 - 1, np.int16)

    y = ck.conv1d(x, x, **NUMPY)

    assert y.tolist() == [2**31 - 1]


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, 0), (1.5, 2), (2.5, 2), (254.5, 254), (255.5, 255), (-0.5, 0)]
)
def test_float_sums_are_rounded_to_nearest_even_bytes(value: float, expected: int) -> None:
    y = ck.conv1d(np.ones(1, np.uint8), np.array([value]), out_dtype=np.uint8, **NUMPY)

    assert y.tolist() == [expected]


def test_nan_becomes_0_and_infinity_the_largest_integer() -> None:
    x = np.array([np.nan, np.inf, -np.inf])

    y = ck.conv1d(x, np.ones(1), out_dtype=np.int64, **NUMPY)

    assert y.tolist() == [0, 2**63 - 1, -(2**63)]


def test_omitted_nan_is_filled_in_by_the_weights_that_saw_data() -> None:
    x = np.array([2.0, np.nan, 4.0, 6.0, np.nan, np.nan, np.nan])

    y = ck.conv1d(x, np.array([1.0, 2.0, 1.0]), nan_policy="omit", **NUMPY)

    np.testing.assert_allclose(y, [(2 + 4) * 4 / 2, (8 + 6) * 4 / 3, (4 + 12) * 4 / 3, 24, np.nan])


def test_omit_changes_nothing_where_nothing_is_missing() -> None:
    edges = np.array([-1.0, 0.0, 1.0])  # its weights add up to 0

    y = ck.conv1d(np.arange(5.0), edges, nan_policy="omit", **NUMPY)

    assert y.tolist() == [2.0, 2.0, 2.0]


def test_padding_counts_as_data_when_nan_is_omitted() -> None:
    y = ck.conv1d(np.array([np.nan, 3.0]), np.ones(3), padding=1, nan_policy="omit", **NUMPY)

    assert y.tolist() == [4.5, 4.5]


def test_blocks_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    x, w = rng.integers(-9, 9, (5, 4, 11, 7)), rng.integers(-9, 9, (6, 2, 3, 3))
    residual = rng.integers(-9, 9, (5, 6, 6, 7))
    keywords = {"groups": 2, "stride": (2, 1), "padding": 1, "residual": residual, **NUMPY}
    expected = ck.conv2d(x, w, **keywords)

    for elements in (1, 100, 500):
        monkeypatch.setattr(direct, "BLOCK", elements)
        np.testing.assert_array_equal(ck.conv2d(x, w, **keywords), expected)


def test_a_virtual_array_of_any_size_is_not_copied() -> None:
    x = np.broadcast_to(np.float32(1), (1, 1, 2**60))

    y = ck.conv1d(x, np.ones((1, 1, 3), np.float32), stride=2**58, **NUMPY)

    assert y.tolist() == [[[3.0] * 4]]
