"""One strategy that draws problems of every option, and the arrays for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from convkit.dtypes import NAMES, Array, is_complex, is_integer, real_dtype, result_dtype
from convkit.problem import ConvProblem, dilated

MODES = [
    *("zeros", "reflect", "symmetric", "replicate", "circular"),
    *(("constant", 1.0), ("constant", -2.0)),
]
FLOAT_MODES = [*MODES, ("constant", 0.75)]
ACTIVATIONS = [
    *("relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "gelu", "hardswish"),
    *(("clip", -1.0, 2.5), ("clip", 0.0, float("inf")), ("leaky_relu", 0.2)),
]
# (dtype, weight_dtype, out_dtype): all that a caller can arrive at by default, and some by request.
DTYPES = [
    *((name, name, result_dtype(name, name)) for name in NAMES),
    *((x, w, result_dtype(x, w)) for x, w in [("uint8", "int8"), ("bool", "int16")]),
    *((x, w, result_dtype(x, w)) for x, w in [("int32", "uint8"), ("uint64", "uint8")]),
    *[("uint8", "float32", "uint8"), ("int16", "float64", "int16"), ("int8", "int8", "int8")],
    *[("uint8", "uint8", "uint16"), ("int16", "int16", "float32"), ("float32", "float32", "int8")],
    *[("float32", "float32", "float64"), ("float32", "float32", "float16")],
    *[("float32", "float32", "bfloat16"), ("complex64", "complex64", "complex128")],
]
# Larger than any extent drawn here: one output, or taps that never meet.
HUGE = 2**40


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    ranks: list[int] | None = None,
    dtypes: list[tuple[str, str, str]] | None = None,
    accuracies: list[str] | None = None,
    nan_policies: list[str] | None = None,
    structures: list[str] | None = None,
    is_single: bool = False,
    is_stepless: bool = False,
    taps: int | None = None,
) -> ConvProblem:
    """Draw a valid forward problem; the arguments restrict what an option may be.

    `is_single`: one channel per group. `is_stepless`: no stride and no input dilation. `taps`: the
    kernel size of every axis, without dilation.
    """
    rank = draw(st.sampled_from(ranks or [1, 2, 2, 3]))
    dtype, weight_dtype, out_dtype = draw(st.sampled_from(dtypes or DTYPES))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels = st.sampled_from([1, 1, 2, 2, 3, 3, 4, 5, 7, 8, 9, 16, 17, 33, 0])
    axes = [
        draw(_axes(rank, is_last=axis == rank - 1, is_stepless=is_stepless, taps=taps))
        for axis in range(rank)
    ]
    modes = st.sampled_from(MODES if is_integer(dtype) else FLOAT_MODES)
    signed = dtype not in ("bool", "uint8", "uint16", "uint32", "uint64")
    modes = modes.filter(lambda mode: signed or mode[1] != -2.0)
    activation = None
    if not is_complex(out_dtype) and draw(st.booleans()):
        activation = draw(st.sampled_from(ACTIVATIONS))
    # Images and signals, which have kernels of their own: one channel.
    is_image = draw(st.integers(0, 2)) == 0
    groups = 1 if is_image else groups
    layouts = ["channels_first", "channels_first", "batch_last" if is_image else "channels_last"]
    known = structures or ["dense", "separable", "box"]
    if not is_image or is_complex(dtype):
        known = [name for name in known if name == "dense"] or known
    is_single = is_single or is_image
    is_depthwise = not is_single and draw(st.integers(0, 3)) == 0
    if is_depthwise:
        groups = draw(st.sampled_from([4, 8, 15, 16, 17, 33]))
    multipliers = st.sampled_from([1, 1, 2] if is_depthwise else [1])
    return ConvProblem(
        op="forward",
        batch=draw(st.sampled_from([1, 1, 1, 2, 2, 3, 5, 0, 20])),
        groups=groups,
        in_channels=groups * (1 if is_single or is_depthwise else draw(channels)),
        out_channels=groups * draw(multipliers if is_single or is_depthwise else channels),
        in_size=tuple(axis["size"] for axis in axes),
        kernel_size=tuple(axis["kernel"] for axis in axes),
        stride=tuple(axis["stride"] for axis in axes),
        dilation=tuple(axis["dilation"] for axis in axes),
        input_dilation=tuple(axis["input_dilation"] for axis in axes),
        padding=tuple(axis["padding"] for axis in axes),
        dtype=dtype,
        weight_dtype=weight_dtype,
        out_dtype=out_dtype,
        boundary=tuple(draw(modes) if _may_repeat(axis) else "zeros" for axis in axes),
        activation=activation,
        layout=draw(st.sampled_from(layouts)),
        structure=draw(st.sampled_from(known)),
        accuracy=draw(st.sampled_from(accuracies or ["default", "strict", "fast"])),
        nan_policy="propagate"
        if is_integer(dtype)
        else draw(st.sampled_from(nan_policies or ["propagate", "propagate", "omit"])),
    )


def _may_repeat(axis: dict[str, Any]) -> bool:
    return axis["size"] > 0 and sum(axis["padding"]) > 0


@st.composite
def _axes(
    draw: st.DrawFn, rank: int, *, is_last: bool, is_stepless: bool, taps: int | None
) -> dict[str, Any]:
    """Draw what belongs to one axis; small, since ranks multiply, but for the last one."""
    longest = {1: 150, 2: 40, 3: 20}[rank] if is_last else {1: 150, 2: 12, 3: 6}[rank]
    size = draw(st.integers(0, longest))
    kernel = taps or draw(st.sampled_from([1, 1, 2, 3, 3, 4, 5, 7] + [11, 40] * (rank == 1)))
    dilation = 1 if taps else draw(st.sampled_from([1, 1, 1, 2, 3]))
    if kernel == 1 and draw(st.booleans()):
        dilation = draw(st.sampled_from([1, HUGE]))
    stride = 1 if is_stepless else draw(st.sampled_from([1, 1, 1, 2, 3, 5, HUGE]))
    input_dilation = 1 if is_stepless else draw(st.sampled_from([1, 1, 1, 1, 2, 3]))
    if size == 1 and not is_stepless and draw(st.booleans()):
        input_dilation = HUGE
    pads = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 2 * size + 3])
    before, after = draw(pads), draw(pads)
    missing = dilated(kernel, dilation) - dilated(size, input_dilation) - before - after
    return {
        "size": size,
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "input_dilation": input_dilation,
        "padding": (before, after + max(0, missing)),
    }


@dataclass(frozen=True)
class Arrays:
    """The arrays of one call, in the shapes that the caller of `Form.of(problem)` sees."""

    x: Array
    w: Array
    bias: Array | None
    residual: Array | None


def arrays_of(problem: ConvProblem, seed: int) -> Arrays:
    """Make arrays for `problem`; what is in them, and how they lie in memory, is up to `seed`."""
    from convkit.arguments import Form

    rng = np.random.default_rng(seed)
    form = Form.of(problem)
    x = numbers(rng, form.x_shape, problem.dtype)
    if not is_integer(problem.dtype) and rng.random() < 0.3:
        where = rng.random(x.shape) < 0.03
        x[where] = rng.choice([np.nan, np.inf, -np.inf], where.sum())
    w = weights(rng, problem, form.w_shape)
    bias, residual = (
        numbers(rng, shape, problem.bias_dtype) if rng.random() < 0.5 else None
        for shape in [(problem.out_channels,), form.y_shape]
    )
    return Arrays(strided(rng, x), w, bias, None if residual is None else strided(rng, residual))


def weights(rng: np.random.Generator, problem: ConvProblem, shape: tuple[int, ...]) -> Array:
    """Draw weights of the problem's structure."""
    dtype = problem.weight_dtype
    if problem.structure == "dense":
        return numbers(rng, shape, dtype)
    if problem.structure == "box":
        return np.broadcast_to(numbers(rng, (1,), dtype), shape).copy()
    whole = rng.random() < 0.5 or is_integer(dtype)
    w = np.ones(shape)
    for axis, size in enumerate(problem.kernel_size, start=2):
        factor = rng.integers(0, 3, size) if whole else rng.standard_normal(size)
        w = w * factor.reshape(size, *(1,) * (w.ndim - axis - 1))
    return w.astype(real_dtype(dtype))


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    """Draw values of a dtype: small integers, normal ones, or (floats) of many magnitudes."""
    kind = rng.integers(3)
    if is_integer(dtype):
        # Wide ones stay small enough for no sum to pass 64 bits.
        low, high = (0, 2) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        bound = 2**24 if kind else 3
        return rng.integers(max(low, -bound), min(high, bound) + 1, shape).astype(dtype)
    values = rng.integers(-3, 4, shape) * 1.0 if kind == 0 else rng.standard_normal(shape)
    if kind == 2 and dtype != "float16":
        values = values * 10.0 ** rng.integers(-6, 7, shape)
    if is_complex(dtype):
        values = values + 1j * rng.standard_normal(shape)
    return values.astype(real_dtype(dtype))


def strided(rng: np.random.Generator, array: Array) -> Array:
    """Return an equal array, in half of the cases with strides that nobody asked for."""
    if rng.random() < 0.5:
        return array
    steps = [int(rng.choice([1, 1, 2, -1])) for _ in array.shape]
    order = rng.permutation(array.ndim)
    wide = np.zeros([abs(steps[i]) * array.shape[i] for i in order], array.dtype)
    view = wide.transpose(np.argsort(order))[tuple(slice(None, None, s) for s in steps)]
    view[...] = array
    return view
