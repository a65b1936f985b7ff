"""conv_direct_image_u8: integers exactly, floats rounded as promised, on every instruction set."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import convkit as ck
from convkit.algorithm import Array
from convkit.backends.native import kernels
from convkit.backends.native.direct import ALGORITHM
from convkit.problem import ConvProblem

KERNEL = "conv_direct_image_u8"
ISAS = list(kernels(KERNEL))
# This many pixels may differ, by one: MAY_DIFFER of the kernel.
MAY_DIFFER = 1e-3
# Nearer to a tie than this, the roundings of a float32 decide.
TIE = 1e-4
SHAPE = (200, 301)


@cache
def images() -> dict[str, Array]:
    """Return images of independent pixels, and one that is even in places."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices(SHAPE)
    waves = 127 + 80 * np.sin(rows / 31) * np.cos(columns / 17) + rng.normal(0, 5, SHAPE)
    return {
        "noise": rng.integers(0, 256, SHAPE).astype(np.uint8),
        "black and white": (255 * rng.integers(0, 2, SHAPE)).astype(np.uint8),
        "waves": waves.clip(0, 255).astype(np.uint8),
    }


def gaussian(size: int, sigma: float) -> Array:
    at = np.arange(size) - size // 2
    one = np.exp(-(at**2) / (2 * sigma**2))
    return np.outer(one, one) / one.sum() ** 2


@cache
def filters() -> dict[str, Array]:
    """Return float filters: small and large, smooth and rough, of few and many magnitudes."""
    rng = np.random.default_rng(1)
    found = {}
    for size in (1, 3, 5, 11, 31):
        positive = rng.random((size, size + 1))
        found[f"gaussian {size}"] = gaussian(size, size / 5)
        found[f"positive {size}"] = positive / positive.sum()
        found[f"signed {size}"] = rng.normal(0, 1, (size, size)) / size
        found[f"heavy {size}"] = rng.normal(0, 1, (size, size)) * 10 ** rng.uniform(-6, 0, size)
    sharpen = -1.37 * gaussian(5, 1.0)
    sharpen[2, 2] += 2.37
    return found | {"sharpen": sharpen, "large": 700 * rng.normal(0, 1, (5, 5))}


def problem_of(x: Array, w: Array, out_dtype: str, dilation: tuple[int, int]) -> ConvProblem:
    reach = [(k - 1) * d for k, d in zip(w.shape, dilation, strict=True)]
    return ConvProblem.parse(
        f"conv2d n1 c1 o1 i{x.shape[0]}x{x.shape[1]} k{w.shape[0]}x{w.shape[1]} "
        f"d{dilation[0]}x{dilation[1]} p{reach[0] // 2}x{reach[1] // 2} reflect "
        f"uint8*{w.dtype}->{out_dtype}"
    )


def filtered(
    x: Array,
    w: Array,
    isa: str,
    out_dtype: str = "uint8",
    dilation: tuple[int, int] = (1, 1),
    bias: Array | None = None,
) -> Array:
    problem = problem_of(x, w, out_dtype, dilation)
    prepared = ALGORITHM.prepare(problem, w[np.newaxis, np.newaxis], isa, KERNEL)
    out = np.full((1, 1, *problem.out_size), 77, out_dtype)
    ALGORITHM.run(problem, prepared, x[np.newaxis, np.newaxis], bias, None, out)
    return out[0, 0]


