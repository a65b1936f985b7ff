"""StreamingConvolver: any split of a stream equals one shot, in state as in values."""

from __future__ import annotations

import copy
import pickle
import re
import signal
import threading
import time
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import convkit as ck
from convkit.dtypes import unit_roundoff

FLOATS = ["f4", "f8", "c8", "c16"]
WIDER = {"f4": "f8", "f8": "g", "c8": "c16", "c16": "G"}
# Around what is summed directly, the taps of the first partitions, and the second level.
LENGTHS = [1, 2, 63, 64, 65, 128, 255, 256, 300, 512, 700, 2047, 2048, 2050, 5000]
BLOCKS = [None, 1, 48, 64, 100, 128, 256, 480, 1024, 4096]


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    values = rng.standard_normal(shape)
    if dtype[0] == "c":
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(dtype)


def cut(x: np.ndarray, sizes: list[int], axis: int) -> list[np.ndarray]:
    """Cut x into pieces of these sizes, over and over."""
    pieces, at, total = [], 0, x.shape[axis]
    while at < total:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(x[(slice(None),) * (axis % x.ndim) + (slice(at, at + size),)])
        at += size
    return pieces


def streamed(stream: ck.StreamingConvolver, x: np.ndarray, sizes: list[int]) -> np.ndarray:
    """Push x in pieces of these sizes, and flush."""
    axis = stream.axis
    return np.concatenate([*(stream.push(p) for p in cut(x, sizes, axis)), stream.flush()], axis)


def allowed(x: np.ndarray, v: np.ndarray) -> float:
    """Return c u |x| |v|, in norms over a filter's length: of transforms, and of direct sums."""
    sums = "complex128" if np.result_type(x, v).kind == "c" else "float64"
    u = unit_roundoff(np.result_type(x, v).name)
    taps = v.shape[-1]
    largest = np.abs(x.astype(sums)).max(initial=0)
    # Windows are up to 32 times as long as blocks, of which direct sums take the first one.
    window = np.sqrt(8 * taps + 4096) * largest
    return float((8 * np.log2(8 * taps + 4096) + 8) * u * window * np.linalg.norm(v.astype(sums)))


splits = st.lists(st.sampled_from([1, 2, 7, 63, 64, 65, 128, 480, 1000]), min_size=1, max_size=5)


@given(
    dtype=st.sampled_from(FLOATS),
    taps=st.sampled_from(LENGTHS),
    block=st.sampled_from(BLOCKS),
    channels=st.sampled_from([None, 1, 2, 3]),
    axis=st.sampled_from([0, -1]),
    sizes=splits,
    seed=st.integers(0, 99),
)
def test_any_split_equals_one_shot(dtype, taps, block, channels, axis, sizes, seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(0, 3 * taps + 700))
    shape = (count,) if channels is None else (channels, count)
    x, v = draw(rng, shape, dtype), draw(rng, (taps,), dtype)
    wide = WIDER[dtype]
    filters = v.astype(wide) if channels is None else v.astype(wide)[np.newaxis]
    expected = scipy.signal.fftconvolve(x.astype(wide), filters, axes=-1)
    if axis == 0 and channels is not None:
        x, expected = x.T.copy(), expected.T
    stream = ck.StreamingConvolver(v, axis=axis, block=block, channels=channels)

    y = streamed(stream, x, [*sizes, block or 64])

    assert y.dtype == x.dtype
    if count:
        assert y.shape == expected.shape
        assert np.abs(y - expected).max(initial=0) <= allowed(x, v)


