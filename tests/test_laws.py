"""What convolution obeys, whoever computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit as ck

BACKENDS = ["auto", "numpy"]
FUNCTIONS = {1: ck.conv1d, 2: ck.conv2d, 3: ck.conv3d}


def arrays(rank: int, seed: int = 0, size: int = 12) -> tuple[Any, Any, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, *(size,) * rank))
    return FUNCTIONS[rank], rng, x, rng.standard_normal((4, 3, *(3,) * rank))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rank", FUNCTIONS)
def test_it_is_linear(rank: int, backend: Any) -> None:
    conv, rng, x, w = arrays(rank)
    other = rng.standard_normal(x.shape)

    y = conv(2 * x + 3 * other, w, padding=1, backend=backend)

    parts = (conv(a, w, padding=1, backend=backend) for a in (x, other))
    np.testing.assert_allclose(y, 2 * next(parts) + 3 * next(parts), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rank", FUNCTIONS)
def test_it_commutes_with_shifts(rank: int, backend: Any) -> None:
    conv, _, x, w = arrays(rank)
    axes, shift = tuple(range(2, 2 + rank)), tuple(range(1, 1 + rank))
    keywords = {"padding": "same", "padding_mode": "circular", "backend": backend}

    y = conv(np.roll(x, shift, axes), w, **keywords)

    np.testing.assert_allclose(y, np.roll(conv(x, w, **keywords), shift, axes), rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rank", FUNCTIONS)
def test_circular_correlation_is_a_product_of_spectra(rank: int, backend: Any) -> None:
    conv, _, x, w = arrays(rank)
    axes, size = tuple(range(2, 2 + rank)), x.shape[2:]

    y = conv(x, w, padding=((0, 2),) * rank, padding_mode="circular", backend=backend)

    spectra = np.einsum(
        "nc...,oc...->no...", np.fft.fftn(x, axes=axes), np.conj(np.fft.fftn(w, size, axes))
    )
    np.testing.assert_allclose(y, np.fft.ifftn(spectra, axes=axes).real, rtol=0, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rank", FUNCTIONS)
def test_full_cropped_is_same_and_valid(rank: int, backend: Any) -> None:
    conv, _, x, w = arrays(rank)
    full = conv(x, w, padding="full", backend=backend)

    same = conv(x, w, padding="same", backend=backend)
    valid = conv(x, w, padding="valid", backend=backend)

    crops = [(slice(None),) * 2 + (slice(n, -n),) * rank for n in (1, 2)]
    np.testing.assert_allclose(same, full[crops[0]], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(valid, full[crops[1]], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rank", FUNCTIONS)
def test_groups_are_convolutions_side_by_side(rank: int, backend: Any) -> None:
    conv, rng, x, _ = arrays(rank)
    x = np.concatenate([x, x[:, :1]], axis=1)
    w = rng.standard_normal((6, 2, *(3,) * rank))

    y = conv(x, w, groups=2, backend=backend)

    halves = [conv(x[:, g : g + 2], w[i : i + 3], backend=backend) for g, i in ((0, 0), (2, 3))]
    np.testing.assert_allclose(y, np.concatenate(halves, axis=1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rank", FUNCTIONS)
def test_stride_takes_every_nth_output(rank: int, backend: Any) -> None:
    conv, _, x, w = arrays(rank)

    y = conv(x, w, stride=3, padding=1, backend=backend)

    every = (..., *(slice(None, None, 3),) * rank)
    whole = conv(x, w, padding=1, backend=backend)
    np.testing.assert_allclose(y, whole[every], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rank", FUNCTIONS)
def test_dilation_is_a_filter_with_zeros_between_its_taps(rank: int, backend: Any) -> None:
    conv, _, x, w = arrays(rank)
    spread = np.zeros((*w.shape[:2], *(5,) * rank))
    spread[(..., *(slice(None, None, 2),) * rank)] = w

    y = conv(x, w, dilation=2, backend=backend)

    np.testing.assert_allclose(y, conv(x, spread, backend=backend), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rank", FUNCTIONS)
def test_input_dilation_is_an_input_with_zeros_between_its_elements(
    rank: int, backend: Any
) -> None:
    conv, _, x, w = arrays(rank, size=6)
    spread = np.zeros((*x.shape[:2], *(11,) * rank))
    spread[(..., *(slice(None, None, 2),) * rank)] = x
    keywords = {"padding": 4, "padding_mode": "reflect", "backend": backend}

    y = conv(x, w, input_dilation=2, **keywords)

    np.testing.assert_allclose(y, conv(spread, w, **keywords), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_nan_in_an_image_gives_nine(backend: Any, dtype: str) -> None:
    x = np.ones((64, 64), dtype)
    x[20, 30] = np.nan

    y = ck.conv2d(x, np.ones((3, 3), dtype), padding="same", backend=backend)

    assert np.isnan(y).sum() == 9
    assert np.isnan(y[19:22, 29:32]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_infinities_stay_where_they_are(backend: Any) -> None:
    x = np.ones((1, 2, 9, 9), "f4")
    x[0, 0, 4, 4], x[0, 1, 4, 7] = np.inf, -np.inf
    w = np.ones((3, 2, 3, 3), "f4")

    y = ck.conv2d(x, w, padding=1, backend=backend)

    assert np.isposinf(y[0, :, 3:6, 3:6]).all()
    assert np.isneginf(y[0, :, 3:6, 6:9]).all()
    assert np.isfinite(y).sum() == 3 * (81 - 18)
