"""Direct convolution on the kernels csrc/kernels/conv_direct_*.c."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from convkit import activations, boundary
from convkit.algorithm import Algorithm, Array
from convkit.backends.native import ffi, isa, isas, kernel_names, kernels, lib, raise_code
from convkit.dtypes import is_integer, promoted, real_dtype
from convkit.problem import ConvProblem, Mode

ITEM_SIZE = {"float32": 4, "float64": 8}
ACTIVATIONS = {
    None: "CK_NONE",
    "leaky_relu": "CK_LEAKY_RELU",
    "sigmoid": "CK_SIGMOID",
    "tanh": "CK_TANH",
    "silu": "CK_SILU",
    "gelu": "CK_GELU",
    "hardswish": "CK_HARDSWISH",
}
CLIPS = {"relu": (0.0, np.inf), "relu6": (0.0, 6.0)}


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A planned descriptor, the kernel it is for, its packed weights."""

    conv: Any
    kernel: Any
    packed: Array | None
    strides: tuple[tuple[int, ...], ...]
    keep: tuple[Any, ...]

    @property
    def isa(self) -> str:
        """The instruction set of the kernel."""
        return str(ffi.string(self.kernel.isa).decode())


class NativeDirect(Algorithm):
    """Register tiles of channels, pixels or rows; the kernel is the one of least cost.

    Bands of the input are copied, never all of it, and padding, strides and layouts are
    resolved while they are.
    """

    name = "direct"
    backend = "native"

    def why_not(self, problem: ConvProblem) -> str | None:
        """Take forward problems whose sums float32 or float64 can hold."""
        if problem.op != "forward":
            return f"op is {problem.op}, kernels exist for forward"
        if problem.nan_policy != "propagate":
            return f"nan_policy is {problem.nan_policy}, kernels exist for propagate"
        if _inner_dtype(problem) is None:
            return (
                f"dtype is {problem.dtype}, of weights {problem.weight_dtype}: kernels exist for "
                "float32 and float64, and for what is exact in these"
            )
        return None

    def cost(self, problem: ConvProblem) -> float:
        """Return the least estimate of the kernels that take the problem, and the casts."""
        seconds = float(_decide(_inner(problem), isa(), None).conv.seconds)
        return seconds + 1e-9 * _cast_elements(problem)

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """Scratch of every thread that takes part, and what is cast."""
        inner = _inner(problem)
        scratch = int(lib.ck_conv_workspace(_decide(inner, isa(), None).conv))
        return scratch + ITEM_SIZE[inner.dtype] * _cast_elements(problem)

    def isas(self) -> tuple[str, ...]:
        """Return the instruction sets `prepare` can be asked for."""
        return isas()

    def kernel_why_not(self, problem: ConvProblem, kernel: str, isa: str) -> str | None:
        """Return why the kernel of that name does not take `problem`, or None if it does."""
        reason = self.why_not(problem)
        if reason is not None:
            return reason
        row, inner = kernels(kernel)[isa], _inner(problem)
        if row.item_size != ITEM_SIZE[inner.dtype]:
            return f"its elements have {row.item_size} bytes"
        conv, _ = _descriptor(inner, *_default_strides(inner))
        said = row.why_not(conv)
        return None if said == ffi.NULL else ffi.string(said).decode()

    def prepare(
        self,
        problem: ConvProblem,
        weights: Array,
        isa: str | None = None,
        kernel: str | None = None,
    ) -> Prepared:
        """Choose the kernel and pack the weights for it."""
        inner = _inner(problem)
        decision = _decide(inner, isa or _isa(), kernel)
        packed = _aligned(decision.kernel.packed_bytes(decision.conv))
        w = np.ascontiguousarray(weights, dtype=inner.dtype)
        lib.ck_conv_pack(
            decision.conv, decision.kernel, ffi.from_buffer(w), ffi.from_buffer(packed)
        )
        return replace(decision, packed=packed)

    def run(
        self,
        problem: ConvProblem,
        prepared: Prepared,
        x: Array,
        bias: Array | None,
        residual: Array | None,
        out: Array,
    ) -> None:
        """Run the kernel on arrays of any strides; cast first what it does not take."""
        inner = _cast(problem)
        if inner is None:
            _run(problem, prepared, x, bias, residual, out)
            return
        sums = np.empty(out.shape, inner.dtype)
        _run(inner, prepared, x.astype(inner.dtype), None, None, sums)
        activations.finish(problem, sums, bias, residual, out)

    def quick(
        self, problem: ConvProblem, prepared: Prepared, bias: Array | None = None
    ) -> Callable[[Array, Array], int] | None:
        """Run on contiguous arrays, with the plan's own descriptor."""
        if _cast(problem):
            return None
        run, pointer, chars = lib.ck_quick_run, ffi.from_buffer, _CHARS
        quick_run = _quick(prepared, bias)

        def quick(x: Array, out: Array) -> int:
            try:
                code = run(quick_run, pointer(x), pointer(chars, out, True))
            except (ValueError, BufferError):  # not contiguous, or out not writeable
                return 1
            return code and _unless_canceled(code)

        return quick

    def quick_call(
        self, problem: ConvProblem
    ) -> Callable[[Array, Array, Array | None, Array], int] | None:
        """Pack the weights and run, on contiguous arrays."""
        if _cast(problem):
            return None
        call, pointer, null = lib.ck_quick_call, ffi.from_buffer, ffi.NULL
        quick_run = _quick(_decide(problem, isa(), None), None)

        def quick_call(x: Array, w: Array, bias: Array | None, out: Array) -> int:
            try:
                added = null if bias is None else pointer(bias)
                code = call(quick_run, pointer(x), pointer(w), added, pointer(out))
            except (ValueError, BufferError):
                return 1
            return code and _unless_canceled(code)

        return quick_call


