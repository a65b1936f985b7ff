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

    np.testing.assert_array_equal(actual, PAIRS[name](a, v, mode, method="direct"))


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
        ((np.ones((5, 5)), np.ones((2, 2))), {"axes": 0}, "v has shape"),
        ((np.ones(5), np.ones(0)), {}, "neither may be empty"),
        ((np.ones((2,) * 4), np.ones((2,) * 4)), {}, "at most 3 are written"),
    ],
)
def test_what_does_not_fit_is_named(arguments, keywords, sentence):
    with pytest.raises((ValueError, ck.UnsupportedError), match=sentence.replace("(", r"\(")):
        ck.convolve(*arguments, **keywords)
