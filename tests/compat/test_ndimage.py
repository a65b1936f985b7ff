"""convkit.compat.ndimage: SciPy's own tests, and equality to SciPy where these do not look."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convkit as ck
from convkit.compat import ndimage

reference = pytest.importorskip("scipy.ndimage")

HERE = Path(__file__).parent
MODES = ["reflect", "mirror", "constant", "nearest", "wrap"]
ALIASES = {"grid-mirror": "reflect", "grid-constant": "constant", "grid-wrap": "wrap"}
INTEGERS = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
REALS = [*INTEGERS, "f4", "f8"]
COMPLEX = ["c8", "c16"]


def in_process(code: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout


def scipys_tests(folder: Path, plant: str) -> dict:
    """Run SciPy's tests of filters on the drop-ins."""
    if importlib.util.find_spec("scipy.ndimage.tests") is None:
        pytest.skip("this SciPy comes without its tests")
    report = folder / "report.json"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE), *(p for p in sys.path if p)]),
        "CONVKIT_REPORT": str(report),
        "CONVKIT_PLANT": plant,
    }
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-c", os.devnull]
    command += ["-p", "no:cacheprovider", "-p", "scipy_ndimage_plugin", f"--rootdir={folder}"]
    command += ["--pyargs", "scipy.ndimage.tests.test_filters"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert report.exists(), done.stdout + done.stderr
    return {**json.loads(report.read_text()), "said": done.stdout[-5000:]}


def test_scipys_own_tests_pass(tmp_path):
    report = scipys_tests(tmp_path, plant="")

    assert set(report["outcomes"].values()) == {"passed"}, report["said"]
    assert len(report["outcomes"]) > 1000
    assert set(report["calls"]) == set(ndimage.__all__)


def test_scipys_own_tests_fail_where_a_drop_in_is_wrong(tmp_path):
    report = scipys_tests(tmp_path, plant="1")

    assert set(report["outcomes"].values()) == {"failed"}, report["said"]
    assert len({test.split("[")[0] for test in report["outcomes"]}) == len(ndimage.__all__)


@pytest.mark.parametrize("name", ndimage.__all__)
def test_signatures_are_scipys(name):
    def shown(function):
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert shown(getattr(ndimage, name)) == shown(getattr(reference, name))


def test_all_is_what_the_module_defines():
    defined = [
        name
        for name, value in vars(ndimage).items()
        if inspect.isfunction(value) and value.__module__ == ndimage.__name__ and name[0] != "_"
    ]

    assert sorted(defined) == ndimage.__all__


def test_scipy_is_not_needed():
    code = (
        "import sys; sys.modules['scipy'] = None; from convkit.compat import ndimage;"
        "print(ndimage.sobel([[1, 2, 5]]), ndimage.gaussian_filter([0., 0., 0.], 1))"
    )

    assert in_process(code) == "[[ 4 16 12]] [0. 0. 0.]\n"


def test_importing_convkit_does_not_import_it():
    assert "convkit.compat" not in in_process("import sys, convkit; print(*sys.modules)").split()


def draw_values(data, shape, dtype, *, largest=9):
    """Draw small integers, whose sums and products are exact in every dtype."""
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    low = 0 if np.dtype(dtype).kind in "ub" else -largest
    values = rng.integers(low, largest + 1, shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.integers(low, largest + 1, shape)
    return values.astype(dtype)


def draw_origin(data, taps):
    return data.draw(st.integers(-(taps // 2), (taps - 1) // 2))


def assert_same(actual, expected):
    """Assert equality, of booleans as such: SciPy's have bytes other than 0 and 1."""
    assert actual.dtype == expected.dtype
    assert actual.flags.c_contiguous
    if actual.dtype == bool:
        expected = expected.view(np.uint8) != 0
    np.testing.assert_array_equal(actual, expected)


shapes = st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple)
any_mode = st.sampled_from([*MODES, *ALIASES])


@pytest.mark.parametrize("name", ["correlate", "convolve"])
@given(data=st.data(), shape=shapes, mode=any_mode)
def test_filters_of_any_rank_equal_scipys(name, data, shape, mode):
    dtype = data.draw(st.sampled_from([*REALS, *COMPLEX]))
    output = data.draw(st.sampled_from([None, *(COMPLEX if dtype in COMPLEX else REALS)]))
    axes = [*data.draw(st.permutations(range(len(shape))))]
    axes = axes[: data.draw(st.integers(1, len(axes)))]
    kernel = [data.draw(st.integers(1, 4)) for _ in axes]
    x = draw_values(data, shape, dtype)
    w = draw_values(data, kernel, "c16" if dtype in COMPLEX else "f8", largest=3) / 4
    origin = [draw_origin(data, min(kernel)) for _ in axes]
    cval = data.draw(st.integers(0, 3))
    arguments = {"output": output and np.dtype(output), "mode": mode, "cval": cval}

    actual = getattr(ndimage, name)(x, w, origin=origin, axes=axes, **arguments)

    assert_same(actual, getattr(reference, name)(x, w, origin=origin, axes=axes, **arguments))


@pytest.mark.parametrize("name", ["correlate1d", "convolve1d"])
@given(data=st.data(), shape=shapes, mode=any_mode, taps=st.integers(1, 12))
def test_filters_along_an_axis_equal_scipys(name, data, shape, mode, taps):
    dtype = data.draw(st.sampled_from([*REALS, *COMPLEX]))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = draw_values(data, (*shape[:-1], 20 * shape[-1]), dtype)
    w = draw_values(data, taps, data.draw(st.sampled_from(["f8", "i4", "c16"])), largest=3)
    arguments = {"axis": axis, "mode": mode, "cval": 2, "origin": draw_origin(data, taps)}

    actual = getattr(ndimage, name)(x, w, **arguments)

    assert_same(actual, getattr(reference, name)(x, w, **arguments))


@given(data=st.data(), shape=shapes, mode=any_mode)
def test_averages_of_integers_equal_scipys(data, shape, mode):
    dtype = data.draw(st.sampled_from(INTEGERS))
    x = draw_values(data, shape, dtype, largest=100)
    sizes = [data.draw(st.integers(0, 6)) for _ in shape]
    modes = [data.draw(st.sampled_from(MODES)) for _ in shape] if mode in MODES else mode
    arguments = {"mode": modes, "cval": 7, "origin": [draw_origin(data, max(k, 1)) for k in sizes]}

    assert_same(
        ndimage.uniform_filter(x, sizes, **arguments),
        reference.uniform_filter(x, sizes, **arguments),
    )


@pytest.mark.parametrize("name", ["sobel", "prewitt", "laplace"])
@given(data=st.data(), shape=shapes, mode=any_mode, cval=st.sampled_from([0, 3]))
def test_differences_equal_scipys(name, data, shape, mode, cval):
    # As unsigned integers of 64 bits negative sums are not what they are between SciPy's passes.
    dtype = data.draw(st.sampled_from([d for d in REALS + COMPLEX if d != "u8"]))
    x = draw_values(data, shape, dtype, largest=100)

    actual = getattr(ndimage, name)(x, mode=mode, cval=cval)

    assert_same(actual, getattr(reference, name)(x, mode=mode, cval=cval))


@pytest.mark.parametrize("mode", MODES)
def test_filters_of_more_axes_than_conv3d_equal_scipys(mode):
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (4, 3, 5, 4, 3)).astype("f8")
    w = rng.integers(1, 4, (2, 3, 2, 3, 2))

    for axes in [(0, 1, 2, 3, 4), (0, 1, 3, 4)]:
        v = w if len(axes) == 5 else w[:, :, 0]
        arguments = {"mode": mode, "cval": 3, "axes": axes, "origin": -1}
        assert_same(ndimage.correlate(x, v, **arguments), reference.correlate(x, v, **arguments))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4"])
@pytest.mark.parametrize("size", [2, 3, 7, 50, 200])
def test_averages_of_the_largest_integers_equal_scipys(dtype, size):
    bounds = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(bounds.min, bounds.max, 4000, dtype, endpoint=True)
    x[1000:2000] = bounds.max
    x[2000:3000] = bounds.max - np.arange(1000) % 2

    assert_same(ndimage.uniform_filter1d(x, size), reference.uniform_filter1d(x, size))


@pytest.mark.parametrize("output", ["i4", "u1", "i8", "f4"])
def test_passes_are_rounded_as_scipys_are(output):
    x = np.random.default_rng(0).uniform(0, 9, (20, 30))

    actual = ndimage.sobel(x, output=output)

    expected = reference.sobel(x, output=output)
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 if output == "f4" else 0)


def test_wide_integers_are_not_rounded_to_single_precision_before_they_are_added():
    x = np.random.default_rng(0).integers(10**9, 10**9 + 9, 50, "i4")

    assert_same(
        ndimage.correlate1d(x, [1, -1], output="f4"), reference.correlate1d(x, [1, -1], output="f4")
    )


@given(data=st.data(), shape=shapes, mode=any_mode, sigma=st.sampled_from([0, 0.4, 0.7, 1.0, 2.5]))
def test_gaussians_are_scipys_within_rounding(data, shape, mode, sigma):
    dtype = data.draw(st.sampled_from(["f4", "f8", "c8", "c16"]))
    output = data.draw(st.sampled_from([None, "c8" if dtype[0] == "c" else "f4"]))
    x = draw_values(data, shape, dtype)
    axes = [i for i in range(len(shape)) if data.draw(st.booleans())]
    order = [data.draw(st.integers(0, 3)) for _ in axes]
    arguments = {"sigma": sigma, "mode": mode, "cval": 2, "axes": axes}

    actual = ndimage.gaussian_filter(x, order=order, output=output, **arguments)

    expected = reference.gaussian_filter(x, order=order, output=output, **arguments)
    assert actual.dtype == expected.dtype
    # The derivatives of order 0 to 3 have absolute sums below 1, 1, 2, 5 times sigma**-order.
    size = 9 * 1.5 * np.prod([[1, 1, 2, 5][k] * max(1, sigma**-k if sigma else 1) for k in order])
    u = 2**-24 if actual.dtype in (np.float32, np.complex64) else 2**-53
    taps = 2 * int(4 * sigma + 0.5) + 1
    assert np.max(np.abs(actual - expected)) <= len(axes) * (taps + 4) * u * size


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 10.0])
def test_what_is_truncated_is_the_sum_or_the_integer_it_is_within_rounding_of(dtype, sigma):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if dtype == "?" else 100, (64, 64))
    x[:32] = rng.integers(0, 100, (32, 1)) > 50 if dtype == "?" else rng.integers(0, 100, (32, 1))

    actual = ndimage.gaussian_filter1d(x.astype(dtype), sigma)

    exact = reference.gaussian_filter1d(x.astype("f8"), sigma)
    is_integer = np.abs(exact - np.rint(exact)) < 1e-11
    assert is_integer[:32].all()
    assert_same(actual, np.where(is_integer, np.rint(exact), np.trunc(exact)).astype(dtype))
    scipys = reference.gaussian_filter1d(x.astype(dtype), sigma)
    np.testing.assert_array_equal(actual[~is_integer], scipys[~is_integer])