def _unless_canceled(code: int) -> int:
    """Return `code`, for the general path to raise; a canceled call must not start again there."""
    if code == lib.CK_ECANCELED:
        raise_code(code)
    return code


_CHARS = ffi.typeof("char[]")
_alive: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def _quick(prepared: Prepared, bias: Array | None) -> Any:
    """Return the C struct of a quick call, which keeps alive what it points to."""
    arrays = {"weights": prepared.packed, "bias": bias}
    pointers = {k: ffi.from_buffer(a) for k, a in arrays.items() if a is not None}
    quick = ffi.new("ck_quick *", {"conv": prepared.conv, "kernel": prepared.kernel, **pointers})
    _alive[quick] = (prepared, pointers)
    return quick


_isa = isa  # `prepare` has a parameter of that name


def _run(
    problem: ConvProblem,
    prepared: Prepared,
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
) -> None:
    """Run the kernel on arrays of its own dtype."""
    strides = (x.strides, out.strides, out.strides if residual is None else residual.strides)
    conv, keep = prepared.conv, prepared.keep
    if strides != prepared.strides:
        conv, keep = _descriptor(problem, *strides)
        _plan(conv, prepared.kernel)
    bias = None if bias is None else np.ascontiguousarray(bias)
    arrays = (x, prepared.packed, bias, residual, out)
    code = lib.ck_conv_run(conv, prepared.kernel, *map(_pointer, arrays))
    del keep, arrays  # alive until here
    if code:
        raise_code(code, lib.ck_conv_workspace(conv))


def _inner_dtype(problem: ConvProblem) -> str | None:
    """Return the kernels' dtype that holds the sums of `problem`: of integers exactly."""
    x, w = problem.dtype, problem.weight_dtype
    if is_integer(x) and is_integer(w):
        largest = problem.reduction * _magnitude(x) * _magnitude(w)
        return "float32" if largest <= 2**24 else "float64" if largest <= 2**53 else None
    common = promoted(x, w)
    common = {"float16": "float32", "bfloat16": "float32"}.get(common, common)
    return common if common in ITEM_SIZE else None


def _magnitude(dtype: str) -> int:
    if dtype == "bool":
        return 1
    bounds = np.iinfo(dtype)
    return max(int(bounds.max), -int(bounds.min))