@given(
    dtype=st.sampled_from(FLOATS),
    taps=st.sampled_from(LENGTHS),
    block=st.sampled_from([None, 32, 64]),
    sizes=splits,
)
def test_the_split_changes_no_bit(dtype, taps, block, sizes):
    rng = np.random.default_rng(taps)
    x, v = draw(rng, (2, 2 * taps + 300), dtype), draw(rng, (taps,), dtype)
    stream = ck.StreamingConvolver(v, block=block, channels=2)

    np.testing.assert_array_equal(streamed(stream, x, sizes), streamed(stream, x, [x.shape[1]]))


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("block", [None, 256])
def test_every_channel_may_have_its_filter(axis, block):
    rng = np.random.default_rng(0)
    x, v = draw(rng, (3, 4000), "f8"), draw(rng, (3, 700), "f8")
    v[1] *= 1e-100
    each = [np.convolve(x[i], v[i]) for i in range(3)]
    filters, samples = (v.T, x.T.copy()) if axis == 0 else (v, x)
    stream = ck.StreamingConvolver(filters, axis=axis, block=block)

    y = streamed(stream, samples, [256])

    y = y.T if axis == 0 else y
    for i in range(3):
        assert np.abs(y[i] - each[i]).max() <= 2 * allowed(x[i], v[i])


@pytest.mark.parametrize("x_dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("v_dtype", ["i1", "i2", "i8"])
@pytest.mark.parametrize("taps", [5, 300])
def test_integers_are_exact(x_dtype, v_dtype, taps):
    rng = np.random.default_rng(taps)
    low, high = (0, 2) if x_dtype == "?" else (np.iinfo(x_dtype).min, np.iinfo(x_dtype).max)
    x = rng.integers(low, high, (2, 900), np.dtype(x_dtype if x_dtype != "?" else "u1"))
    x, v = x.astype(x_dtype), rng.integers(-99, 99, taps).astype(v_dtype)
    expected = ck.convolve(x, v, "full", axes=-1, algorithm="direct")

    y = streamed(ck.StreamingConvolver(v, dtype=x_dtype, channels=2), x, [64, 1, 100])

    assert y.dtype == expected.dtype
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    ("x_dtype", "v_dtype"),
    [
        ("f2", "f2"),
        ("f2", "f4"),
        ("i2", "f4"),
        ("f4", "f8"),
        ("f4", "c8"),
        ("c8", "f8"),
        ("u1", "f4"),
    ],
)
@pytest.mark.parametrize("taps", [5, 700])
def test_the_result_has_the_type_of_convolve(x_dtype, v_dtype, taps):
    rng = np.random.default_rng(taps)
    x = draw(rng, (2000,), x_dtype) if x_dtype[0] in "fc" else rng.integers(0, 9, 2000, x_dtype)
    v = draw(rng, (taps,), v_dtype)
    expected = ck.convolve(x, v)

    y = streamed(ck.StreamingConvolver(v, dtype=x_dtype), x, [64, 30])

    assert y.dtype == expected.dtype
    assert np.abs(y - expected).max() <= 2 * allowed(x, v) + np.abs(expected).max() * (
        2 * unit_roundoff(expected.dtype.name)
    )


def test_bfloat16_streams():
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    x, v = np.arange(9, dtype=bfloat16), np.ones(3, bfloat16)

    y = streamed(ck.StreamingConvolver(v), x, [4])

    assert y.dtype == bfloat16
    np.testing.assert_array_equal(y, ck.convolve(x, v))


# --- NaN, Inf, and numbers at the ends of the range -------------------------------------------


@cache
def with_nan_and_inf(dtype: str, taps: int) -> tuple[np.ndarray, ...]:
    """Return x, x without what is not finite, v, and what a direct sum makes of x and v."""
    rng = np.random.default_rng(taps)
    x, v = draw(rng, (2, 2 * taps + 1500), dtype), draw(rng, (taps,), dtype)
    clean = x.copy()
    v[taps // 2] = 0
    for channel, at, value in [
        (0, 0, np.nan),
        (0, 333, np.inf),
        (1, 700, -np.inf),
        (1, 710, np.nan),
    ]:
        x[channel, at], clean[channel, at] = value, 0
    return x, clean, v, ck.convolve(x, v, axes=-1, backend="numpy")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("taps", [5, 300, 2500])
@pytest.mark.parametrize("block", [None, 64, 256])
@pytest.mark.parametrize("sizes", [[256], [1000, 1, 7]])
def test_nan_and_inf_reach_what_a_direct_sum_takes_them_to(dtype, taps, block, sizes):
    x, clean, v, expected = with_nan_and_inf(dtype, taps)
    stream = ck.StreamingConvolver(v, block=block, channels=2)

    y = streamed(stream, x, sizes)

    for part in [np.real, np.imag] if dtype[0] == "c" else [np.real]:
        got, right = part(y), part(expected)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(right))
        np.testing.assert_array_equal(got[np.isinf(right)], right[np.isinf(right)])
        finite = np.isfinite(right)
        assert np.abs(got[finite] - right[finite]).max() <= allowed(clean, v)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", ["huge", "tiny"])