@pytest.mark.parametrize("sigma", np.linspace(0.3, 12, 20))
def test_single_precision_keeps_the_brightness_of_an_image(sigma):
    x = np.zeros((1, 301), np.float32)
    x[0, 150] = 1

    y = ndimage.gaussian_filter1d(x, sigma)

    np.testing.assert_array_equal(y, y[:, ::-1])
    # Half an ulp of the last weights; weights rounded one by one are off by 2e-8.
    assert abs(y.sum(dtype=np.float64) - 1) < 1e-9


@pytest.mark.parametrize("weights", [np.ones(255), np.ones((15, 17))])
def test_sums_of_zeros_are_zero(weights):
    x = np.zeros((400, 600)[-weights.ndim :], np.float32)
    x[..., 300] = 1e6

    y = ndimage.correlate(x, weights, mode="constant")

    assert (y >= 0).all()
    np.testing.assert_array_equal(y != 0, reference.correlate(x, weights, mode="constant") != 0)


@pytest.mark.parametrize("taps", [300, 2001])
def test_many_integers_are_added_exactly(taps):
    rng = np.random.default_rng(0)
    x, w = rng.integers(-(10**6), 10**6, 5000, "i4"), rng.integers(-99, 99, taps)

    assert_same(ndimage.correlate1d(x, w, output="i8"), reference.correlate1d(x, w, output="i8"))


