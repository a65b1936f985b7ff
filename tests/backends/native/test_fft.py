"""Transforms mix all elements of a block: what must not mix is looked at here."""

from __future__ import annotations

import numpy as np
import pytest

import convkit as ck

pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # Inf - Inf

DTYPES = ["float32", "float64", "complex64", "complex128"]


def by_sums(x, w):
    """Return the correlation of x and w, tap after tap."""
    n = len(x) - len(w) + 1
    y = np.zeros(n, x.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for k, tap in enumerate(w):
            y += x[k : k + n] * tap
    return y


def by_fft(x, w, **keywords):
    return ck.conv1d(x, w, algorithm="fft", backend="native", **keywords)


def drawn(dtype, *sizes):
    rng = np.random.default_rng(sizes)
    parts = [rng.standard_normal((2, size)) for size in sizes]
    return [(p[0] + 1j * p[1] if dtype[0] == "c" else p[0]).astype(dtype) for p in parts]


def parts(y):
    return np.stack([y.real, y.imag])


def assert_equal(got, right, scale):
    """The same NaN and Inf, else close beside `scale`."""
    got, right = parts(got), parts(right)
    for kind in (np.isnan, np.isposinf, np.isneginf):
        np.testing.assert_array_equal(kind(got), kind(right), kind.__name__)
    finite = np.isfinite(right)
    # Of transforms of these sizes, beside the 2-norms: a generous constant, far from any mistake.
    allowed = 50 * np.finfo(got.dtype).eps * scale
    assert np.abs(got[finite] - right[finite]).max(initial=0) <= allowed


def norms(x, w):
    with np.errstate(over="ignore"):
        x, w = (np.where(np.isfinite(a), a, 0) for a in (x, w))
        return float(np.linalg.norm(np.abs(x)) * np.linalg.norm(np.abs(w)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 4321, 9999])
def test_bad_input_reaches_the_outputs_of_its_taps_and_no_others(dtype, bad, at):
    x, w = drawn(dtype, 10000, 100)
    w[7] = 0  # Inf * 0 is NaN
    x[at] = bad

    assert_equal(by_fft(x, w), by_sums(x, w), norms(x, w))


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_bad_inputs_stay_where_they_are(dtype):
    x, w = drawn(dtype, 5000, 70)
    x[1000:3000:3] = np.nan
    x[3500:3510] = np.inf
    x[3520] = -np.inf

    assert_equal(by_fft(x, w), by_sums(x, w), norms(x, w))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_weights_make_what_direct_sums_make(dtype, bad):
    x, w = drawn(dtype, 3000, 60)
    x[1500] = 0
    w[30] = bad

    assert_equal(by_fft(x, w), by_sums(x, w), norms(x, w))


@pytest.mark.parametrize("dtype", DTYPES[:2])
def test_sums_that_only_a_transform_overflows_are_right(dtype):
    x, w = drawn(dtype, 3000, 64)
    x = np.sign(x.real) * np.finfo(dtype).max / 4
    w[:] = 0
    w[::16] = [1, -0.5, 0.25, 0.25]

    y = by_fft(x, w)

    assert np.isfinite(y).all()
    np.testing.assert_allclose(y, by_sums(x, w), rtol=8 * np.finfo(dtype).eps)


def test_tiny_weights_keep_their_digits():
    x, w = drawn("float32", 3000, 64)
    w *= np.float32(1e-34)

    right = by_sums(x.astype(float), w.astype(float))

    # The outputs themselves are far above the smallest normal number.
    assert np.abs(by_fft(x, w) - right).max() <= 1e-5 * np.abs(right).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("taps", [1, 2, 63, 500, 3000])
@pytest.mark.parametrize("outputs", [1, 31, 1000, 4097, 9000])
def test_blocks_meet_without_a_seam(dtype, taps, outputs):
    x, w = drawn(dtype, outputs + taps - 1, taps)

    assert_equal(by_fft(x, w), by_sums(x, w), norms(x, w))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("sizes", [(1000, 1000), (1500, 1300), (300, 1000), (9000, 8000)])
def test_one_block_takes_no_more_than_what_is_not_zero(dtype, mode, sizes):
    x, w = drawn(dtype, *sizes)

    y = ck.convolve(x, w, mode, algorithm="fft", backend="native")

    assert_equal(y, np.convolve(x, w, mode) if mode != "same" else same(x, w), norms(x, w))


def same(x, w):
    """Return the centre of the full convolution, of the size of x."""
    first = (len(w) - 1) // 2
    return np.convolve(x, w)[first : first + len(x)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "mode", ["reflect", "symmetric", "replicate", "circular", ("constant", 2.0)]
)
def test_every_padding_mode(dtype, mode):
    x, w = drawn(dtype, 900, 81)
    name = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    extra = {"constant_values": mode[1]} if isinstance(mode, tuple) else {}
    padded = np.pad(x, (40, 33), "constant" if extra else name, **extra)

    y = by_fft(x, w, padding=[(40, 33)], padding_mode=mode)

    assert_equal(y, by_sums(padded, w), norms(padded, w))


@pytest.mark.parametrize("dtype", DTYPES)
def test_strided_and_dilated(dtype):
    x, w = drawn(dtype, 9000, 60)
    spread = np.zeros(3 * 59 + 1, dtype)
    spread[::3] = w

    out = np.empty(2 * (4500 - 177), dtype)[::2]
    by_fft(x[::-2], w, dilation=3, out=out)

    assert_equal(out, by_sums(x[::-2], spread), norms(x, w))


def test_memory_is_a_block_and_not_a_signal():
    problem = ck.ConvProblem.parse("conv1d n1 c1 o1 i10000000 k65537 float32")

    plan = ck.plan_conv1d((10_000_000,), np.ones(65537, "f4"), algorithm="fft", backend="native")

    assert plan.problem.kernel_size == problem.kernel_size
    with ck.threads(1):
        assert plan.workspace_bytes <= 1 << 20


# --- layers, whose spectra are summed over channels ---------------------------------------------


def layer_by_sums(x, w, bias=0.0):
    """Return the correlation of x (batch, channels, size) and w (filters, channels, taps)."""
    n = x.shape[-1] - w.shape[-1] + 1
    y = np.zeros((len(x), len(w), n), x.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        for c in range(x.shape[1]):
            for k in range(w.shape[-1]):
                y += x[:, None, c, k : k + n] * w[:, c, k, None]
        return y + np.asarray(bias, x.dtype).reshape(-1, 1)


def layer(dtype, batch=2, channels=5, filters=6, size=3000, taps=70):
    rng = np.random.default_rng([channels, filters, size, taps])
    x = rng.standard_normal((batch, channels, size)).astype(dtype)
    return x, rng.standard_normal((filters, channels, taps)).astype(dtype)


# As many outputs and blocks as tiles have, one more, one less; more channels than a chunk.
@pytest.mark.parametrize("dtype", DTYPES[:2])
@pytest.mark.parametrize(
    ("batch", "channels", "filters"), [(1, 1, 5), (3, 33, 4), (2, 70, 9), (5, 7, 1)]
)
@pytest.mark.parametrize(("size", "taps"), [(40, 40), (1000, 1), (1500, 300), (9000, 64)])
def test_channels_are_summed(dtype, batch, channels, filters, size, taps):
    x, w = layer(dtype, batch, channels, filters, size, taps)
    bias = np.arange(filters, dtype=dtype)

    y = by_fft(x, w, bias=bias)

    assert_equal(y, layer_by_sums(x, w, bias), norms(x[0], w[0]) + filters)


@pytest.mark.parametrize("dtype", DTYPES[:2])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("at", [0, 1234, 2999])
def test_bad_input_of_a_channel_stays_where_it_is(dtype, bad, at):
    x, w = layer(dtype)
    w[2, 3, 7] = 0  # Inf * 0 is NaN
    x[1, 3, at] = bad
    x[1, 4, at // 2] = bad

    assert_equal(by_fft(x, w), layer_by_sums(x, w), norms(x, w[:2]))


@pytest.mark.parametrize("dtype", DTYPES[:2])
def test_many_bad_inputs_of_a_channel_stay_where_they_are(dtype):
    x, w = layer(dtype)
    x[0, 1, 1000:1500:3] = np.nan
    x[1, 2, :20] = -np.inf

    assert_equal(by_fft(x, w), layer_by_sums(x, w), norms(x, w[:2]))


@pytest.mark.parametrize("dtype", DTYPES[:2])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_weights_spoil_one_filter(dtype, bad):
    x, w = layer(dtype)
    x[0, 4, 1500] = 0
    w[3, 4, 30] = bad

    assert_equal(by_fft(x, w), layer_by_sums(x, w), norms(x, w[:2]))


@pytest.mark.parametrize("dtype", DTYPES[:2])
def test_sums_over_channels_that_only_a_transform_overflows_are_right(dtype):
    x, w = layer(dtype)
    x = np.sign(x) * np.finfo(dtype).max / 16
    w[:] = 0
    w[..., ::16] = [1, -0.5, 0.25, 0.25, -1]
    right = layer_by_sums(x / 2**20, w) * np.asarray(2**20, dtype)

    y = by_fft(x, w)

    assert np.isfinite(right).all()
    assert np.abs(y - right).max() <= 32 * np.finfo(dtype).eps * np.abs(x).max()


def test_tiny_weights_of_one_filter_keep_their_digits():
    x, w = layer("float32")
    w[1] *= np.float32(1e-34)
    w[2] = 0

    y, right = by_fft(x, w), layer_by_sums(x.astype(float), w.astype(float))

    assert np.abs(y[:, 1] - right[:, 1]).max() <= 1e-5 * np.abs(right[:, 1]).max()
    assert (y[:, 2] == 0).all()


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_layers_of_groups_pads_and_both_layouts(layout):
    x, w = layer("float64", channels=6, filters=8)
    w = w[:, :3]
    padded = np.pad(x, ((0, 0), (0, 0), (138, 5)), "edge")
    spread = np.zeros((8, 3, 139))
    spread[..., ::2] = w
    halves = [
        layer_by_sums(padded[:, 3 * g : 3 * g + 3], spread[4 * g : 4 * g + 4]) for g in (0, 1)
    ]
    last = layout == "channels_last"

    y = by_fft(
        np.moveaxis(x, 1, -1) if last else x,
        w,
        layout=layout,
        groups=2,
        dilation=2,
        padding=[(138, 5)],
        padding_mode="replicate",
    )

    y = np.moveaxis(y, -1, 1) if last else y
    assert_equal(y, np.concatenate(halves, 1), norms(x, w))


def test_a_layer_has_the_same_bits_on_any_number_of_threads():
    x, w = layer("float32", channels=40, filters=40, size=20000, taps=200)
    plan = ck.plan_conv1d(x.shape, w, algorithm="fft", backend="native")

    with ck.threads(1):
        one = plan(x)
    with ck.threads(2):
        np.testing.assert_array_equal(plan(x), one)


def test_memory_of_a_layer_does_not_grow_with_its_signals():
    fft = next(a for a in ck.registry.algorithms("native") if a.name == "fft")
    needs = [
        fft.workspace_bytes(ck.ConvProblem.parse(f"conv1d n{n} c64 o64 i100000 k1024 float32"))
        for n in (1, 8, 64)
    ]

    assert max(needs) <= 48 << 20, needs