@pytest.mark.parametrize("taps", [5, 3000])
def test_samples_of_any_size_are_filtered(dtype, size, taps):
    """Sums that fit do not overflow on the way; subnormal ones are as near as their roundoff."""
    rng = np.random.default_rng(taps)
    scale = float(np.finfo(dtype).max) * 1e-3 if size == "huge" else float(np.finfo(dtype).tiny)
    x = rng.uniform(-1, 1, 5000)
    v = rng.uniform(-1, 1, taps) / taps
    x32, v32 = (x * scale).astype(dtype), v.astype(dtype)
    expected = np.convolve((x32 / scale).astype("f8"), v32.astype("f8")) * scale

    y = streamed(ck.StreamingConvolver(v32), x32, [64])

    error = np.abs(y - expected).max()
    assert error <= 2 * allowed(x32 / scale, v32) * scale + float(
        np.finfo(dtype).smallest_subnormal
    )


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [1e-37, 1e36])
def test_filters_of_any_size_are_applied(dtype, size):
    rng = np.random.default_rng(0)
    x, v = draw(rng, (5000,), dtype), (rng.uniform(-1, 1, 3000) * size).astype(dtype)
    expected = np.convolve(x.astype("f8"), v.astype("f8"))

    assert np.abs(streamed(ck.StreamingConvolver(v), x, [64]) - expected).max() <= allowed(x, v)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_filters_that_are_not_finite_follow_convolve(bad):
    v = np.linspace(0, 1, 70)
    v[3] = bad
    x = np.arange(200.0)

    y = streamed(ck.StreamingConvolver(v), x, [64])

    np.testing.assert_array_equal(y, ck.convolve(x, v, algorithm="direct"))


# --- state ------------------------------------------------------------------------------------


def make(kind: str) -> tuple[ck.StreamingConvolver, np.ndarray]:
    """Return a stream of one of the ways to compute it, and its signal."""
    rng = np.random.default_rng(1)
    if kind == "integers":
        return ck.StreamingConvolver(np.arange(2**40, 2**40 + 40)), rng.integers(-9, 9, 3000)
    taps = {"short": 20, "long": 9000, "whole": 3000}[kind]
    v = draw(rng, (taps,), "f4")
    block = 512 if kind == "whole" else None
    return ck.StreamingConvolver(v, block=block), draw(rng, (30_000,), "f4")