def test_an_argument_that_only_equals_one_met_before_is_refused():
    ndimage.gaussian_filter(X, 1, order=(1, 0))

    with pytest.raises(TypeError):
        ndimage.gaussian_filter(X, 1, order=(1.0, 0.0))


def test_changed_weights_are_another_filter():
    w = np.array([1.0, 0.0, 0.0])
    ndimage.correlate1d(X, w)
    w[:] = 0, 0, 1

    np.testing.assert_array_equal(ndimage.correlate1d(X, w), reference.correlate1d(X, w))


@pytest.mark.parametrize("name", ["gaussian_laplace", "gaussian_gradient_magnitude"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
@pytest.mark.parametrize("axes", [None, (1, 2), 0, ()])
def test_derivatives_of_gaussians_are_scipys(name, dtype, axes):
    x = np.random.default_rng(0).integers(-999, 999, (7, 8, 9)).astype(dtype)

    actual = getattr(ndimage, name)(x, 1.3, mode="mirror", axes=axes, truncate=3)

    expected = getattr(reference, name)(x, 1.3, mode="mirror", axes=axes, truncate=3)
    assert actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-2 if dtype == "f4" else 1e-9)


@pytest.mark.parametrize("name", ["generic_laplace", "generic_gradient_magnitude"])
def test_generic_filters_pass_on_what_they_are_given(name):
    x = np.random.default_rng(0).integers(-99, 99, (7, 8)).astype("f8")

    def derivative(input, axis, output, mode, cval, a, b):
        return reference.correlate1d(input, [-a, 0, b], axis, output, mode, cval)

    arguments = (x, derivative, None, ["wrap", "constant"], 3, (2,), {"b": 5})

    assert_same(getattr(ndimage, name)(*arguments), getattr(reference, name)(*arguments))


@pytest.mark.parametrize("size", [(3, 3), (1, 4), (8, 5)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nan_and_infinity_stay_within_the_windows_that_hold_them(size, mode, dtype):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 50)).astype(dtype)
    clean = x.copy()
    x[12, 20], x[30, 45], x[0, 0] = np.nan, np.inf, -np.inf

    actual = ndimage.uniform_filter(x, size, mode=mode)

    spoilt = reference.maximum_filter(~np.isfinite(x), size, mode=mode)
    np.testing.assert_array_equal(~np.isfinite(actual), spoilt)
    expected = reference.uniform_filter(clean, size, mode=mode)
    np.testing.assert_allclose(actual[~spoilt], expected[~spoilt], rtol=0, atol=1e-5)
    holds_nan = reference.maximum_filter(np.isnan(x), size, mode=mode)
    assert np.isnan(actual[holds_nan]).all()
    assert not np.isnan(actual[~holds_nan]).any()


def test_a_tiny_weight_counts():
    np.testing.assert_array_equal(ndimage.correlate([2.0], [1e-20]), [2e-20])


def overlapping():
    base = np.arange(40.0)
    return base[:30], base[5:35]


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x, y: m.correlate1d(x, [1, 2, 4], output=y),
        lambda m, x, y: m.convolve(x, [1, 2, 4], output=y),
        lambda m, x, y: m.uniform_filter(x, 3, output=y),
        lambda m, x, y: m.sobel(x, output=y),
    ],
)
def test_output_may_share_memory_with_the_input(call):
    expected = call(reference, overlapping()[0], np.empty(30))
    x, y = overlapping()

    returned = call(ndimage, x, y)

    assert returned is y
    np.testing.assert_allclose(y, expected, rtol=1e-14)


