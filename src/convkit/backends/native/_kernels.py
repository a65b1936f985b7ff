"""What the algorithms of this backend share: each is a family of the kernels in csrc/kernels/.

From a problem to the descriptor of csrc/abi.h, to the kernel of least cost, its packed weights and
the call. Element types that no kernel of the family takes are cast to one that holds the sums, of
integers exactly.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from convkit import activations, boundary
from convkit.algorithm import Algorithm, Array, WForm
from convkit.backends.native import (
    bind,
    ffi,
    isa,
    isas,
    kernel_names,
    kernels,
    lib,
    raise_code,
    text,
)
from convkit.dtypes import is_integer, promoted, real_dtype, result_dtype, unit_roundoff
from convkit.problem import ConvProblem, Mode

TYPES = {
    "float32": lib.CK_F32,
    "float64": lib.CK_F64,
    "complex64": lib.CK_C64,
    "complex128": lib.CK_C128,
    "uint8": lib.CK_U8,
    "int8": lib.CK_I8,
    "uint16": lib.CK_U16,
    "int16": lib.CK_I16,
    "int32": lib.CK_I32,
}
STRUCTURES = {"dense": lib.CK_DENSE, "separable": lib.CK_SEPARABLE, "box": lib.CK_BOX}
FORMS = {"as is": lib.CK_AS_IS, "flipped": lib.CK_FLIPPED, "conjugated": lib.CK_CONJUGATED}
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
# Descriptors have so many axes.
MAX_RANK = 3
# Images of up to so many interleaved channels are one wide image whose taps stand that far apart;
# of more, the channels are an axis of their own, which fills whole vectors then.
MOST_INTERLEAVED = 16
# Kernels whose packed weights fit a descriptor with any strides, not only the one they were
# packed with.
PACK_FOR_ANY_STRIDES = (
    *("conv_direct_channels", "conv_direct_depthwise", "conv_direct_pixels", "conv_direct_single"),
)


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
        return text(self.kernel.isa)


class Kernels(Algorithm):
    """An algorithm made of the kernels conv_<name>_*; of those that take a problem the cheapest."""

    backend = "native"

    def why_not(self, problem: ConvProblem) -> str | None:
        """Take forward problems in, or exact in, types that kernels of the family have."""
        if problem.op != "forward":
            return f"op is {problem.op}, kernels exist for forward"
        if problem.nan_policy != "propagate":
            return f"nan_policy is {problem.nan_policy}, kernels exist for propagate"
        if problem.rank > MAX_RANK:
            return f"it has {problem.rank} convolved axes, kernels exist for {MAX_RANK}"
        if inner_problem(problem, self.name) is not None:
            return None
        return _refusal(problem, self.name)

    def cost(self, problem: ConvProblem) -> float:
        """Return the least estimate of the kernels that take the problem, and the casts."""
        seconds = float(self._decide(problem).conv.seconds)
        return seconds + 1e-9 * self._cast_elements(problem)

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """Scratch of every thread that takes part, and what is cast."""
        scratch = int(lib.ck_conv_workspace(self._decide(problem).conv))
        return scratch + self._cast_elements(problem) * _item_bytes(self._inner(problem).dtype)

    def isas(self) -> tuple[str, ...]:
        """Return the instruction sets that kernels of the family were compiled for."""
        own = {text(row.isa) for name in _family(self.name) for row in kernels(name).values()}
        return tuple(isa for isa in isas() if isa in own)

    def kernel_names(self) -> tuple[str, ...]:
        """Return the names of the kernels of the family."""
        return _family(self.name)

    def kernel_why_not(self, problem: ConvProblem, kernel: str, isa: str) -> str | None:
        """Return why the kernel of that name does not take `problem`, or None if it does."""
        reason = self.why_not(problem)
        if reason is not None:
            return reason
        inner = inner_problem(problem, self.name)
        if inner is None:
            return "the problem is made of several convolutions"
        return _kernel_refusal(inner, kernels(kernel)[isa])

    def prepare(
        self,
        problem: ConvProblem,
        weights: Array,
        isa: str | None = None,
        kernel: str | None = None,
    ) -> Any:
        """Choose the kernel and pack the weights for it."""
        inner = self._inner(problem)
        decision = _decide(inner, isa or _isa(), self.name, kernel)
        if inner.batch == 0 or inner.out_channels == 0:
            return replace(decision, packed=_aligned(0))  # kernels are not asked about nothing
        packed = _aligned(decision.kernel.packed_bytes(decision.conv))
        w = np.ascontiguousarray(weights, dtype=inner.weight_dtype)
        lib.ck_conv_pack(
            decision.conv, decision.kernel, ffi.from_buffer(w), ffi.from_buffer(packed)
        )
        return replace(decision, packed=packed)

    def run(
        self,
        problem: ConvProblem,
        prepared: Any,
        x: Array,
        bias: Array | None,
        residual: Array | None,
        out: Array,
    ) -> None:
        """Run the kernel on arrays of any strides; cast first what it does not take."""
        inner = self._inner(problem)
        if inner == problem:
            _run(problem, prepared, x, bias, residual, out)
            return
        sums = _empty_like_layout(inner, out.shape)
        _run(inner, prepared, _cast_x(inner, x), None, None, sums)
        if is_integer(result_dtype(problem.dtype, problem.weight_dtype)):
            np.rint(sums, out=sums)  # of algorithms that are off by less than a half
        activations.finish(problem, sums, bias, residual, out)

    def quick(
        self, problem: ConvProblem, prepared: Any, bias: Array | None = None
    ) -> Callable[[Array, Array], int] | None:
        """Run on contiguous arrays, with the plan's own descriptor."""
        if not isinstance(prepared, Prepared) or self._inner(problem) != problem:
            return None
        return _bind(_quick(prepared, bias), takes_weights=False)

    def quick_call(
        self, problem: ConvProblem, w_form: WForm = "as is"
    ) -> Callable[[Array, Array, Array | None, Array], int] | None:
        """Pack the weights and run, on contiguous arrays."""
        inner = inner_problem(problem, self.name)
        if inner is None:
            return None
        call = _bind(_quick(self._decide(problem), None, w_form), takes_weights=True)
        return call if inner == problem else _quick_integers(problem, inner, call)

    def _inner(self, problem: ConvProblem) -> ConvProblem:
        """Return what the kernels compute: `problem` itself, or its sums in types of theirs."""
        inner = inner_problem(problem, self.name)
        assert inner is not None, f"{self.name} does not take {problem}"
        return inner

    def _decide(self, problem: ConvProblem) -> Prepared:
        return _decide(self._inner(problem), isa(), self.name)

    def _cast_elements(self, problem: ConvProblem) -> int:
        """Count the elements of x and of the sums that are cast."""
        return 0 if self._inner(problem) == problem else self._elements(problem)

    def _elements(self, problem: ConvProblem) -> int:
        """Count the elements of x and of the sums."""
        x = problem.batch * problem.in_channels * prod(problem.in_size)
        return x + problem.batch * problem.out_channels * prod(problem.out_size)


