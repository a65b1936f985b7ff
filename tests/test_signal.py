"""convkit.signal: against SciPy, along any axes, at every mode."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import convkit as ck

MODES = ["full", "same", "valid"]
PAIRS = {"convolve": scipy.signal.convolve, "correlate": scipy.signal.correlate}


def small_integers(seed: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Draw values whose sums are exact in every dtype."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-4, 5, shape).astype(dtype)
    return values + 1j * rng.integers(-4, 5, shape) if dtype[0] == "c" else values


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("mode", MODES)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 7)), min_size=1, max_size=3),
    dtype=st.sampled_from(["f4", "f8", "c8", "c16", "i8"]),
    seed=st.integers(0, 99),
)
def test_equals_scipy(name, mode, sizes, dtype, seed):
    a = small_integers(seed, tuple(n for n, _ in sizes), dtype)
    v = small_integers(seed + 1, tuple(k for _, k in sizes), dtype)
    if mode == "valid" and not (all(n >= k for n, k in sizes) or all(n < k for n, k in sizes)):
        v = v[tuple(slice(n) for n, _ in sizes)]

    actual = getattr(ck, name)(a, v, mode)

    expected = PAIRS[name](a, v, mode, method="direct")
    assert_rounds_to(actual, expected)


def assert_rounds_to(actual: np.ndarray, expected: np.ndarray) -> None:
    """Assert equality with sums of small integers, up to what a transform loses."""
    assert actual.shape == expected.shape
    off = 0 if actual.dtype.kind in "iu" else 1e-3 if actual.dtype in ("f4", "c8") else 1e-11
    np.testing.assert_allclose(actual, expected, rtol=0, atol=off)


@pytest.mark.parametrize("name", PAIRS)
def test_slides_along_the_axes_it_is_given(name):
    rgb, v = small_integers(0, (9, 11, 3), "f4"), small_integers(1, (3, 4), "f4")

    actual = getattr(ck, name)(rgb, v, "same", axes=(0, 1))

    for channel in range(3):
        expected = PAIRS[name](rgb[..., channel], v, "same", method="direct")
        np.testing.assert_array_equal(actual[..., channel], expected)


def test_axes_are_in_the_order_of_those_of_v():
    a, v = small_integers(0, (7, 8, 2), "f4"), small_integers(1, (2, 3), "f4")

    np.testing.assert_array_equal(ck.convolve(a, v, axes=(1, 0)), ck.convolve(a, v.T, axes=(0, 1)))


def test_v_may_have_the_axes_of_a():
    a, v = small_integers(0, (5, 9, 2), "f8"), small_integers(1, (1, 4, 1), "f8")

    expected = ck.convolve(a, v[0, :, 0], axes=1)

    np.testing.assert_array_equal(ck.convolve(a, v, axes=1), expected)


def test_boundary_is_that_of_ndimage():
    a, v = small_integers(0, (9, 10), "f4"), small_integers(1, (3, 5), "f4")

    actual = ck.correlate(a, v, "same", boundary="reflect")

    np.testing.assert_array_equal(actual, scipy.ndimage.correlate(a, v, mode="mirror"))


def test_out_is_written_whatever_its_axes():
    a, v = small_integers(0, (6, 7, 3), "f4"), small_integers(1, (3, 3), "f4")
    out = np.full((6, 7, 3), np.nan, "f4")

    returned = ck.correlate(a, v, "same", axes=(0, 1), out=out)

    assert returned is out
    np.testing.assert_array_equal(out, ck.correlate(a, v, "same", axes=(0, 1)))


@pytest.mark.parametrize(
    ("arguments", "keywords", "sentence"),
    [
        ((np.ones(5), np.ones(3), "some"), {}, "mode='some': expected 'full', 'same' or 'valid'"),
        ((np.ones(5), np.ones((2, 2))), {}, "axes="),
        ((np.ones((5, 5)), np.ones(3)), {"axes": 2}, "axes=2: expected axes of a"),
        ((np.ones((5, 5)), np.ones(3)), {"axes": (0, 0)}, "each of them once"),
        ((np.ones((5, 5)), np.ones(3)), {"axes": (0, 1)}, "v has shape"),
        ((np.ones((5, 5, 5)), np.ones((2, 2))), {"axes": 0}, "v has shape"),
        ((np.ones((5, 5)), np.ones((2, 5))), {"axes": 1}, "must be equal, or 1"),
        ((np.ones((5, 5)), np.ones((2, 2))), {"boundary": ("zeros",)}, "boundary="),
        ((np.ones(5), np.ones(3)), {"boundary": "mirror"}, "expected one of 'zeros', 'reflect'"),
    ],
)
def test_what_does_not_fit_is_named(arguments, keywords, sentence):
    with pytest.raises((ValueError, ck.UnsupportedError), match=sentence.replace("(", r"\(")):
        ck.convolve(*arguments, **keywords)


def test_keywords_of_layers_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'stride'; it takes mode"):
        ck.convolve(np.ones(5), np.ones(3), stride=2)


def test_axes_that_only_equal_ints_are_refused_also_after_ints_were_taken():
    a, v = np.ones((4, 5)), np.ones(3)
    ck.convolve(a, v, axes=(1,))

    with pytest.raises(TypeError, match="expected an int or a tuple of them"):
        ck.convolve(a, v, axes=(1.0,))


@pytest.mark.parametrize("name", PAIRS)
def test_empty_arrays_give_empty_results(name):
    result = getattr(ck, name)(np.ones((3, 0), "f4"), np.ones((2, 2), "f4"))

    assert result.size == 0
    assert result.dtype == np.float32


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("mode", MODES)
def test_four_axes(name, mode):
    a, v = small_integers(0, (3, 4, 5, 6), "f4"), small_integers(1, (2, 3, 1, 2), "f4")

    actual = getattr(ck, name)(a, v, mode)

    np.testing.assert_array_equal(actual, PAIRS[name](a, v, mode, method="direct"))


@given(
    shape=st.lists(st.integers(1, 6), min_size=2, max_size=4),
    data=st.data(),
    mode=st.sampled_from(MODES),
    dtype=st.sampled_from(["f4", "c16", "i2"]),
    seed=st.integers(0, 99),
)
def test_axes_and_broadcasting_are_those_of_fftconvolve(shape, data, mode, dtype, seed):
    ndim = len(shape)
    axes = tuple(data.draw(st.permutations(range(ndim)))[: data.draw(st.integers(1, ndim))])
    extents = [data.draw(st.integers(1, n if mode == "valid" else 7)) for n in shape]
    filters = [
        extents[i] if i in axes else data.draw(st.sampled_from([1, n])) for i, n in enumerate(shape)
    ]
    a_shape = [
        # Of "same" SciPy keeps the extents of a also where a was broadcast.
        1 if i not in axes and mode != "same" and data.draw(st.booleans()) else n
        for i, n in enumerate(shape)
    ]
    a, v = (
        small_integers(seed, tuple(a_shape), dtype),
        small_integers(seed + 1, tuple(filters), dtype),
    )

    actual = ck.convolve(a, v, mode, axes=axes)

    expected = scipy.signal.fftconvolve(a.astype("c16"), v.astype("c16"), mode, axes=axes)
    assert_rounds_to(actual, np.rint(expected.real) + 1j * np.rint(expected.imag))


@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    data=st.data(),
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 99),
)
def test_plans_equal_calls(shape, data, mode, seed):
    axes = tuple(data.draw(st.permutations(range(len(shape))))[: data.draw(st.integers(1, 3))])
    axes = axes if len(axes) < len(shape) else tuple(range(len(shape)))  # v has the axes of a then
    v = small_integers(seed, tuple(data.draw(st.integers(1, shape[i])) for i in axes), "f4")
    a = small_integers(seed + 1, tuple(shape), "f4")
    name = data.draw(st.sampled_from([*PAIRS]))

    plan = getattr(ck, f"plan_{name}")(a.shape, v, mode, axes=axes, boundary="reflect")

    expected = getattr(ck, name)(a, v, mode, axes=axes, boundary="reflect")
    out = np.empty_like(expected)
    np.testing.assert_array_equal(plan(a), expected)
    assert plan(a, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_an_outer_product_is_found():
    v = np.outer([1.0, 2, 1], [1.0, 0, -1])

    assert ck.plan_correlate((9, 9), v).problem.structure == "separable"
    assert ck.plan_correlate((9, 9, 3), v, axes=(0, 1)).problem.structure == "separable"
    assert ck.plan_correlate((9, 9), np.full((3, 3), 1 / 9)).problem.structure == "box"
    assert ck.plan_correlate((9, 9), v + np.eye(3)).problem.structure == "dense"


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_missing_data_is_renormalised(dtype):
    rng = np.random.default_rng(0)
    a = rng.standard_normal((20, 30)).astype(dtype)
    a[rng.random(a.shape) < 0.2] = np.nan
    v = rng.random((3, 5)).astype(dtype)

    actual = ck.convolve(a, v, "same", boundary="reflect", nan_policy="omit")

    expected = ck.convolve(a, v, "same", boundary="reflect", nan_policy="omit", backend="numpy")
    assert actual.dtype == dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    assert ck.plan_convolve((20, 30), v, nan_policy="omit").backend == "native"


@pytest.mark.parametrize("dtype", ["f4", "f2", "i2", "i8", "c8"])
@pytest.mark.parametrize("shape", [(2, 2), (6, 3), (5, 40)])
def test_arrays_may_lie_in_memory_in_any_order(dtype, shape):
    a = small_integers(0, shape, dtype).astype(dtype)
    v = np.array([[1], [2]], dtype)

    expected = ck.convolve(a, v, axes=0)

    np.testing.assert_array_equal(ck.convolve(np.asfortranarray(a), v, axes=0), expected)
    out = np.empty_like(expected, order="F")
    np.testing.assert_array_equal(ck.convolve(a, v, axes=0, out=out), expected)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("out_dtype", [None, "i2", "i4", "i8"])
@pytest.mark.parametrize("n", [5, 40])
def test_the_largest_integers_are_those_of_the_reference(dtype, out_dtype, n):
    bounds = np.iinfo(dtype)
    rng = np.random.default_rng(n)
    a = rng.integers(bounds.min, bounds.max, n, dtype, endpoint=True)
    for v in (np.array([1, 2, 1], dtype), a[:4]):
        for x in (a, a // 100, np.full(n, bounds.min, dtype), np.full(n, bounds.max, dtype)):
            expected = ck.convolve(x, v, out_dtype=out_dtype, backend="numpy")

            actual = ck.convolve(x, v, out_dtype=out_dtype)

            assert actual.dtype == expected.dtype
            np.testing.assert_array_equal(actual, expected)