def test_output_may_have_any_strides_and_dtype():
    x = np.arange(12.0).reshape(3, 4)
    for dtype in ("f4", ">f8", "i2", "?"):
        y = np.full((4, 6), 1, dtype).T[::2]
        z = y.copy()

        ndimage.correlate1d(x, [0.5, 1], output=y)

        reference.correlate1d(x, [0.5, 1], output=z)
        np.testing.assert_array_equal(y, z)


@pytest.mark.parametrize("output", [np.float32, "f4", np.dtype(">f4"), float, np.uint8, bool])
def test_output_may_be_a_dtype(output):
    x = np.arange(7)

    actual = ndimage.correlate1d(x, [0.5, 1, 0.25], output=output)

    assert_same(actual, reference.correlate1d(x, [0.5, 1, 0.25], output=output))


def test_input_may_be_of_any_byte_order_and_strides():
    x = np.arange(60, dtype=">i4").reshape(5, 12)[::-1, ::3]

    assert_same(ndimage.correlate(x, np.eye(2)), reference.correlate(x, np.eye(2)))


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (0, 3)])
@pytest.mark.parametrize("name", ["gaussian_filter", "uniform_filter", "laplace", "correlate"])
def test_nothing_and_scalars_are_filtered(name, shape):
    arguments = {
        "gaussian_filter": (1.0,),
        "uniform_filter": (3,),
        "laplace": (),
        "correlate": (np.full((2,) * len(shape), 3),),
    }[name]
    x = np.ones(shape)

    assert_same(getattr(ndimage, name)(x, *arguments), getattr(reference, name)(x, *arguments))