def _quick_integers(
    problem: ConvProblem, inner: ConvProblem, call: Callable[..., int]
) -> Callable[..., int] | None:
    """Return `call`, of the floats of `inner`, as one of the integers of `problem`."""
    x_dtype, w_dtype = real_dtype(inner.dtype), real_dtype(inner.weight_dtype)
    y_dtype, sums_dtype = real_dtype(problem.out_dtype), real_dtype(inner.out_dtype)
    is_plain = problem.activation is None and is_integer(problem.out_dtype)
    if not is_plain or not is_integer(result_dtype(problem.dtype, problem.weight_dtype)):
        return None
    bounds = np.iinfo(y_dtype)
    largest = problem.reduction * _magnitude(problem.dtype) * _magnitude(problem.weight_dtype)
    saturates = largest > bounds.max or bounds.min == 0
    if saturates and bounds.max > 2**52:  # which is not a float
        return None
    low, high = np.array([bounds.min, bounds.max], np.float64)

    def integers(x: Array, w: Array, bias: Array | None, y: Array) -> int:
        if bias is not None:
            return 1
        sums = np.empty(y.shape, sums_dtype)
        code = call(x.astype(x_dtype, order="C"), w.astype(w_dtype, order="C"), None, sums)
        if code:
            return code
        if saturates:
            np.minimum(np.maximum(sums, low, out=sums), high, out=sums)
        np.copyto(y, np.rint(sums, sums), casting="unsafe")  # a transform is off by less than half
        return 0

    return integers