def exact(x: Array, w: Array, dilation: tuple[int, int] = (1, 1)) -> Array:
    """Return the sums in float64, or as integers."""
    wide = np.float64 if w.dtype.kind == "f" else np.int64
    reach = [(k - 1) * d for k, d in zip(w.shape, dilation, strict=True)]
    padded = np.pad(x.astype(wide), [(r // 2, r // 2) for r in reach], "reflect")
    rows, columns = (p - r for p, r in zip(padded.shape, reach, strict=True))
    sums = np.zeros((rows, columns), wide)
    for i, j in np.ndindex(*w.shape):
        top, left = i * dilation[0], j * dilation[1]
        sums += wide(w[i, j]) * padded[top : top + rows, left : left + columns]
    return sums


@cache
def sums_of(image: str, name: str, dtype: str) -> Array:
    return exact(images()[image], filters()[name].astype(dtype))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", filters())
def test_float_filters_are_rounded_correctly_but_for_one_pixel_in_a_thousand(name, dtype, isa):
    w = filters()[name].astype(dtype)
    for image, x in images().items():
        sums = sums_of(image, name, dtype)
        right = np.rint(sums).clip(0, 255)
        is_tie = np.abs(sums - np.floor(sums) - 0.5) < TIE

        off = np.abs(filtered(x, w, isa) - right)

        assert off.max() <= 1, image
        assert np.mean((off > 0) & ~is_tie) <= MAY_DIFFER, image


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("weights", ["1 1 1", "1 2 1", "1 4 6 4 1", "-1 0 1", "3 10 3", "0 0 0"])
@pytest.mark.parametrize("divisor", [1, 3, 9, 16, 60])
def test_integers_over_a_common_divisor_are_rounded_correctly_also_at_ties(weights, divisor, isa):
    one = np.array(weights.split(), dtype=np.int64)
    whole = np.outer(one, one)
    w = (whole / divisor).astype(np.float32)
    x = images()["noise"]
    sums = exact(x, whole)

    y = filtered(x, w, isa)

    right = np.rint(sums / divisor).clip(0, 255)
    # float32 has no 1/3: there the sums beside a tie are not quite ties.
    has_ties = np.any(w.astype(float) * divisor != whole) and sums * 2 % divisor == 0
    np.testing.assert_array_equal(y, np.where(has_ties, y, right))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dilation", [(1, 1), (1, 3), (2, 4), (3, 5), (1, 13)])
@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 5), (2, 4), (7, 3), (15, 15)])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_integer_filters_are_exact(dtype, size, dilation, isa):
    rng = np.random.default_rng(2)
    bounds = np.iinfo(dtype)
    x = rng.integers(0, 256, (70, 161)).astype(np.uint8)
    for w in (
        rng.integers(bounds.min, bounds.max + 1, size).astype(dtype),
        np.full(size, bounds.max, dtype),
    ):
        sums = exact(x, w, dilation)

        np.testing.assert_array_equal(filtered(x, w, isa, "int32", dilation), sums)
        np.testing.assert_array_equal(filtered(x, w, isa, "uint8", dilation), sums.clip(0, 255))


@pytest.mark.parametrize("isa", ISAS)
def test_sums_that_could_pass_32_bits_are_left_to_other_kernels(isa):
    fits, passes = (
        problem_of(np.zeros((40, 40), np.uint8), np.ones(size, np.int16), "int32", (1, 1))
        for size in [(15, 17), (17, 17)]
    )

    assert ALGORITHM.kernel_why_not(fits, KERNEL, isa) is None
    assert ALGORITHM.kernel_why_not(passes, KERNEL, isa)


@pytest.mark.parametrize("isa", ISAS)
def test_a_bias_is_added_before_rounding(isa):
    x = images()["noise"]
    w = np.full((3, 3), 1 / 9, np.float32)
    whole = np.ones((3, 3), np.int64)

    y = filtered(x, w, isa, bias=np.array([0.25], np.float32))

    np.testing.assert_array_equal(y, np.rint(exact(x, whole) / 9 + 0.25).clip(0, 255))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_weights_that_are_no_numbers_give_what_the_reference_gives(value, isa):
    x = images()["black and white"][:40, :50]
    w = np.full((3, 3), 0.1)
    w[1, 2] = value

    y = filtered(x, w, isa)

    expected = ck.conv2d(
        x[np.newaxis, np.newaxis],
        w[np.newaxis, np.newaxis],
        padding=1,
        padding_mode="reflect",
        out_dtype=np.uint8,
        backend="numpy",
    )
    np.testing.assert_array_equal(y, expected[0, 0])


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_interleaved_channels_are_one_wide_image(channels):
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (90, 77, channels)).astype(np.uint8)
    w = rng.integers(-9, 10, (3, 3)).astype(np.int8)

    y = ck.correlate(x, w[..., np.newaxis], "same", boundary="reflect", out_dtype=np.uint8)

    for c in range(channels):
        np.testing.assert_array_equal(y[..., c], exact(x[..., c], w).clip(0, 255))
