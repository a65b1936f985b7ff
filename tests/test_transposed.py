"""conv_transpose1d, conv_transpose2d, conv_transpose3d: what is theirs alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import convkit as ck

CONV = [ck.conv1d, ck.conv2d, ck.conv3d]
TRANSPOSED = [ck.conv_transpose1d, ck.conv_transpose2d, ck.conv_transpose3d]
PLANS = [ck.plan_conv_transpose1d, ck.plan_conv_transpose2d, ck.plan_conv_transpose3d]


def scattered(x: Any, w: Any, groups: int, geometry: list[tuple[int, ...]]) -> Any:
    """Return the definition: every element of x adds its multiple of the filter."""
    shape = [
        (n - 1) * s + d * (k - 1) + 1 + more
        for n, k, (s, d, _, _, more) in zip(x.shape[2:], w.shape[2:], geometry, strict=True)
    ]
    per_group = w.shape[1]
    y = np.zeros((len(x), groups * per_group, *shape))
    channels = x.shape[1] // groups
    for at in np.ndindex(*x.shape[2:]):
        for tap in np.ndindex(*w.shape[2:]):
            to = tuple(i * g[0] + k * g[1] for i, k, g in zip(at, tap, geometry, strict=True))
            for g in range(groups):
                own = slice(g * channels, (g + 1) * channels)
                parts = x[(slice(None), own, *at)] @ w[(own, slice(None), *tap)]
                y[(slice(None), slice(g * per_group, (g + 1) * per_group), *to)] += parts
    kept = (slice(b, n - a) for n, (_, _, b, a, _) in zip(shape, geometry, strict=True))
    return y[(..., *kept)]


@st.composite
def layers(draw: DrawFn) -> tuple[Any, ...]:
    rank = draw(st.integers(1, 3))
    sizes = {1: 20, 2: 6, 3: 3}[rank]
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, outs = groups * draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x_size = tuple(draw(st.integers(1, sizes)) for _ in range(rank))
    k_size = tuple(draw(st.integers(1, 5)) for _ in range(rank))
    geometry = []
    for n, k in zip(x_size, k_size, strict=True):
        s, d = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        crop = st.integers(0, d * (k - 1))
        b, a, more = draw(crop), draw(crop), draw(st.integers(0, max(s, d) - 1))
        if (n - 1) * s + d * (k - 1) + 1 + more - b - a < 1:
            b = a = 0
        geometry.append((s, d, b, a, more))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.standard_normal((draw(st.integers(1, 2)), channels, *x_size))
    w = rng.standard_normal((channels, outs, *k_size))
    return x, w, groups, geometry


@given(layers(), st.sampled_from(["auto", "numpy"]))
def test_every_element_adds_its_multiple_of_the_filter(layer: Any, backend: Any) -> None:
    x, w, groups, geometry = layer
    keywords = {
        "stride": [g[0] for g in geometry],
        "dilation": [g[1] for g in geometry],
        "padding": [g[2:4] for g in geometry],
        "output_padding": [g[4] for g in geometry],
        "groups": groups,
    }
    rank = w.ndim - 2
    expected = scattered(x, w, groups, geometry)
    allowed = 1e-13 * scattered(abs(x), abs(w), groups, geometry).max()

    y = TRANSPOSED[rank - 1](x, w, backend=backend, **keywords)
    planned = PLANS[rank - 1](x.shape, w, backend=backend, **keywords)(x)
    last = TRANSPOSED[rank - 1](
        np.moveaxis(x, 1, -1), w, backend=backend, layout="channels_last", **keywords
    )

    assert y.shape == expected.shape
    for got in (y, planned, np.moveaxis(last, -1, 1)):
        np.testing.assert_allclose(got, expected, rtol=0, atol=allowed)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_it_is_the_adjoint_of_the_convolution(rank: int, stride: int) -> None:
    rng = np.random.default_rng(rank)
    w = rng.integers(-9, 9, (4, 3, *(3,) * rank)).astype("f8")
    x = rng.integers(-9, 9, (2, 3, *(8,) * rank)).astype("f8")
    there = CONV[rank - 1](x, w, stride=stride, padding=1)
    y = rng.integers(-9, 9, there.shape).astype("f8")

    back = TRANSPOSED[rank - 1](y, w, stride=stride, padding=1, output_size=8)

    assert (there * y).sum() == (x * back).sum()


def test_bias_residual_and_activation_reach_outputs_without_taps() -> None:
    x, w = np.ones((1, 1, 3)), np.ones((1, 2, 1))
    residual = np.full((1, 2, 7), -3.0)

    y = ck.conv_transpose1d(x, w, [1.0, 5.0], stride=3, residual=residual, activation="relu")

    assert y.tolist() == [[[0] * 7, [3, 2, 2, 3, 2, 2, 3]]]


@pytest.mark.parametrize("dtype", ["f2", "f4", "c8", "i1", "u2", "i8"])
def test_every_dtype_agrees_with_the_reference(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (1, 4, 5, 6)).astype(dtype)
    w = rng.integers(0, 9, (4, 2, 3, 3)).astype(dtype)

    y = ck.conv_transpose2d(x, w, stride=2, groups=2)

    expected = ck.conv_transpose2d(x, w, stride=2, groups=2, backend="numpy")
    assert y.dtype == expected.dtype
    assert (y == expected).all()  # small integers, exact in all of these


def test_plain_filters_spread_over_leading_axes() -> None:
    x, w = np.arange(12.0).reshape(3, 4), np.array([1.0, 2.0])

    y = ck.conv_transpose1d(x, w, stride=2)

    assert (y == np.kron(x, w)).all()


@pytest.mark.parametrize("size", [4, 5])
def test_output_size_chooses_among_those_that_a_stride_maps_to_one(size: int) -> None:
    y = ck.conv_transpose2d(
        np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), stride=2, output_size=size
    )

    assert y.shape == (1, 1, size, size)
    assert y[0, 0, :4, :4].min() == 1
    assert y.sum() == 16


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"output_size": 6}, ck.ShapeError, "output_size=6: expected 4 to 5, 4 to 5 along the 2"),
        ({"output_size": 3}, ck.ShapeError, "output_size=3: expected 4 to 5"),
        ({"output_padding": 2}, ck.ShapeError, "output_padding=2: expected 0 to 1, 0 to 1"),
        ({"output_padding": -1}, ck.ShapeError, "output_padding=-1: expected 0 to 1"),
        ({"output_padding": 0.5}, TypeError, "output_padding=0.5: expected an int of at least 0"),
        ({"output_padding": 1, "output_size": 5}, ValueError, "give one"),
        ({"padding": 2}, ck.ShapeError, "padding=2: it crops more than"),
        ({"padding": "same"}, TypeError, "padding='same': expected an int of at least 0"),
        ({"padding_mode": "reflect"}, TypeError, "unexpected keyword argument 'padding_mode'"),
        ({"groups": 2}, ck.ShapeError, "w is (in_channels, out_channels // groups, *kernel_size)"),
        ({"w": np.ones((2, 1, 2, 2))}, ck.ShapeError, "x has 1 channels (shape (1, 1, 2, 2)) but"),
        ({"w": np.ones((1, 2, 2))}, ck.ShapeError, "(in_channels, out_channels // groups, k0, k1)"),
        ({"stride": 0}, ck.ShapeError, "stride=0: expected a positive int"),
    ],
)
def test_bad_input_is_refused_in_words(
    changes: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    arguments: dict[str, Any] = {"x": np.ones((1, 1, 2, 2)), "w": np.ones((1, 1, 2, 2))}
    arguments |= {"stride": 2, **changes}

    with pytest.raises(error) as caught:
        ck.conv_transpose2d(**arguments)

    assert sentence in str(caught.value)