def _raise_canceled() -> None:
    """Raise what stopped a call, which must not start again on the general path."""
    raise_code(lib.CK_ECANCELED)


def _bind(quick: Any, *, takes_weights: bool) -> Callable[..., int]:
    """Return the quick call as a function of arrays."""
    return bind(int(ffi.cast("intptr_t", quick)), takes_weights, quick, _raise_canceled)


def _check(code: int) -> None:
    if code:
        raise_code(code)


_alive: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def _quick(prepared: Prepared, bias: Array | None, w_form: WForm = "as is") -> Any:
    """Return the C struct of a quick call, which keeps alive what it points to."""
    arrays = {"weights": prepared.packed, "bias": bias}
    pointers = {k: ffi.from_buffer(a) for k, a in arrays.items() if a is not None}
    fields = {"conv": prepared.conv, "kernel": prepared.kernel, "w_form": FORMS[w_form], **pointers}
    quick = ffi.new("ck_quick *", fields)
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
    """Run the kernel on arrays of its own types."""
    strides = (x.strides, out.strides, out.strides if residual is None else residual.strides)
    if strides == prepared.strides or (strides[:2] == prepared.strides[:2] and residual is None):
        _call(prepared.conv, prepared, x, bias, residual, out)
        return
    # A descriptor of batch_last, which may have made an axis of the batch, fits that order alone.
    fits_any = text(prepared.kernel.name).startswith(PACK_FOR_ANY_STRIDES)
    if fits_any and problem.layout != "batch_last":
        conv, keep = _descriptor(problem, *strides)
        _check(lib.ck_conv_plan(conv, prepared.kernel))
        _call(conv, prepared, x, bias, residual, out)
        del keep  # alive until here
        return
    # Weights were packed for arrays that lie in memory as the layout says.
    y = _empty_like_layout(problem, out.shape)
    added = None if residual is None else _laid_out(problem, residual)
    _call(prepared.conv, prepared, _laid_out(problem, x), bias, added, y)
    out[...] = y


def _laid_out(problem: ConvProblem, array: Array) -> Array:
    """Return a copy of (batch, channels, *size) in the order of axes of the problem's layout."""
    copy = _empty_like_layout(replace(problem, out_dtype=array.dtype.name), array.shape)
    copy[...] = array
    return copy


def _empty_like_layout(problem: ConvProblem, shape: tuple[int, ...]) -> Array:
    """Return a new array, in the order of axes in which kernels write the problem's results."""
    batch, channels, *size = shape
    if problem.layout == "batch_last":
        return np.moveaxis(np.empty((*size, channels, batch), problem.out_dtype), (-1, -2), (0, 1))
    if problem.layout == "channels_last":
        return np.moveaxis(np.empty((batch, *size, channels), problem.out_dtype), -1, 1)
    return np.empty(shape, problem.out_dtype)


def _cast_x(inner: ConvProblem, x: Array) -> Array:
    """Return x in the kernels' type; its order in memory stays."""
    return x.astype(inner.dtype)


def _call(
    conv: Any,
    prepared: Prepared,
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
) -> None:
    bias = None if bias is None else np.ascontiguousarray(bias)
    arrays = (x, prepared.packed, bias, residual, out)
    code = lib.ck_conv_run(conv, prepared.kernel, *map(_pointer, arrays))
    del arrays  # alive until here
    if code:
        raise_code(code, lib.ck_conv_workspace(conv))


# --- which kernel, in which types -----------------------------------------------------------


def _types(problem: ConvProblem) -> tuple[int, int, int, int] | None:
    """Return the C types of x, w, y and the sums, or None if one has no name there."""
    names = (problem.dtype, problem.weight_dtype, problem.out_dtype, problem.bias_dtype)
    found = [TYPES.get(name) for name in names]
    x, w, y, sums = found
    if x is None or w is None or y is None or sums is None:
        return None
    return x, w, y, sums