@lru_cache(maxsize=4096)
def _cast(problem: ConvProblem) -> ConvProblem | None:
    """Return the sums of `problem` in a dtype of the kernels, or None if that is its own."""
    dtype = _inner_dtype(problem)
    assert dtype is not None, f"no kernel takes {problem}"
    if {problem.dtype, problem.weight_dtype, problem.out_dtype} == {dtype}:
        return None
    own = real_dtype(problem.dtype)
    modes: tuple[Mode, ...] = tuple(
        ("constant", float(np.asarray(mode[1]).astype(own))) if isinstance(mode, tuple) else mode
        for mode in problem.boundary
    )
    return replace(
        problem,
        dtype=dtype,
        weight_dtype=dtype,
        out_dtype=dtype,
        boundary=modes,
        activation=None,
    )


def _inner(problem: ConvProblem) -> ConvProblem:
    """Return what the kernels compute: `problem` itself, or its sums in a dtype of theirs."""
    return _cast(problem) or problem


def _cast_elements(problem: ConvProblem) -> int:
    """Count the elements of x and of the sums that are cast."""
    if _cast(problem) is None:
        return 0
    x = problem.batch * problem.in_channels * prod(problem.in_size)
    return x + problem.batch * problem.out_channels * prod(problem.out_size)


@lru_cache(maxsize=4096)
def _decide(problem: ConvProblem, isa: str, kernel: str | None) -> Prepared:
    """Plan `problem` for its contiguous arrays on the kernel of least cost."""
    strides = _default_strides(problem)
    conv, keep = _descriptor(problem, *strides)
    best: Prepared | None = None
    for name in (kernel,) if kernel else _direct_kernels(problem.dtype):
        row = kernels(name)[isa]
        if row.why_not(conv) != ffi.NULL:
            continue
        planned = ffi.new("ck_conv *", conv[0])
        _plan(planned, row)
        if best is None or planned.seconds < best.conv.seconds:
            best = Prepared(planned, row, None, strides, keep)
    assert best is not None, f"no kernel takes {problem}"
    return best


def _direct_kernels(dtype: str) -> tuple[str, ...]:
    """Return the names of the kernels of this algorithm and dtype."""
    suffix = f"_f{8 * ITEM_SIZE[dtype]}"
    return tuple(n for n in kernel_names() if n.startswith("conv_direct_") and n.endswith(suffix))


def _plan(conv: Any, kernel: Any) -> None:
    code = lib.ck_conv_plan(conv, kernel)
    if code:
        raise_code(code)


@lru_cache(maxsize=1)
def _cores() -> int:
    """Return how many threads may come to share the work: block sizes follow, bits do not."""
    if hasattr(os, "sched_getaffinity"):
        return max(lib.convkit_get_num_threads(), len(os.sched_getaffinity(0)))
    return max(lib.convkit_get_num_threads(), os.cpu_count() or 1)


def _default_strides(problem: ConvProblem) -> tuple[tuple[int, ...], ...]:
    """Return the strides (bytes) of contiguous x, y and residual as (batch, channels, *size)."""
    size = ITEM_SIZE[problem.dtype]

    def strides(channels: int, sizes: tuple[int, ...]) -> tuple[int, ...]:
        shape = (problem.batch, channels, *sizes)
        last = problem.layout == "channels_last"
        if last:
            shape = (problem.batch, *sizes, channels)
        steps = [size * prod(map(_at_least_one, shape[i + 1 :])) for i in range(len(shape))]
        return (steps[0], steps[-1], *steps[1:-1]) if last else tuple(steps)

    y = strides(problem.out_channels, problem.out_size)
    return strides(problem.in_channels, problem.in_size), y, y


def _at_least_one(size: int) -> int:
    return max(1, size)


