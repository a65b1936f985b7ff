"""convkit.compat.signal: SciPy's own tests pass, with the drop-ins in the place of its functions.

Run as a script, this file runs SciPy's tests so and takes what pytest takes, say `-k upfirdn -x`.
"""

from __future__ import annotations

import functools
import inspect
import json
import os
import subprocess
import sys
import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convkit.compat import signal as drop_ins
from convkit.errors import UnsupportedError

scipy_signal = pytest.importorskip("scipy.signal", reason="the drop-ins are compared to SciPy")

# What of SciPy's tests is about the drop-ins.
SELECTED = (
    *("test_upfirdn.py", "test_savitzky_golay.py", "test_bsplines.py::TestSepfir2d"),
    "test_result_type.py::test_decimate",
    *(
        f"test_signaltools.py::{name}"
        for name in (
            *("TestConvolve", "TestConvolve2d", "TestFFTConvolve", "TestOAConvolve"),
            *("TestAllFreqConvolves", "test_convolve_longdtype_input", "TestCorrelateReal"),
            *("TestCorrelate", "TestCorrelateComplex", "TestCorrelate2d", "TestDecimate"),
            *("test_correlation_lags", "test_choose_conv_method", "test_lfilter", "test_gh_22684"),
            *("TestLinearFilter", "TestResample"),
        )
    ),
)
IIR = "an IIR filter, which convkit does not compute"
SLOW = "marked slow by SciPy, and not run by its own default either"
LINEAR_FILTERS = (
    *("Float32", "Float64", "FloatExtended", "Complex64", "Complex128", "ComplexExtended"),
)
EXCLUDED = {
    "test_signaltools.py::TestFFTConvolve::test_fft_nan": (
        "it expects a warning that NaN spreads over the result; here it stays where it belongs"
    ),
    "test_result_type.py::test_decimate": IIR,
    **{
        f"test_signaltools.py::TestDecimate::{name}": IIR
        for name in (
            *("test_basic_IIR", "test_shape", "test_phaseshift_IIR", "test_zero_phase_IIR"),
            *("test_long_float32", "test_float16_upcast", "test_complex_iir_dlti"),
        )
    },
    **{
        f"test_signaltools.py::TestLinearFilter{dtype}::{name}": IIR
        for dtype in LINEAR_FILTERS
        for name in (
            *("test_rank_1_IIR[", "test_rank_1_IIR_init_cond", "test_rank_2_IIR_axis_0["),
            *("test_rank_2_IIR_axis_1[", "test_rank_2_IIR_axis_0_init_cond"),
            *("test_rank_2_IIR_axis_1_init_cond", "test_rank_3_IIR[", "test_rank_3_IIR_init_cond"),
            *("test_zi_pseudobroadcast", "test_short_x_IIR", "test_do_not_modify_a_b_IIR"),
            *("test_lfiltic[numpy-[1, 0.5, 1.5]]", "test_lfiltic[numpy-[2, 1, 3]]"),
        )
    },
    "test_signaltools.py::TestOAConvolve::test_real_manylens": SLOW,
    "test_signaltools.py::TestFFTConvolve::test_many_sizes": SLOW,
    "test_signaltools.py::TestConvolve2d::test_large_array": SLOW,
    "test_signaltools.py::test_correlation_lags[numpy-10000-": SLOW,
    "test_signaltools.py::test_correlation_lags[numpy-10001-": SLOW,
}
# For each function a test of SciPy's that calls no other: it fails if the function is wrong.
PLANTED = {
    "choose_conv_method": "test_signaltools.py::test_choose_conv_method_2",
    "convolve": "test_signaltools.py::TestConvolve::test_basic",
    "convolve2d": "test_signaltools.py::TestConvolve2d::test_fillvalue",
    "correlate": "test_signaltools.py::TestCorrelate::test_numpy_fastpath",
    "correlate2d": "test_signaltools.py::TestCorrelate2d::test_complex_input",
    "correlation_lags": "test_signaltools.py::test_correlation_lags_invalid_mode",
    "decimate": "test_signaltools.py::TestDecimate::test_basic_FIR",
    "fftconvolve": "test_signaltools.py::TestFFTConvolve::test_single_element",
    "lfilter": "test_signaltools.py::TestLinearFilterFloat64::test_rank_1_FIR",
    "oaconvolve": "test_signaltools.py::TestOAConvolve::test_single_element",
    "resample_poly": "test_signaltools.py::test_gh_22684",
    "savgol_coeffs": "test_savitzky_golay.py::test_sg_coeffs_trivial",
    "savgol_filter": "test_savitzky_golay.py::test_sg_filter_basic",
    "sepfir2d": "test_bsplines.py::TestSepfir2d::test_simple",
    "upfirdn": "test_upfirdn.py::TestUpfirdn::test_shift_x",
}