def _takes(kernel: Any, types: tuple[int, ...]) -> bool:
    rows = (kernel.types[i] for i in range(kernel.type_count))
    return any((row.x, row.w, row.y, row.sum) == types for row in rows)


@lru_cache(maxsize=64)
def _family(name: str) -> tuple[str, ...]:
    """Return the names of the kernels of an algorithm."""
    return tuple(n for n in kernel_names() if n.startswith(f"conv_{name}_"))


@lru_cache(maxsize=4096)
def inner_problem(problem: ConvProblem, family: str) -> ConvProblem | None:
    """Return what the family computes for `problem`: it, its sums in other types, or None."""
    if problem.nan_policy != "propagate" or problem.rank > MAX_RANK:
        return None
    for candidate in (problem, _cast(problem, family)):
        if candidate is None:
            continue
        rows = (kernels(name)[isa()] for name in _family(family))
        if any(_kernel_refusal(candidate, row) is None for row in rows):
            return candidate
    return None


def _kernel_refusal(problem: ConvProblem, kernel: Any) -> str | None:
    """Return why a kernel does not take a problem in its own types, or None if it does."""
    types = _types(problem)
    if types is None or not _takes(kernel, types):
        return f"it takes no {problem.dtype} with weights of {problem.weight_dtype}"
    conv, _ = _default_descriptor(problem)
    said = kernel.why_not(conv)
    return None if said == ffi.NULL else text(said)


def _refusal(problem: ConvProblem, family: str) -> str:
    """Return one reason for which no kernel of a family takes the problem."""
    candidate = _cast(problem, family)
    if candidate is None:
        return (
            f"dtype is {problem.dtype}, of weights {problem.weight_dtype}: kernels exist for "
            "floats and complex numbers, and for what is exact in these"
        )
    rows = [kernels(name)[isa()] for name in _family(family)]
    types = _types(candidate)
    fitting = [row for row in rows if types is not None and _takes(row, types)]
    reasons = [_kernel_refusal(candidate, row) for row in fitting]
    return reasons[0] or "" if reasons else f"no kernel of the family takes {candidate.dtype}"


@lru_cache(maxsize=4096)
def _cast(problem: ConvProblem, family: str) -> ConvProblem | None:
    """Return the sums of `problem` in a type of kernels that holds them, or None."""
    dtype = sum_dtype(problem, rounds=_rounds(family))
    if dtype is None:
        return None
    own = real_dtype(problem.dtype)
    modes: tuple[Mode, ...] = tuple(
        ("constant", float(np.asarray(mode[1]).astype(own).real))
        if isinstance(mode, tuple)
        else mode
        for mode in problem.boundary
    )
    cast = replace(
        problem,
        dtype=dtype,
        weight_dtype=dtype,
        out_dtype=dtype,
        boundary=modes,
        activation=None,
    )
    return problem if cast == problem else cast


def _rounds(family: str) -> bool:
    """Whether the kernels of a family round also sums of integers."""
    return any(kernels(name)[isa()].rounds for name in _family(family))


def sum_dtype(problem: ConvProblem, *, rounds: bool) -> str | None:
    """Return the kernels' type that holds the sums of `problem`: of integers exactly."""
    x, w = problem.dtype, problem.weight_dtype
    if is_integer(x) and is_integer(w):
        if rounds:
            return "float64" if transform_is_exact(problem) else None
        largest = problem.reduction * _magnitude(x) * _magnitude(w)
        return "float32" if largest <= 2**24 else "float64" if largest <= 2**53 else None
    common = promoted(x, w)
    common = {"float16": "float32", "bfloat16": "float32"}.get(common, common)
    return common if common in ("float32", "float64", "complex64", "complex128") else None