KINDS = ["short", "long", "whole", "integers"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["copy", "copy.copy", "copy.deepcopy"])
def test_a_copy_goes_on_as_the_original(kind, how):
    stream, x = make(kind)
    stream.push(x[:2000])
    other = {"copy": stream.copy, "copy.copy": lambda: copy.copy(stream)}.get(
        how, lambda: copy.deepcopy(stream)
    )()

    expected = streamed(stream, x[2000:], [100])

    np.testing.assert_array_equal(streamed(other, x[2000:], [100]), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("position", [0, 1, 1999, 25_000])
def test_a_pickle_goes_on_as_the_original(kind, position):
    stream, x = make(kind)
    stream.push(x[:position])
    stream.push(x[position : position + 1] * 0 + 1)

    other = pickle.loads(pickle.dumps(stream))

    expected = streamed(stream, x, [100])
    np.testing.assert_array_equal(streamed(other, x, [100]), expected)


def test_a_pickle_keeps_what_is_not_finite():
    stream, x = make("long")
    x[100] = np.nan
    stream.push(x[:5000])
    other = pickle.loads(pickle.dumps(stream))

    y = other.push(x[5000:])

    np.testing.assert_array_equal(np.isnan(y), np.arange(5000, x.size) < 100 + 9000)


@pytest.mark.parametrize("kind", KINDS)
def test_reset_and_flush_go_back_to_the_beginning(kind):
    stream, x = make(kind)
    first = streamed(stream, x, [333])
    second = streamed(stream, x, [333])
    stream.push(x[:777])
    stream.reset()

    np.testing.assert_array_equal(second, first)
    np.testing.assert_array_equal(streamed(stream, x, [333]), first)


def test_the_filter_is_kept_as_it_was():
    v = np.ones(3)
    stream = ck.StreamingConvolver(v)
    v[:] = 7

    assert stream.push([1.0, 0.0]).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_sample_gives_its_output_at_once(kind):
    stream, _ = make(kind)
    first = stream._v[0]

    assert stream.latency == 0
    assert stream.push(np.ones(1, stream.dtype)) == pytest.approx([first])


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_nothing_are_nothing(kind):
    stream, x = make(kind)
    expected = stream.copy().push(x)

    assert stream.push(x[:0]).shape == (0,)
    np.testing.assert_array_equal(stream.push(x), expected)


def test_pushing_takes_no_memory():
    native = pytest.importorskip("convkit.backends.native")
    stream, x = make("long")
    stream.push(x)
    before = native.lib.ck_live_bytes()

    for piece in cut(x, [64, 7], -1):
        stream.push(piece)

    assert native.lib.ck_live_bytes() == before


def test_the_state_is_a_few_times_the_filter():
    pytest.importorskip("convkit.backends.native")
    stream = ck.StreamingConvolver(np.ones(480_000, "f4"), block=64, channels=2)

    assert stream._engine.nbytes <= 10 * 480_000 * 4 * (1 + 2)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")
def test_an_interrupted_push_has_not_been():
    pytest.importorskip("convkit.backends.native")
    x = np.random.default_rng(0).standard_normal((8, 1_000_000))
    stream = ck.StreamingConvolver(np.ones(20_000), channels=8)
    stream.push(x[:, :1000])
    expected = stream.copy().push(x[:, :1000])
    main = threading.get_ident()
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))

    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        stream.push(x)
        time.sleep(60)  # so fast that the signal comes late

    assert time.monotonic() - start < 30
    np.testing.assert_array_equal(stream.push(x[:, :1000]), expected)


# --- arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("list", True),
        ("strided", True),
        ("fortran", True),
        ("big-endian", True),
        ("misaligned", True),
        ("read-only", True),
        ("float16", True),
        ("int8", True),
    ],
)
def test_pieces_come_in_any_form(change, same):
    x = np.arange(24.0, dtype="f4").reshape(2, 12)
    raw = np.zeros(x.nbytes + 1, np.uint8)
    odd = raw[1:].view("f4").reshape(x.shape)
    odd[...] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    forms: dict[str, Any] = {
        "list": x.tolist(),
        "strided": np.repeat(x, 2, axis=1)[:, ::2],
        "fortran": np.asfortranarray(x),
        "big-endian": x.astype(">f4"),
        "misaligned": odd,
        "read-only": frozen,
        "float16": x.astype("f2"),
        "int8": x.astype("i1"),
    }
    stream = ck.StreamingConvolver(np.ones(3, "f4"), channels=2)
    expected = stream.copy().push(x)

    y = stream.push(forms[change])

    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, expected)


def test_out_is_written_to():
    stream = ck.StreamingConvolver(np.ones(3, "f4"), channels=2)
    x = np.arange(24.0, dtype="f4").reshape(2, 12)
    expected = stream.copy().push(x)
    out = np.empty((12, 2), "f4").T

    assert stream.copy().push(x, out=out) is out
    np.testing.assert_array_equal(out, expected)
    assert stream.push(x, out=x) is x
    np.testing.assert_array_equal(x, expected)