def _descriptor(
    problem: ConvProblem,
    x_strides: Sequence[int],
    y_strides: Sequence[int],
    r_strides: Sequence[int],
) -> tuple[Any, tuple[Any, ...]]:
    """Return the C struct of `problem` on arrays of these strides (bytes), and what it holds."""
    size = ITEM_SIZE[problem.dtype]
    x, y, r = ([s // size for s in strides] for strides in (x_strides, y_strides, r_strides))
    axes, keep = [], []
    for i in range(problem.rank):
        before, after = problem.padding[i]
        mode = problem.boundary[i]
        edges: Any = ffi.NULL
        if before + after and not boundary.is_constant(mode):
            edges = _edges(problem.dilated_size[i], before, after, mode, problem.input_dilation[i])
            keep.append(edges)
        axes.append(
            {
                "in_size": problem.in_size[i],
                "in_dilation": problem.input_dilation[i],
                "pad_before": before,
                "pad_after": after,
                "kernel_size": problem.kernel_size[i],
                "stride": problem.stride[i],
                "dilation": problem.dilation[i],
                "out_size": problem.out_size[i],
                "x_stride": x[2 + i],
                "y_stride": y[2 + i],
                "residual_stride": r[2 + i],
                "pad_value": boundary.pad_value(mode),
                "edges": edges,
            }
        )
    axes = _merge(axes)
    missing = [_trivial_axis()] * (3 - len(axes))
    name, low, high = _activation(problem)
    conv = ffi.new(
        "ck_conv *",
        {
            "batch": problem.batch,
            "groups": problem.groups,
            "in_channels": problem.in_channels,
            "out_channels": problem.out_channels,
            "axis": [*missing, *axes],
            "x_batch_stride": x[0],
            "x_channel_stride": x[1],
            "y_batch_stride": y[0],
            "y_channel_stride": y[1],
            "residual_batch_stride": r[0],
            "residual_channel_stride": r[1],
            "item_size": size,
            "threads": _cores(),
            "activation": getattr(lib, name),
            "activation_low": low,
            "activation_high": high,
        },
    )
    return conv, tuple(keep)


def _edges(spread: int, before: int, after: int, mode: Any, dilation: int) -> Any:
    """Return the sources of the padded elements of a dilated axis, as a C array."""
    sources = boundary.edges(spread, before, after, mode)
    if dilation > 1:
        sources = np.where(sources % dilation, lib.CK_ZERO, sources // dilation)
    return ffi.new("int64_t[]", sources.tolist())


def _trivial_axis() -> dict[str, Any]:
    ones = ("in_size", "in_dilation", "kernel_size", "stride", "dilation", "out_size")
    return dict.fromkeys(ones, 1)


def _merge(axes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join neighbouring axes that nothing happens on into one: a 1x1 layer is one long row."""
    merged = axes[:1]
    for axis in axes[1:]:
        above = merged[-1]
        rows = axis["in_size"]
        joinable = all(map(_untouched, (above, axis))) and all(
            above[s] == axis[s] * rows for s in ("x_stride", "y_stride", "residual_stride")
        )
        if not joinable:
            merged.append(axis)
            continue
        merged[-1] = {
            **axis,
            "in_size": above["in_size"] * rows,
            "out_size": above["in_size"] * rows,
        }
    return merged


def _untouched(axis: dict[str, Any]) -> bool:
    steps = (axis["in_dilation"], axis["kernel_size"], axis["stride"])
    return steps == (1, 1, 1) and not axis["pad_before"] and not axis["pad_after"]


def _activation(problem: ConvProblem) -> tuple[str, float, float]:
    """Return the C name of the activation and its two parameters."""
    given = problem.activation
    if isinstance(given, tuple):
        if given[0] == "clip":
            return "CK_CLIP", float(given[1]), float(given[2])
        return "CK_LEAKY_RELU", float(given[1]), 0.0
    if given in CLIPS:
        return "CK_CLIP", *CLIPS[given]
    return ACTIVATIONS[given], 0.01, 0.0


def _pointer(array: Array | None) -> Any:
    """Return the address of element 0, whatever the strides."""
    if array is None:
        return ffi.NULL
    if array.flags.c_contiguous:
        return ffi.from_buffer(array)
    return ffi.cast("void *", array.__array_interface__["data"][0])


def _aligned(nbytes: int) -> Array:
    """Return that many bytes on a cache line of their own."""
    block = np.empty(nbytes + 64, np.uint8)
    start = -block.__array_interface__["data"][0] % 64
    return block[start : start + nbytes]


ALGORITHM = NativeDirect()