def transform_is_exact(problem: ConvProblem) -> bool:
    """Whether sums of integers that pass a float64 transform round back to what they were.

    They do if no error reaches a half. That of a transform is at most `transform_bound` u |x| |w|
    in 2-norms over a block; both are bounded here by the extremes of the types.
    """
    taps = problem.reduction
    norms = math.sqrt(8 * taps + 4096) * _magnitude(problem.dtype)
    norms *= math.sqrt(taps) * _magnitude(problem.weight_dtype)
    return transform_bound(problem) * unit_roundoff("float64") * norms < 0.25


def transform_bound(problem: ConvProblem) -> float:
    """Return c of |error| <= c u |x| |w|, of a transform over blocks of about eight filters.

    Spectra of several channels are added 32 at a time, and then these sums.
    """
    channels = problem.in_channels // problem.groups
    sums = min(channels, 32) + channels / 32 if channels > 1 else 0
    return 8 * math.log2(8 * prod(problem.kernel_size) + 4096) + sums


def _magnitude(dtype: str) -> int:
    if dtype == "bool":
        return 1
    bounds = np.iinfo(dtype)
    return max(int(bounds.max), -int(bounds.min))


@lru_cache(maxsize=4096)
def _decide(problem: ConvProblem, isa: str, family: str, kernel: str | None = None) -> Prepared:
    """Plan `problem` for its contiguous arrays on the kernel of least cost."""
    strides = _default_strides(problem)
    conv, keep = _default_descriptor(problem)
    best: Prepared | None = None
    for name in (kernel,) if kernel else _family(family):
        row = kernels(name)[isa]
        if _kernel_refusal(problem, row) is not None:
            continue
        planned = ffi.new("ck_conv *", conv[0])
        _check(lib.ck_conv_plan(planned, row))
        if best is None or planned.seconds < best.conv.seconds:
            best = Prepared(planned, row, None, strides, keep)
    assert best is not None, f"no kernel takes {problem}"
    return best


# --- the descriptor -------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _cores() -> int:
    """Return how many threads may come to share the work: block sizes follow, bits do not."""
    if hasattr(os, "sched_getaffinity"):
        return max(lib.convkit_get_num_threads(), len(os.sched_getaffinity(0)))
    return max(lib.convkit_get_num_threads(), os.cpu_count() or 1)


def _default_strides(problem: ConvProblem) -> tuple[tuple[int, ...], ...]:
    """Return the strides (bytes) of contiguous x, y and residual as (batch, channels, *size)."""
    p = problem

    def strides(channels: int, sizes: tuple[int, ...], dtype: str) -> tuple[int, ...]:
        # The order of the axes in memory, as indices into (batch, channels, *size).
        rest = tuple(range(2, p.rank + 2))
        order = {
            "channels_first": (0, 1, *rest),
            "channels_last": (0, *rest, 1),
            "batch_last": (*rest, 1, 0),
        }[p.layout]
        shape = (p.batch, channels, *sizes)
        steps = dict.fromkeys(order, 0)
        step = _item_bytes(dtype)
        for axis in reversed(order):
            steps[axis] = step
            step *= max(1, shape[axis])
        return tuple(steps[axis] for axis in range(len(shape)))

    x = strides(p.in_channels, p.in_size, p.dtype)
    y = strides(p.out_channels, p.out_size, p.out_dtype)
    return x, y, strides(p.out_channels, p.out_size, p.bias_dtype)


def _item_bytes(dtype: str) -> int:
    return real_dtype(dtype).itemsize


@lru_cache(maxsize=256)
def _default_descriptor(problem: ConvProblem) -> tuple[Any, tuple[Any, ...]]:
    """Return the descriptor on contiguous arrays, for all candidates to look at."""
    return _descriptor(problem, *_default_strides(problem))