def test_results_are_of_the_callers_library():
    torch = pytest.importorskip("torch")
    stream = ck.StreamingConvolver(np.ones(2, "f4"))

    assert isinstance(stream.push(torch.ones(4)), torch.Tensor)


def test_repr_says_what_it_is():
    said = repr(ck.StreamingConvolver(np.ones(300, "f4"), axis=0, channels=2))

    assert re.match(r"<StreamingConvolver of \(300,\) taps on \(n, 2\) float32: \w+", said)


@pytest.mark.parametrize(
    ("keywords", "error", "said"),
    [
        ({"v": np.ones((2, 2, 2))}, ck.ShapeError, "v has shape (2, 2, 2): expected (taps,), or a"),
        ({"v": []}, ck.ShapeError, "v has shape (0,): expected (taps,)"),
        ({"v": 1.0}, ck.ShapeError, "v has shape (): expected (taps,)"),
        ({"v": ["a"]}, TypeError, "v has dtype <U1"),
        (
            {"v": np.ones((2, 5)), "channels": 3},
            ck.ShapeError,
            "2 filters with axis=-1, for channels=3",
        ),
        ({"axis": 1}, ck.ShapeError, "axis=1: pieces have 1 axes"),
        ({"axis": 2, "channels": 2}, ck.ShapeError, "axis=2: pieces have 2 axes"),
        ({"axis": 0.0}, TypeError, "axis=0.0: expected an int"),
        ({"axis": True}, TypeError, "axis=True: expected an int"),
        ({"block": 0}, ck.ShapeError, "block=0: expected a positive int"),
        ({"block": 64.0}, TypeError, "block=64.0: expected a positive int"),
        ({"channels": 0}, ck.ShapeError, "channels=0: expected a positive int"),
        ({"channels": "2"}, TypeError, "channels='2': expected a positive int"),
        ({"dtype": "float33"}, TypeError, "dtype='float33'"),
        ({"dtype": object}, TypeError, "x has dtype object"),
    ],
)
def test_bad_arguments_are_named(keywords, error, said):
    with pytest.raises(error, match=re.escape(said)):
        ck.StreamingConvolver(**{"v": np.ones(3), **keywords})


@pytest.mark.parametrize(
    ("x", "out", "error", "said"),
    [
        (np.ones(5), None, ck.ShapeError, "x has shape (5,); this stream takes (2, n)"),
        (np.ones((3, 5)), None, ck.ShapeError, "x has shape (3, 5); this stream takes (2, n)"),
        (1.0, None, ck.ShapeError, "x has shape (); this stream takes (2, n)"),
        (np.ones((2, 5)), None, TypeError, "x has dtype float64; this stream is of float32: cast"),
        (
            np.ones((2, 5), "c8"),
            None,
            TypeError,
            "x has dtype complex64; this stream is of float32",
        ),
        ([["a"], ["b"]], None, TypeError, "x has dtype <U1"),
        (np.ones((2, 5), "f4"), [1], TypeError, "out is a list: expected an array to write to"),
        (
            np.ones((2, 5), "f4"),
            np.ones((2, 4), "f4"),
            ck.ShapeError,
            "out has shape (2, 4) and dtype",
        ),
        (np.ones((2, 5), "f4"), np.ones((2, 5)), ck.ShapeError, "expected (2, 5) and float32"),
        (
            np.ones((2, 5), "f4"),
            np.broadcast_to(np.float32(0), (2, 5)),
            ValueError,
            "out is read-only",
        ),
    ],
)
def test_bad_pieces_are_refused_and_change_nothing(x, out, error, said):
    stream = ck.StreamingConvolver(np.ones(3, "f4"), channels=2)
    stream.push(np.ones((2, 1), "f4"))

    with pytest.raises(error, match=re.escape(said)):
        stream.push(x, out=out)

    assert stream.push(np.ones((2, 1), "f4")).tolist() == [[2.0], [2.0]]