X = np.arange(12.0).reshape(3, 4)
W = np.ones((3, 3))


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "sentence"),
    [
        ("correlate", (X, W[0]), {}, r"weights.ndim \(1\) must match len\(axes\) \(2\)"),
        ("correlate", (X, W[:0]), {}, r"no filter weights given: weights have shape \(0, 3\)"),
        ("correlate", (X, W), {"mode": "edge"}, "mode='edge', expected one of 'reflect', "),
        ("correlate", (X, W), {"mode": ["wrap", "wrap"]}, "A sequence of modes is not supported"),
        ("correlate", (X, W), {"origin": 2}, "Invalid origin; .* here -1 to 1, not 2"),
        ("convolve", (X, W[:2]), {"origin": [1, 0]}, "Invalid origin; .* here -1 to 0, not 1"),
        ("correlate", (X, W), {"origin": [0]}, "must have length equal to input rank, here 2"),
        ("correlate", (X, W), {"axes": (0, 5)}, "specified axis: 5 is out of range, input has 2"),
        ("correlate", (X, W), {"axes": (0, -2)}, "axes must be unique"),
        ("correlate", (X, W), {"output": np.zeros(3)}, r"output shape not correct: it is \(3,\)"),
        ("correlate", (X, W), {"output": "bool"}, "output must have numeric dtype, not 'bool'"),
        ("correlate", (X + 1j, W), {"output": X}, "output must have complex dtype, not float64"),
        ("correlate", (X, W), {"output": complex}, "'complex128'.* not supported: input and we"),
        ("correlate", (X, 1j * W), {"mode": "constant", "cval": 1j}, "complex-valued cval"),
        ("correlate", (X, W), {"cval": 1j}, "must be real number, not complex"),
        ("correlate", (X, W), {"cval": "0"}, "must be real number, not str"),
        ("correlate", (X.astype("f2"), W), {}, "'float16'.* not supported: input and output may"),
        ("correlate1d", (X.astype("g"), W[0]), {}, "not supported: input and output may be bool"),
        ("correlate1d", (X.astype("O"), W[0]), {}, r"dtype\('O'\) not supported"),
        ("correlate1d", (X, W[0]), {"output": np.dtype("f2")}, "'float16'.* not supported"),
        ("correlate1d", (X, []), {}, r"no filter weights given: weights have shape \(0,\)"),
        ("correlate1d", (X, W), {}, r"no filter weights given: weights have shape \(3, 3\)"),
        ("correlate1d", (X, W[0]), {"axis": 2}, "axis 2 is out of bounds"),
        ("correlate1d", (X, W[0]), {"origin": 0.5}, "'float' object cannot be interpreted as"),
        ("gaussian_filter1d", (X, 1), {"radius": -1}, "Radius must be a nonnegative integer, no"),
        ("gaussian_filter1d", (X, 1), {"radius": 1.5}, "Radius must be a nonnegative integer"),
        ("gaussian_filter1d", (X, 1), {"order": -1}, "order must be non-negative, not -1"),
        ("gaussian_filter1d", (X, 1), {"order": 1.5}, "integer"),
        ("gaussian_filter1d", (X, 0), {}, "sigma=0.0|division"),
        ("gaussian_filter", (X, [1, 1, 1]), {}, "sequence argument must have length equal to i"),
        ("gaussian_filter", (X, 1), {"axes": 0.5}, "cannot be interpreted as an integer"),
        ("gaussian_filter", (X, 1), {"axes": object()}, "axes must be an integer, iterable of"),
        ("gaussian_filter", (X + 1j, 1), {"output": float}, "must have complex dtype|not complex"),
        ("uniform_filter1d", (X, 0), {}, "incorrect filter size: size=0, expected at least 1"),
        ("uniform_filter1d", (X, 2.5), {}, "'float' object cannot be interpreted as an integer"),
        ("uniform_filter", (X, 2), {"origin": 1}, "(?i)invalid origin"),
        ("sobel", (X,), {"mode": ["wrap"]}, "sequence argument must have length equal to input"),
    ],
)
def test_errors_are_scipys_with_more_to_say(name, arguments, keywords, sentence):
    with pytest.raises(Exception, match=r".") as scipys:
        getattr(reference, name)(*arguments, **keywords)

    with pytest.raises(scipys.type, match=sentence):
        getattr(ndimage, name)(*arguments, **keywords)


def test_an_unknown_dtype_is_an_error_of_convkit_too():
    with pytest.raises(ck.UnsupportedError, match="cast to one of these"):
        ndimage.sobel(X.astype(np.float16))