def _descriptor(
    problem: ConvProblem,
    x_strides: Sequence[int],
    y_strides: Sequence[int],
    r_strides: Sequence[int],
) -> tuple[Any, tuple[Any, ...]]:
    """Return the C struct of `problem` on arrays of these strides (bytes), and what it holds."""
    p = problem
    x, y, r = (
        [s // _item_bytes(dtype) for s in strides]
        for strides, dtype in zip(
            (x_strides, y_strides, r_strides), (p.dtype, p.out_dtype, p.bias_dtype), strict=True
        )
    )
    batch, axes = p.batch, [_axis(p, i, x[2 + i], y[2 + i], r[2 + i]) for i in range(p.rank)]
    if p.layout == "batch_last" and batch > 1:
        last = axes[-1]
        if last["stride"] == last["in_dilation"] == 1 and (
            batch <= MOST_INTERLEAVED or p.rank == MAX_RANK
        ):
            axes[-1] = _interleave(last, batch)
            batch = 1
        elif p.rank < MAX_RANK:
            axes.append(_trivial_axis(batch))
            batch = 1
    sources = [axis.pop("sources", None) for axis in axes]
    for axis, indices in zip(axes, sources, strict=True):
        axis["edges"] = ffi.NULL if indices is None else ffi.new("int64_t[]", indices.tolist())
    keep = tuple(axis["edges"] for axis in axes)
    axes = _merge(axes)
    missing = [_trivial_axis()] * (MAX_RANK - len(axes))
    name, low, high = _activation(p)
    types = _types(p)
    assert types is not None, f"no C types for {p}"
    conv = ffi.new(
        "ck_conv *",
        {
            "batch": batch,
            "groups": p.groups,
            "in_channels": p.in_channels,
            "out_channels": p.out_channels,
            "axis": [*missing, *axes],
            "x_batch_stride": x[0],
            "x_channel_stride": x[1],
            "y_batch_stride": y[0],
            "y_channel_stride": y[1],
            "residual_batch_stride": r[0],
            "residual_channel_stride": r[1],
            "types": types,
            "structure": STRUCTURES[p.structure],
            "threads": _cores(),
            "flushes": p.accuracy != "strict",
            "activation": getattr(lib, name),
            "activation_low": low,
            "activation_high": high,
        },
    )
    return conv, keep


def _axis(p: ConvProblem, i: int, x_stride: int, y_stride: int, r_stride: int) -> dict[str, Any]:
    """Return the fields of one axis; "sources" are those of its padded elements, if any repeat."""
    before, after = p.padding[i]
    mode = p.boundary[i]
    axis: dict[str, Any] = {
        "in_size": p.in_size[i],
        "in_dilation": p.input_dilation[i],
        "pad_before": before,
        "pad_after": after,
        "kernel_size": p.kernel_size[i],
        "stride": p.stride[i],
        "dilation": p.dilation[i],
        "out_size": p.out_size[i],
        "x_stride": x_stride,
        "y_stride": y_stride,
        "residual_stride": r_stride,
        "pad_value": boundary.pad_value(mode),
    }
    if before + after and not boundary.is_constant(mode):
        axis["sources"] = _sources(p.dilated_size[i], before, after, mode, p.input_dilation[i])
    return axis


def _interleave(axis: dict[str, Any], batch: int) -> dict[str, Any]:
    """Return the axis along which `batch` interleaved signals are one, with taps that far apart."""
    scaled = ("in_size", "pad_before", "pad_after", "out_size", "dilation")
    wide = {**axis, **{name: axis[name] * batch for name in scaled}, **_side_by_side()}
    if "sources" in axis:
        each = axis["sources"][:, np.newaxis]
        wide["sources"] = np.where(each < 0, each, each * batch + np.arange(batch)).ravel()
    return wide


def _side_by_side() -> dict[str, int]:
    return dict.fromkeys(("x_stride", "y_stride", "residual_stride"), 1)


def _sources(spread: int, before: int, after: int, mode: Any, dilation: int) -> Array:
    """Return where in x the padded elements of a dilated axis come from."""
    sources = boundary.edges(spread, before, after, mode)
    return np.where(sources % dilation, lib.CK_ZERO, sources // dilation)


def _trivial_axis(size: int = 1) -> dict[str, Any]:
    """Return an axis that nothing happens on, its elements side by side."""
    ones = ("in_dilation", "kernel_size", "stride", "dilation")
    axis = dict.fromkeys(ones, 1) | dict.fromkeys(("in_size", "out_size"), size)
    return axis | dict.fromkeys(("pad_before", "pad_after"), 0) | _side_by_side()


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