class InPlaceOfSciPy:
    """A pytest plugin that puts the drop-ins where SciPy's tests find its functions."""

    def __init__(self, report: str | None, *, planted: bool) -> None:
        self.report = report
        self.calls = dict.fromkeys(drop_ins.__all__, 0)
        self.outcomes: dict[str, str] = {}
        self.excluded: list[str] = []
        self.own = {getattr(scipy_signal, n): self.counted(n, planted) for n in drop_ins.__all__}

    def counted(self, name: str, planted: bool) -> Any:
        function = getattr(drop_ins, name)

        @functools.wraps(function)
        def count(*args: Any, **keywords: Any) -> Any:
            self.calls[name] += 1
            return None if planted else function(*args, **keywords)

        return count

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        # Tests have the functions as attributes of scipy.signal, by name, and as parameters.
        places = [vars(scipy_signal), *{id(i.module): vars(i.module) for i in items}.values()]
        places += [item.callspec.params for item in items if hasattr(item, "callspec")]
        for place in places:
            for name, value in list(place.items()):
                if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
                    place[name] = self.own.get(value, value)
        chosen = [item for item in items if short(item).startswith(SELECTED)]
        self.excluded = [short(i) for i in chosen if short(i).startswith(tuple(EXCLUDED))]
        items[:] = [item for item in chosen if short(item) not in self.excluded]

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[short(report)] = report.outcome

    def pytest_sessionfinish(self) -> None:
        if self.report:
            found = {"outcomes": self.outcomes, "excluded": self.excluded, "calls": self.calls}
            Path(self.report).write_text(json.dumps(found))


def short(item: Any) -> str:
    """Return the name of a test, from its file's name on."""
    return str(item.nodeid.rpartition("tests/")[2])


def main(arguments: list[str]) -> int:
    """Run SciPy's tests with the drop-ins."""
    report, planted = os.environ.get("DROP_INS_REPORT"), "DROP_INS_PLANTED" in os.environ
    root = Path(scipy_signal.__file__).parents[1]
    names = PLANTED.values() if planted else {name.partition("::")[0] for name in SELECTED}
    options = ["-q", "-c", os.devnull, f"--rootdir={root}", f"--confcutdir={root}"]
    return pytest.main(
        [*options, *arguments, *(f"{root}/signal/tests/{name}" for name in sorted(names))],
        plugins=[InPlaceOfSciPy(report, planted=planted)],
    )


def run(report: Path, **environment: str) -> tuple[dict[str, Any], str]:
    """Run SciPy's tests in another process, whose scipy.signal stays as it is."""
    own = {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "DROP_INS_REPORT": str(report)}
    inherited = {
        k: v for k, v in os.environ.items() if k not in ("SCIPY_ARRAY_API", "PYTEST_ADDOPTS")
    }
    done = subprocess.run(
        [sys.executable, __file__, "-p", "no:cacheprovider", "--tb=short"],
        env={**inherited, **own, **environment},
        cwd=report.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), done.stdout + done.stderr
    return json.loads(report.read_text()), done.stdout


needs_tests = pytest.mark.skipif(
    not (Path(scipy_signal.__file__).parent / "tests" / "test_upfirdn.py").exists(),
    reason="SciPy came without its tests",
)


@pytest.fixture(scope="module")
def scipys_tests(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    return run(tmp_path_factory.mktemp("scipy") / "report.json")


@needs_tests
def test_scipys_own_tests_pass(scipys_tests):
    found, output = scipys_tests

    assert "failed" not in found["outcomes"].values(), output[-20_000:]
    assert list(found["outcomes"].values()).count("passed") > 1900


@needs_tests
def test_scipys_own_tests_call_every_function(scipys_tests):
    found, _ = scipys_tests

    assert set(found["calls"]) == set(drop_ins.__all__)
    assert min(found["calls"].values()) > 0, found["calls"]


@needs_tests
@pytest.mark.parametrize("name", EXCLUDED)
def test_what_is_excluded_is_a_test_of_scipys(scipys_tests, name):
    found, _ = scipys_tests

    assert any(excluded.startswith(name) for excluded in found["excluded"])


@needs_tests
def test_scipys_own_tests_fail_where_a_function_is_wrong(tmp_path):
    assert set(PLANTED) == set(drop_ins.__all__)

    found, output = run(tmp_path / "report.json", DROP_INS_PLANTED="1")

    for name, test in PLANTED.items():
        outcomes = {o for t, o in found["outcomes"].items() if t.startswith(test)}
        assert outcomes == {"failed"}, f"{name}: {output}"


# --- beyond SciPy's tests -------------------------------------------------------------------

DTYPES = list("?bBhHiIqQefdFDgG")
FLOATING = [np.dtype(c) for c in "efdgFDG"]
MODES = ["full", "same", "valid"]
EXTENSIONS = [
    *("constant", "wrap", "edge", "symmetric", "reflect"),
    *("smooth", "line", "antisymmetric", "antireflect"),
]


def draw(seed: int, shape: tuple[int, ...], dtype: str = "d") -> np.ndarray:
    """Draw integers, whose sums are exact in every dtype."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0 if dtype in "?BHIQ" else -4, 5, shape)
    return (values + 1j * rng.integers(-4, 5, shape) if dtype in "FDG" else values).astype(dtype)


def assert_same(name: str, *args: Any, **keywords: Any) -> None:
    """Assert that a drop-in and SciPy give the same: shape, dtype, values up to rounding."""
    with np.errstate(all="ignore"):  # SciPy casts memory that it has not written to
        expected = getattr(scipy_signal, name)(*args, **keywords)
    actual = getattr(drop_ins, name)(*args, **keywords)

    assert type(actual) is type(expected)
    pairs = zip(actual, expected, strict=True) if type(actual) is tuple else [(actual, expected)]
    for ours, theirs in pairs:
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        # Hundreds of roundings, and those of SciPy's FFT in the narrowest type there is.
        arrays = [a.dtype for a in args if isinstance(a, np.ndarray)]
        inputs = [np.result_type(d, "f") for d in arrays if d in FLOATING]
        if theirs.dtype not in FLOATING:
            np.testing.assert_array_equal(ours, theirs)
            continue
        # SciPy's FFT takes longdouble beside integers for float64.
        digits = max(np.finfo(dtype).eps for dtype in [theirs.dtype, np.dtype("d"), *inputs])
        largest = max(1, np.abs(theirs).max(initial=0))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e3 * digits * largest)


PAIR_OF_DTYPES = st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES))
SIZES = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=3)


@pytest.mark.parametrize("name", ["convolve", "correlate"])
@given(
    sizes=SIZES,
    dtypes=PAIR_OF_DTYPES.filter(lambda pair: np.result_type(*pair).char not in "?e"),
    mode=st.sampled_from(MODES),
    method=st.sampled_from(["auto", "direct"]),
)
def test_convolve_and_correlate_are_scipys(name, sizes, dtypes, mode, method):
    if mode == "valid":
        sizes = [(max(s), min(s)) for s in sizes]
    shape, taps = zip(*sizes, strict=True)

    assert_same(name, draw(0, shape, dtypes[0]), draw(1, taps, dtypes[1]), mode, method)


@given(sizes=SIZES, mode=st.sampled_from(MODES))
def test_bool_and_float16_are_summed_where_scipy_does_not(sizes, mode):
    shape, taps = zip(*[(max(s), min(s)) for s in sizes], strict=True)
    x, w = draw(0, shape, "?"), draw(1, taps, "?")
    counts = drop_ins.convolve(x.astype(int), w.astype(int), mode)

    np.testing.assert_array_equal(drop_ins.convolve(x, w, mode), counts != 0, strict=True)
    np.testing.assert_array_equal(
        drop_ins.convolve(x.astype("e"), w, mode), counts.astype("e"), strict=True
    )


@pytest.mark.parametrize("name", ["fftconvolve", "oaconvolve"])
@given(
    axes=st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 5), st.booleans(), st.integers(0, 2)),
        min_size=1,
        max_size=3,
    ).filter(lambda axes: any(is_along for _, _, is_along, _ in axes)),
    mode=st.sampled_from(MODES),
    dtypes=PAIR_OF_DTYPES,
)
def test_fftconvolve_broadcasts_as_scipys(name, axes, mode, dtypes):
    along = [i for i, (_, _, is_along, _) in enumerate(axes) if is_along]
    # Outside `along` extents are equal, or one of them is 1.
    sizes = [
        (n, k) if i in along else [(n, n), (1, n), (n, 1)][how]
        for i, (n, k, _, how) in enumerate(axes)
    ]
    if mode == "valid":
        sizes = [(max(s), min(s)) if i in along else s for i, s in enumerate(sizes)]
    shape, taps = zip(*sizes, strict=True)

    assert_same(name, draw(0, shape, dtypes[0]), draw(1, taps, dtypes[1]), mode, along)


@pytest.mark.parametrize("name", ["convolve2d", "correlate2d"])
@given(
    sizes=st.tuples(*[st.tuples(st.integers(1, 9), st.integers(1, 12))] * 2),
    mode=st.sampled_from(MODES),
    boundary=st.sampled_from(["fill", "wrap", "symm"]),
    fillvalue=st.sampled_from([0, 3, True]),
    dtypes=PAIR_OF_DTYPES.filter(lambda pair: np.result_type(*pair).char not in "?e"),
)
def test_convolve2d_is_scipys(name, sizes, mode, boundary, fillvalue, dtypes):
    if mode == "valid":
        sizes = [(max(s), min(s)) for s in sizes]
    shape, taps = zip(*sizes, strict=True)

    assert_same(
        name, draw(0, shape, dtypes[0]), draw(1, taps, dtypes[1]), mode, boundary, fillvalue
    )


def test_correlate2d_of_swapped_complex_arrays_is_scipys():
    assert_same("correlate2d", draw(0, (2, 3), "D"), draw(1, (4, 5), "D"), "valid")


def test_a_complex_or_huge_fillvalue_is_exact():
    assert_same("convolve2d", draw(0, (3, 4), "D"), draw(1, (3, 2), "D"), fillvalue=2 - 1j)
    assert_same("convolve2d", draw(0, (3, 4), "q"), draw(1, (3, 2), "q"), fillvalue=2**60 + 1)


@given(
    x=st.lists(st.integers(2, 6), min_size=1, max_size=3),
    taps=st.integers(1, 40),
    axis=st.integers(-1, 0),
    up=st.integers(1, 40),
    down=st.integers(1, 40),
    mode=st.sampled_from(EXTENSIONS),
    cval=st.sampled_from([0, 3]),
    dtypes=st.tuples(*[st.sampled_from("bBhiqefdFD")] * 2),
)
def test_upfirdn_is_scipys(x, taps, axis, up, down, mode, cval, dtypes):
    h, x = draw(0, (taps,), dtypes[0]), draw(1, tuple(x), dtypes[1])

    assert_same("upfirdn", h, x, up, down, axis, mode, cval)


def test_upfirdn_takes_lines_of_one_sample_and_of_none():
    for mode in ("smooth", "line", "antireflect"):
        actual = drop_ins.upfirdn([1.0, 1.0, 1.0], [2.0], mode=mode)
        np.testing.assert_array_equal(actual, [6, 6, 6])
    assert drop_ins.upfirdn([1.0, 2.0], np.ones((0, 3)), 2).shape == (0, 6)
    assert drop_ins.upfirdn([1.0, 2.0], np.ones((3, 0)), 2, axis=0).shape == (6, 0)


@given(
    size=st.integers(2, 40),
    up=st.integers(1, 12),
    down=st.integers(1, 12),
    window=st.one_of(st.just(("kaiser", 5.0)), st.just("hann"), st.integers(1, 30)),
    padtype=st.sampled_from([*EXTENSIONS, "mean", "median", "maximum", "minimum"]),
    dtype=st.sampled_from("bBhqfdFD"),
)
def test_resample_poly_is_scipys(size, up, down, window, padtype, dtype):
    if isinstance(window, int):
        window = draw(1, (window,), "d")

    assert_same("resample_poly", draw(0, (size, 2), dtype), up, down, 0, window, padtype)


@given(
    taps=st.integers(1, 7),
    shape=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    axis=st.integers(-1, 0),
    dtypes=st.tuples(*[st.sampled_from("fdgFDG")] * 2),
    zeros=st.integers(0, 3),
    has_state=st.booleans(),
)
def test_lfilter_is_scipys(taps, shape, axis, dtypes, zeros, has_state):
    b, x = draw(0, (taps,), dtypes[0]), draw(1, tuple(shape), dtypes[1])
    a = np.array([2] + [0] * zeros, dtypes[0])
    shape[axis] = max(b.size, a.size) - 1
    zi = draw(2, tuple(shape), dtypes[1]) if has_state else None

    assert_same("lfilter", b, a, x, axis, zi)


@given(
    shape=st.lists(st.integers(8, 11), min_size=1, max_size=3),
    window=st.integers(1, 8),
    order=st.integers(0, 4),
    deriv=st.integers(0, 3),
    axis=st.integers(-1, 0),
    mode=st.sampled_from(["interp", "mirror", "nearest", "constant", "wrap"]),
    dtype=st.sampled_from("?bqefdg"),
)
def test_savgol_filter_is_scipys(shape, window, order, deriv, axis, mode, dtype):
    x = draw(0, tuple(shape), dtype)

    assert_same("savgol_filter", x, window, min(order, window - 1), deriv, 0.5, axis, mode, 2.0)


@given(
    shape=st.tuples(st.integers(9, 12), st.integers(9, 12)),
    taps=st.tuples(st.sampled_from([1, 3, 5]), st.sampled_from([1, 3, 7])),
    dtype=st.sampled_from("?bBhiqefdFD"),
)
def test_sepfir2d_is_scipys(shape, taps, dtype):
    row, column = (draw(i, (k,)).tolist() for i, k in enumerate(taps))

    assert_same("sepfir2d", draw(3, shape, dtype), row, column)


@given(
    size=st.integers(20, 60),
    q=st.integers(2, 6),
    n=st.none() | st.integers(1, 20),
    zero_phase=st.booleans(),
    dtype=st.sampled_from("bqefdFD"),
)
def test_decimate_is_scipys(size, q, n, zero_phase, dtype):
    assert_same("decimate", draw(0, (2, size), dtype), q, n, "fir", -1, zero_phase)


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from(MODES))
def test_correlation_lags_are_scipys(n, k, mode):
    assert_same("correlation_lags", n, k, mode)


def test_signatures_are_scipys():
    for name in drop_ins.__all__:
        if name == "sepfir2d":  # of C
            continue
        theirs = inspect.signature(getattr(scipy_signal, name)).parameters.values()
        ours = inspect.signature(getattr(drop_ins, name)).parameters.values()
        # Keywords of array libraries come and go with SciPy's versions.
        expected = [(p.name, p.default) for p in theirs if p.kind != p.KEYWORD_ONLY]
        assert [(p.name, p.default) for p in ours if p.kind != p.KEYWORD_ONLY] == expected, name


def test_integers_wrap_as_scipys_do_and_are_exact():
    large = np.array([100, 120, 7], np.int8)
    assert_same("convolve", large, large)
    assert_same("convolve", large.astype("q") * 2**40, large.astype("q") * 2**20)
    assert_same("convolve", np.array([2**63, 5], "Q"), np.array([3, 1], "Q"))


def test_nan_stays_where_direct_sums_put_it():
    x = np.ones(2000)
    x[1000] = np.nan

    y = drop_ins.fftconvolve(x, np.ones(300), "same")

    assert np.isnan(y).sum() == 300


def test_choose_conv_method_times_both():
    method, times = drop_ins.choose_conv_method(np.ones(50), np.ones(5), measure=True)

    assert method == min(times, key=times.__getitem__)
    assert set(times) == {"fft", "direct"}


def test_decimals_are_summed_tap_by_tap():
    x = np.array([Decimal("0.1"), Decimal("0.2")])

    assert drop_ins.convolve(x, x).tolist() == [Decimal("0.01"), Decimal("0.04"), Decimal("0.04")]


def test_many_axes_of_one_tap_are_a_batch():
    x, w = draw(0, (2, 3, 4, 5, 6)), draw(1, (1, 1, 1, 2, 3))

    assert_same("convolve", x, w, "same", "direct")


def test_no_array_is_written_to():
    x, h = draw(0, (6, 8)), draw(1, (5,))
    copies = x.copy(), h.copy()

    drop_ins.upfirdn(h, x, 3, 2, mode="smooth")
    drop_ins.resample_poly(x, 3, 2, window=h, padtype="mean")
    drop_ins.lfilter(h, [2.0], x, zi=np.ones((6, 4)))
    drop_ins.savgol_filter(x, 5, 2)

    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(h, copies[1])


@pytest.mark.parametrize(
    ("name", "arguments", "error", "sentence"),
    [
        ("lfilter", ([1.0], [1.0, 0.5], [1.0, 2.0]), UnsupportedError, "scipy.signal.lfilter"),
        ("decimate", (np.ones(9), 2), UnsupportedError, "ftype='fir' or call scipy.signal.dec"),
        ("decimate", (np.ones(9), 2, 3, "spam"), ValueError, "invalid ftype"),
        ("convolve", ([1.0, 2.0], []), ValueError, "neither array may be empty"),
        ("convolve", (np.ones((2, 2)), np.ones(2)), ValueError, "same dimensionality"),
        ("convolve2d", (np.ones((2, 0)), np.ones((1, 1))), ValueError, "may be empty"),
        ("convolve2d", ([[1]], [[1]], "full", "spam"), ValueError, "boundary flags are"),
        ("upfirdn", ([1.0], [1.0], 1, 1, -1, "spam"), ValueError, "Unknown mode: spam"),
        ("upfirdn", ([1.0], np.ones(3, "g")), TypeError, "no kernel sums"),
        ("upfirdn", ([1.0], [1.0, 2.0], 1, 1, 3), IndexError, "out of range"),
        ("resample_poly", ([1.0, 2.0], 2, 1, 0, [[1.0]]), ValueError, "window must be 1-D"),
        ("resample_poly", ([1.0], 2, 1, 0, [1.0], "spam"), ValueError, "padtype must be one"),
        ("savgol_filter", ([1.0], 3, 1), ValueError, "less than or equal to the size of x"),
        ("sepfir2d", (np.ones((2, 2), "g"), [1.0], [1.0]), TypeError, "has dtype"),
    ],
)
def test_what_does_not_fit_is_named(name, arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        getattr(drop_ins, name)(*arguments)


def test_a_dlti_with_poles_is_refused():
    with pytest.raises(UnsupportedError, match="has 2 poles"):
        drop_ins.decimate(np.ones(9), 2, ftype=scipy_signal.dlti([1.0], [1.0, 0.5, 0.1]))


def test_importing_convkit_loads_neither_scipy_nor_the_drop_ins():
    code = "import convkit, sys; print([m for m in sys.modules if 'scipy' in m or '.compat' in m])"
    code += "; import convkit.compat.signal; print([m for m in sys.modules if 'scipy' in m])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )

    assert done.stdout == "[]\n[]\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
