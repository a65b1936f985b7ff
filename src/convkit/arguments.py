"""From what a caller may write to what a problem holds: every default and every error of it.

`forward` turns shapes, dtypes and keywords into a `Form`: the problem, and how the caller's arrays
map onto it. The `as_*` functions turn what was passed for an array into an array that fits.
"""

from __future__ import annotations

import math
import numbers
import operator
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from math import prod
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    TypeAlias,
    TypedDict,
    TypeVar,
    cast,
    get_args,
)

import numpy as np

from convkit import boundary
from convkit.dtypes import (
    NAMES,
    Array,
    DType,
    is_complex,
    is_integer,
    promoted,
    real_dtype,
    result_dtype,
)
from convkit.errors import BackendUnavailableError, ShapeError
from convkit.problem import (
    Accuracy,
    Activation,
    ActivationName,
    ConvProblem,
    Layout,
    Mode,
    ModeName,
    NanPolicy,
    WForm,
    dilated,
    number,
)

if TYPE_CHECKING:  # importing convkit takes little longer than importing NumPy
    from numpy.typing import DTypeLike

BackendName: TypeAlias = Literal["auto", "native", "numba", "scipy", "numpy", "cuda"]
Ints: TypeAlias = int | Sequence[int]
Padding: TypeAlias = int | Sequence[int | Sequence[int]] | Literal["valid", "same", "full"]

# What a 64-bit process can address, on the usual CPUs.
MAX_BYTES = 2**47
# Extents and positions are 64-bit integers in the kernels and in NumPy, and the period of a
# symmetric boundary is twice the extent.
MAX_SIZE = 2**62 - 1


class Keywords(TypedDict, total=False):
    """The keywords of conv1d, conv2d and conv3d, for type checkers and editors."""

    stride: Ints
    padding: Padding
    dilation: Ints
    input_dilation: Ints
    groups: int
    padding_mode: Mode | Sequence[Mode]
    activation: Activation | None
    layout: Layout
    out_dtype: DTypeLike | None
    algorithm: str
    backend: BackendName
    accuracy: Accuracy
    nan_policy: NanPolicy
    max_workspace: int | None


class Options(NamedTuple):
    """The values of `Keywords`, and every default."""

    stride: Ints = 1
    padding: Padding = 0
    dilation: Ints = 1
    input_dilation: Ints = 1
    groups: int = 1
    padding_mode: Mode | Sequence[Mode] = "zeros"
    activation: Activation | None = None
    layout: Layout = "channels_first"
    out_dtype: DTypeLike | None = None
    algorithm: str = "auto"
    backend: BackendName = "auto"
    accuracy: Accuracy = "default"
    nan_policy: NanPolicy = "propagate"
    max_workspace: int | None = None


class TransposedKeywords(TypedDict, total=False):
    """The keywords of conv_transpose1d and so on, for type checkers and editors."""

    stride: Ints
    padding: int | Sequence[int | Sequence[int]]
    output_padding: int | Sequence[int]
    output_size: Ints | None
    dilation: Ints
    groups: int
    activation: Activation | None
    layout: Layout
    out_dtype: DTypeLike | None
    algorithm: str
    backend: BackendName
    accuracy: Accuracy
    max_workspace: int | None


class TransposedOptions(NamedTuple):
    """The values of `TransposedKeywords`, and every default."""

    stride: Ints = 1
    padding: int | Sequence[int | Sequence[int]] = 0
    output_padding: int | Sequence[int] = 0
    output_size: Ints | None = None
    dilation: Ints = 1
    groups: int = 1
    activation: Activation | None = None
    layout: Layout = "channels_first"
    out_dtype: DTypeLike | None = None
    algorithm: str = "auto"
    backend: BackendName = "auto"
    accuracy: Accuracy = "default"
    max_workspace: int | None = None


class Form(NamedTuple):
    """A problem, and the shapes and types in which its caller sees it.

    Algorithms see x and y as (batch, channels, *size) and w as (out_channels, in_channels //
    groups, *kernel_size), which are views of what the caller has: x without a batch axis,
    channels last, or a plain filter with the leading axes of x as its batch.
    """

    problem: ConvProblem
    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    y_shape: tuple[int, ...]
    x_dtype: DType
    # Of convolve and correlate: the shapes to which x and w are broadcast, w in its new order; the
    # orders of their axes that are (batch, *size) and (channels, *kernel_size); what is done to w.
    spread: tuple[int, ...] | None = None
    order: tuple[int, ...] | None = None
    w_spread: tuple[int, ...] | None = None
    w_order: tuple[int, ...] | None = None
    w_form: WForm = "as is"
    # Whether contiguous x, w and y lie in memory as the problem's layout says.
    is_direct: bool = True

    @classmethod
    def of(cls, problem: ConvProblem) -> Form:
        """Return the form of a caller who spells everything out."""
        p = problem
        x_shape = _public_shape(p.layout, p.batch, p.in_channels, p.in_size)
        y_shape = _public_shape(p.layout, p.batch, p.out_channels, p.out_size)
        w_shape = (p.out_channels, p.in_channels // p.groups, *p.kernel_size)
        return cls(p, x_shape, w_shape, y_shape, real_dtype(p.dtype))

    def x_view(self, x: Array) -> Array:
        """View x as algorithms see it; a copy where its strides do not allow a view."""
        if self.spread is not None:
            x = np.broadcast_to(x, self.spread)
        return self._view(x, self.problem.in_channels, self.problem.in_size)

    def y_view(self, y: Array) -> Array:
        """View y, or a residual, as algorithms see it."""
        return self._view(y, self.problem.out_channels, self.problem.out_size)

    def store(self, result: Array, y: Array) -> None:
        """Write into y, of any strides, what algorithms made in an array of the shape they see."""
        if self.order is not None:
            moved = y.transpose(self.order)
            moved[...] = result.reshape(moved.shape)
        elif self.is_plain:
            y[...] = result.reshape(y.shape)
        else:
            self.y_view(y)[...] = result

    def w_view(self, w: Array) -> Array:
        """View w as algorithms see it."""
        p = self.problem
        if self.w_form == "transposed":
            parts = w.reshape(p.groups, p.in_channels // p.groups, -1, *p.kernel_size)
            w = np.flip(parts.swapaxes(1, 2), tuple(range(3, parts.ndim)))
        if self.w_order is not None:
            w = w.transpose(self.w_order)
        if self.w_spread is not None:
            w = np.broadcast_to(w, self.w_spread)
        w = w.reshape(p.out_channels, p.in_channels // p.groups, *p.kernel_size)
        if self.w_form == "flipped":
            return np.flip(w, tuple(range(2, w.ndim)))
        return w.conj() if self.w_form == "conjugated" else w

    @property
    def is_plain(self) -> bool:
        """Whether the filter has no axes of channels."""
        return len(self.w_shape) == self.problem.rank

    def _view(self, array: Array, channels: int, size: tuple[int, ...]) -> Array:
        rank = self.problem.rank
        if self.order is not None:  # of a signal: any axes, in the order of batch and size
            return array.transpose(self.order).reshape(self.problem.batch, channels, *size)
        if self.is_plain:
            return array.reshape(self.problem.batch, channels, *size)
        batched = array if array.ndim == rank + 2 else array[np.newaxis]
        if self.problem.layout == "batch_last":
            return np.moveaxis(batched, (-1, -2), (0, 1))
        last = self.problem.layout == "channels_last"
        return np.moveaxis(batched, -1, 1) if last else batched


# --- the problem ----------------------------------------------------------------------------


def forward(
    rank: int,
    x_shape: tuple[int, ...],
    x_dtype: DType,
    w_shape: tuple[int, ...],
    w_dtype: DType,
    options: Options,
) -> Form:
    """Return the form of a forward convolution, or say what does not fit."""
    is_plain = len(w_shape) == rank
    _check_ndim(rank, x_shape, w_shape)
    _check_choices(options)
    groups = as_int(options.groups, "groups", least=1)
    batch, in_channels, in_size = _split_x(rank, x_shape, options.layout, is_plain=is_plain)
    out_channels, per_group = (1, 1) if is_plain else w_shape[:2]
    _check_channels(x_shape, w_shape, in_channels, out_channels, per_group, groups, is_plain)
    kernel_size = w_shape[-rank:]
    if 0 in kernel_size:
        raise ShapeError(f"w has shape {w_shape}: a kernel needs at least one tap along each axis")

    stride = _per_axis(options.stride, "stride", rank)
    dilation = _per_axis(options.dilation, "dilation", rank)
    input_dilation = _per_axis(options.input_dilation, "input_dilation", rank)
    spread = tuple(map(dilated, in_size, input_dilation))
    reach = tuple(map(dilated, kernel_size, dilation))
    padding = _padding(options.padding, spread, reach, stride)
    dtype, weight_dtype, out_dtype = _dtypes(x_dtype, w_dtype, options.out_dtype)
    problem = ConvProblem(
        op="forward",
        batch=batch,
        groups=groups,
        in_channels=in_channels,
        out_channels=out_channels,
        in_size=in_size,
        kernel_size=kernel_size,
        stride=stride,
        dilation=dilation,
        input_dilation=input_dilation,
        padding=padding,
        dtype=dtype,
        weight_dtype=weight_dtype,
        out_dtype=out_dtype,
        boundary=_boundary(options.padding_mode, padding, spread, dtype),
        activation=_activation(options.activation, out_dtype),
        layout=options.layout,
        accuracy=options.accuracy,
        nan_policy="propagate" if is_integer(dtype) else options.nan_policy,
    )
    _check_extents(problem)
    if is_plain:
        y_shape = (*x_shape[:-rank], *problem.out_size)
    else:
        y_shape = _public_shape(options.layout, batch, out_channels, problem.out_size)
        y_shape = y_shape if len(x_shape) == rank + 2 else y_shape[1:]
    check_fits("y", y_shape, real_dtype(out_dtype))
    return Form(problem, x_shape, w_shape, y_shape, x_dtype.newbyteorder("="))


def transposed(
    rank: int,
    x_shape: tuple[int, ...],
    x_dtype: DType,
    w_shape: tuple[int, ...],
    w_dtype: DType,
    options: TransposedOptions,
) -> Form:
    """Return the form of a transposed convolution, or say what does not fit.

    It is the convolution of x, its elements `stride` apart, with the flipped filter: every element
    of x adds its multiple of the filter to the outputs it once was computed from.
    """
    is_plain = len(w_shape) == rank
    _check_transposed_shapes(rank, x_shape, w_shape, options)
    stride = _per_axis(options.stride, "stride", rank)
    dilation = _per_axis(options.dilation, "dilation", rank)
    if isinstance(options.padding, str):
        raise TypeError(
            f"padding={options.padding!r}: expected an int of at least 0, {rank} of them, or "
            f"{rank} pairs (before, after)"
        )
    in_size = _split_x(rank, x_shape, options.layout, is_plain=is_plain)[2]
    reach = tuple(map(dilated, w_shape[-rank:], dilation))
    spread = tuple(map(dilated, in_size, stride))
    cropped = _padding(options.padding, spread, reach, stride)
    sizes = [n + r - 1 - sum(crop) for n, r, crop in zip(spread, reach, cropped, strict=True)]
    more = _output_padding(options, sizes, stride, dilation)
    pads = [(r - 1 - b, r - 1 - a + m) for r, (b, a), m in zip(reach, cropped, more, strict=True)]
    if min(map(min, pads)) < 0:
        raise ShapeError(
            f"padding={options.padding!r}: it crops more than dilation * (kernel size - 1) = "
            f"{tuple(r - 1 for r in reach)} elements of the result on a side; crop the result"
        )
    w_spelled = w_shape
    if not is_plain:
        groups = options.groups
        w_spelled = (w_shape[1] * groups, w_shape[0] // groups, *w_shape[2:])
    shared = {name: getattr(options, name) for name in options._fields if name in Options._fields}
    spelled = Options(**shared)._replace(stride=1, padding=pads, input_dilation=stride)
    form = forward(rank, x_shape, x_dtype, w_spelled, w_dtype, spelled)
    return form._replace(w_shape=w_shape, w_form="transposed")


def _check_transposed_shapes(
    rank: int, x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: TransposedOptions
) -> None:
    """Say what does not fit in terms of (in_channels, out_channels // groups, *kernel_size)."""
    _check_choices(options)
    is_plain = len(w_shape) == rank
    if is_plain or len(w_shape) != rank + 2 or len(x_shape) not in (rank + 1, rank + 2):
        _check_ndim(rank, x_shape, w_shape, transposed=True)
        return
    groups = as_int(options.groups, "groups", least=1)
    channels = _split_x(rank, x_shape, options.layout, is_plain=False)[1]
    if channels != w_shape[0] or channels % groups:
        raise ShapeError(
            f"x has {channels} channels (shape {x_shape}) but w takes {w_shape[0]} in "
            f"groups={groups} (shape {w_shape}); w is (in_channels, out_channels // groups, "
            f"*kernel_size)"
        )


def _output_padding(
    options: TransposedOptions,
    sizes: list[int],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> list[int]:
    """Return by how much the result is larger than the smallest that fits, per axis."""
    rank = len(sizes)
    if options.output_size is None:
        name, value = "output_padding", options.output_padding
        entries = _repeated(value, rank)
        given = None if entries is None else [_index(entry) for entry in entries]
    else:
        name, value = "output_size", options.output_size
        if options.output_padding != 0:
            raise ValueError(
                f"output_padding={options.output_padding!r} and output_size={value!r}: give one"
            )
        wanted = _per_axis(value, name, rank)
        given = [want - size for want, size in zip(wanted, sizes, strict=True)]
    if given is None or None in given:
        raise TypeError(f"{name}={value!r}: expected an int of at least 0, or {rank} of them")
    more = cast("list[int]", given)
    most = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    if len(more) != rank or any(not 0 <= m <= top for m, top in zip(more, most, strict=False)):
        least = name == "output_size"
        allowed = ", ".join(
            f"{least * n} to {least * n + top}" for n, top in zip(sizes, most, strict=True)
        )
        raise ShapeError(f"{name}={value!r}: expected {allowed} along the {rank} axes")
    return more


_Options = TypeVar("_Options")


def read_options(function: str, fields: type[_Options], keywords: Mapping[str, object]) -> _Options:
    """Return the options that `keywords` give."""
    try:
        return fields(**keywords)
    except TypeError:
        names = cast("Any", fields)._fields
        unknown = next(name for name in keywords if name not in names)
        raise TypeError(
            f"{function}() got an unexpected keyword argument {unknown!r}; "
            f"it takes {', '.join(names)}"
        ) from None


def read_shape(shape: Iterable[int], name: str) -> tuple[int, ...]:
    """Return `shape` as a tuple of ints."""
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise TypeError(f"{name}={shape!r}: expected a shape, such as (1, 3, 224, 224)")
    return tuple(as_int(size, f"{name}={shape!r}: an entry", least=0) for size in shape)


def as_int(value: object, name: str, least: int) -> int:
    """Return `value`, an int of Python or NumPy, as an int of at least `least`."""
    expected = "a positive int" if least == 1 else f"an int of at least {least}"
    size = _index(value)
    if size is None:
        raise TypeError(f"{name}={value!r}: expected {expected}")
    if size < least:
        raise ShapeError(f"{name}={value!r}: expected {expected}")
    if size > MAX_SIZE:
        raise ShapeError(f"{name}={value!r} is larger than 2**62 - 1")
    return size


def _index(value: object) -> int | None:
    """Return `value` as an int if it is one, and no bool."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(cast("Any", value))
    except TypeError:
        return None


def _check_ndim(
    rank: int, x_shape: tuple[int, ...], w_shape: tuple[int, ...], *, transposed: bool = False
) -> None:
    axes = ", ".join(f"k{i}" for i in range(rank)) if rank > 1 else "k"
    name, channels = f"conv{rank}d", "out_channels, in_channels // groups"
    if transposed:
        name, channels = f"conv_transpose{rank}d", "in_channels, out_channels // groups"
    if len(w_shape) not in (rank, rank + 2):
        raise ShapeError(
            f"w has {len(w_shape)} axes (shape {w_shape}); {name} takes {rank + 2}, "
            f"({channels}, {axes}), or {rank} for a plain filter"
        )
    if len(w_shape) == rank and len(x_shape) < rank:
        raise ShapeError(
            f"x has {len(x_shape)} axes (shape {x_shape}); a plain filter of shape {w_shape} "
            f"needs at least {rank}"
        )
    if len(w_shape) == rank + 2 and len(x_shape) not in (rank + 1, rank + 2):
        raise ShapeError(
            f"x has {len(x_shape)} axes (shape {x_shape}); with w of shape {w_shape} {name} "
            f"takes {rank + 2}, or {rank + 1} without a batch axis"
        )


def _check_choices(options: Options | TransposedOptions) -> None:
    # "batch_last" is what convolve and correlate make of trailing axes; no caller writes it.
    layouts = Literal["channels_first", "channels_last"]
    choices = {"layout": layouts, "accuracy": Accuracy, "nan_policy": NanPolicy}
    for name, alias in {**choices, "backend": BackendName}.items():
        if name not in options._fields:
            continue
        value, allowed = getattr(options, name), get_args(alias)
        if not isinstance(value, str):
            raise TypeError(f"{name}={value!r}: expected one of {_listed(allowed)}")
        if value not in allowed:
            raise ValueError(f"{name}={value!r}: expected one of {_listed(allowed)}")
    if not isinstance(options.algorithm, str):
        raise TypeError(f"algorithm={options.algorithm!r}: expected a name, such as 'direct'")


def _split_x(
    rank: int, shape: tuple[int, ...], layout: Layout, *, is_plain: bool
) -> tuple[int, int, tuple[int, ...]]:
    """Return batch, in_channels and in_size."""
    if is_plain:
        if layout == "channels_last":
            raise ValueError(
                "layout='channels_last': a plain filter knows no channels; leave it out"
            )
        return prod(shape[:-rank]), 1, shape[-rank:]
    batch = shape[0] if len(shape) == rank + 2 else 1
    image = shape[-rank - 1 :]
    return (
        (batch, image[-1], image[:-1])
        if layout == "channels_last"
        else (batch, image[0], image[1:])
    )


def _public_shape(
    layout: Layout, batch: int, channels: int, size: tuple[int, ...]
) -> tuple[int, ...]:
    shapes: dict[Layout, tuple[int, ...]] = {
        "channels_first": (batch, channels, *size),
        "channels_last": (batch, *size, channels),
        "batch_last": (*size, channels, batch),
    }
    return shapes[layout]


def _check_channels(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    in_channels: int,
    out_channels: int,
    per_group: int,
    groups: int,
    is_plain: bool,
) -> None:
    if is_plain and groups != 1:
        raise ShapeError(f"groups={groups}: a plain filter (w has shape {w_shape}) takes 1")
    if per_group * groups != in_channels:
        raise ShapeError(
            f"x has {in_channels} channels (shape {x_shape}) but w takes {per_group} x "
            f"groups={groups} = {per_group * groups} (shape {w_shape}); w is (out_channels, "
            f"in_channels // groups, *kernel_size)"
        )
    if out_channels % groups:
        raise ShapeError(
            f"groups={groups} does not divide the {out_channels} output channels of w "
            f"(shape {w_shape})"
        )


def _check_extents(problem: ConvProblem) -> None:
    for axis, size in enumerate(problem.padded_size):
        reach = dilated(problem.kernel_size[axis], problem.dilation[axis])
        if max(size, reach) > MAX_SIZE:
            raise ShapeError(
                f"axis {axis} of {problem} would have {size} padded elements under a kernel of "
                f"{reach}; 2**62 - 1 is the most"
            )
        if size < reach:
            raise ShapeError(
                f"the kernel reaches over {reach} elements of axis {axis}, where the padded x has "
                f"{size}: {problem}; padding={reach - size} more, on either side, is enough"
            )


def _per_axis(value: object, name: str, rank: int) -> tuple[int, ...]:
    """Spell a positive int out per convolved axis."""
    expected = "a positive int" + (f" or {rank} of them" if rank > 1 else "")
    entries = _repeated(value, rank)
    sizes = None if entries is None else [_index(entry) for entry in entries]
    if sizes is None or None in sizes:
        raise TypeError(f"{name}={value!r}: expected {expected}")
    if len(sizes) != rank or any(size is None or size < 1 for size in sizes):
        raise ShapeError(f"{name}={value!r}: expected {expected}")
    return tuple(as_int(size, name, least=1) for size in sizes)


def _repeated(value: object, rank: int) -> list[Any] | None:
    """Return an int as often as there are axes, a sequence as it is, or None for anything else."""
    return _entries(value) if _index(value) is None else [value] * rank


def _entries(value: object) -> list[Any] | None:
    """Return the entries of a sequence, or None if it is none."""
    if isinstance(value, np.ndarray):
        return list(value) if value.ndim else None
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    return None


def _padding(
    value: object, spread: tuple[int, ...], reach: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Spell padding out as (before, after) per convolved axis."""
    if isinstance(value, str):
        return _named_padding(value, spread, reach, stride)
    rank = len(spread)
    expected = (
        f"padding={value!r}: expected an int of at least 0, {rank} of them, {rank} pairs "
        f"(before, after), or 'valid', 'same', 'full'"
    )
    entries = _repeated(value, rank)
    pairs = [None] if entries is None else [_repeated(entry, 2) for entry in entries]
    sizes = [[_index(size) for size in pair] for pair in pairs if pair is not None]
    if len(sizes) != len(pairs) or any(None in pair for pair in sizes):
        raise TypeError(expected)
    ints = cast("list[list[int]]", sizes)
    if len(ints) != rank or any(len(pair) != 2 or min(pair) < 0 for pair in ints):
        raise ShapeError(expected)
    if max(map(max, ints)) > MAX_SIZE:
        raise ShapeError(f"padding={value!r} is larger than 2**62 - 1")
    return tuple((before, after) for before, after in ints)


def _named_padding(
    name: str, spread: tuple[int, ...], reach: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    if name == "valid":
        return ((0, 0),) * len(spread)
    if name == "full":
        return tuple((r - 1, r - 1) for r in reach)
    if name == "same":
        # ceil(n / s) outputs; of an odd total the extra element goes after (ONNX: SAME_UPPER).
        axes = zip(spread, reach, stride, strict=True)
        totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, r, s in axes]
        return tuple((total // 2, total - total // 2) for total in totals)
    raise ValueError(f"padding={name!r}: expected 'valid', 'same', 'full', or numbers")


def _boundary(
    value: object, padding: tuple[tuple[int, int], ...], spread: tuple[int, ...], dtype: str
) -> tuple[Mode, ...]:
    """Spell the padding mode out per convolved axis; axes without padding have none: "zeros"."""
    rank = len(padding)
    entries = _entries(value)
    if isinstance(value, str) or (
        entries and isinstance(entries[0], str) and entries[0] == "constant"
    ):
        entries = [value] * rank
    if entries is None or len(entries) != rank:
        error = TypeError if entries is None else ShapeError
        raise error(f"padding_mode={value!r}: expected a mode or {rank} of them, of {_MODES}")
    modes = [_mode(entry, value, dtype) for entry in entries]
    for axis, mode in enumerate(modes):
        if sum(padding[axis]) and not spread[axis] and not boundary.is_constant(mode):
            raise ShapeError(
                f"padding_mode={value!r} repeats elements, but axis {axis} of x has none"
            )
    return tuple(m if sum(pads) else "zeros" for m, pads in zip(modes, padding, strict=True))


_MODES = ", ".join(map(repr, get_args(ModeName))) + ", ('constant', value)"


def _mode(mode: Any, given: object, dtype: str) -> Mode:
    """Return one padding mode; ("constant", 0) is "zeros"."""
    if isinstance(mode, str) and mode in get_args(ModeName):
        return cast("Mode", mode)
    if not (isinstance(mode, tuple | list) and len(mode) == 2 and mode[0] == "constant"):
        raise ValueError(f"padding_mode={given!r}: expected one of {_MODES}")
    value = _real(mode[1], f"padding_mode={given!r}: the value")
    if is_integer(dtype) and not _holds(dtype, value):
        raise ValueError(f"padding_mode={given!r}: x holds {dtype}, which {mode[1]!r} is not")
    return ("constant", value) if value else "zeros"


def _holds(dtype: str, value: float) -> bool:
    """Whether an integer type has `value`."""
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return value.is_integer() and low <= value <= high


def _real(value: object, name: str) -> float:
    if isinstance(value, numbers.Real | np.bool_):
        return number(float(value))
    raise TypeError(f"{name} {value!r} is no real number")


def _activation(value: Any, out_dtype: str) -> Activation | None:
    """Return an activation, each in one of the ways to write it."""
    if value is None:
        return None
    if is_complex(out_dtype):
        raise TypeError(f"activation={value!r} is not defined for complex results ({out_dtype})")
    name, *given = value if isinstance(value, tuple | list) and value else (value,)
    counts = {"clip": (2,), "leaky_relu": (0, 1)}
    names = get_args(ActivationName)
    if not isinstance(name, str) or name not in (*names, "clip"):
        raise ValueError(
            f"activation={value!r}: expected None, {_listed(names)}, ('clip', low, high) or "
            f"('leaky_relu', slope)"
        )
    if len(given) not in counts.get(name, (0,)):
        raise ValueError(f"activation={value!r}: {name} takes {counts.get(name, (0,))[-1]} numbers")
    parameters = [_real(p, f"activation={value!r}:") for p in given]
    if any(map(math.isnan, parameters)) or (name == "clip" and parameters[0] > parameters[1]):
        raise ValueError(f"activation={value!r}: expected low <= high, and no NaN")
    spelled = (name, *parameters) if parameters else name
    return cast("Activation", _SHORT.get(cast("Any", spelled), spelled))


_SHORT: dict[Any, str] = {
    ("clip", 0.0, math.inf): "relu",
    ("clip", 0.0, 6.0): "relu6",
    ("leaky_relu", 0.01): "leaky_relu",
}


def _dtypes(x: DType, w: DType, out: DTypeLike | None) -> tuple[str, str, str]:
    """Return the names of the types of x and w in the problem, and of the result.

    Types that are promoted are promoted here, so that problems stay few. Two integer types stay
    apart, since their products are exact in a wider one, and so do integers under float weights
    whose result is an integer again: the usual case is an image of bytes.
    """
    x_name, w_name = dtype_name(x, "x"), dtype_name(w, "w")
    wanted = None if out is None else _out_dtype(out)
    if not (is_integer(x_name) and (is_integer(w_name) or (wanted and is_integer(wanted)))):
        x_name = w_name = promoted(x_name, w_name)
    result = wanted or result_dtype(x_name, w_name)
    if is_complex(promoted(x_name, w_name)) and not is_complex(result):
        raise TypeError(f"out_dtype={out!r}: sums of x ({x}) times w ({w}) are complex")
    return x_name, w_name, result


def _out_dtype(out: DTypeLike) -> str:
    try:
        name = "bfloat16" if isinstance(out, str) and out == "bfloat16" else np.dtype(out).name
    except TypeError:
        name = ""
    if name not in NAMES or name == "bool":
        raise TypeError(f"out_dtype={out!r}: expected one of {', '.join(NAMES[1:])}")
    return name


def dtype_name(dtype: DType, name: str) -> str:
    """Return the name of a dtype that can be convolved."""
    known = _known_name(dtype)
    if known is None:
        raise TypeError(f"{name} has dtype {dtype}: expected one of {', '.join(NAMES)}")
    return known


@cache  # NumPy puts the name together anew each time, in 15 us
def _known_name(dtype: DType) -> str | None:
    return dtype.name if dtype.name in NAMES and dtype.char not in "gG" else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


# --- the arrays -----------------------------------------------------------------------------

# Device types of DLPack whose memory the CPU can read, and the names of others.
_HOST = {1, 3, 11, 13}
_DEVICES = {2: "cuda", 4: "opencl", 7: "vulkan", 8: "metal", 10: "rocm", 14: "oneapi"}


def check_devices(**arrays: object) -> None:
    """Refuse arrays that are not in the memory of the CPU, or not in the same place."""
    places = {name: _device(array) for name, array in arrays.items() if array is not None}
    if all(place == "the CPU" for place in places.values()):
        return
    said = " and ".join(f"{name} is on {place}" for name, place in places.items())
    if len(set(places.values())) > 1:
        raise TypeError(f"{said}: move them to one device")
    raise BackendUnavailableError(f"{said}: no backend of this installation computes there")


def _device(array: object) -> str:
    if type(array) is np.ndarray:
        return "the CPU"
    if hasattr(array, "__dlpack_device__"):
        kind, index = array.__dlpack_device__()
        return "the CPU" if kind in _HOST else f"{_DEVICES.get(kind, f'device {kind}')}:{index}"
    return "cuda:0" if hasattr(array, "__cuda_array_interface__") else "the CPU"


def exporter(x: object) -> Callable[[Array], Any] | None:
    """Return what turns a result into an array of the library of `x`; None for NumPy's own."""
    if isinstance(x, np.ndarray) or not hasattr(x, "__dlpack__"):
        return None
    if hasattr(x, "__array_namespace__"):
        library = x.__array_namespace__()
    else:
        library = sys.modules.get(type(x).__module__.partition(".")[0])
    export = getattr(library, "from_dlpack", None)
    if export is None:
        raise TypeError(
            f"x is a {type(x).__module__}.{type(x).__qualname__}, whose library has no from_dlpack "
            f"to return a result in: pass numpy.asarray(x)"
        )
    return cast("Callable[[Array], Any]", export)


def as_array(value: object, name: str) -> Array:
    """Return `value` as a plain ndarray of a dtype that can be convolved, copying no array."""
    masked = sys.modules.get("numpy.ma")  # NumPy loads it on first use
    if masked is not None and isinstance(value, masked.MaskedArray):
        raise TypeError(
            f"{name} is a masked array: fill it, with NaN and nan_policy='omit' if what is masked "
            f"is to count as missing"
        )
    if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
        array = _from_dlpack(value, name)
    else:
        try:
            array = np.asarray(value)
        except ValueError as error:
            raise ValueError(f"{name} is no array: {error}") from error
    dtype_name(array.dtype, name)
    return array


def _from_dlpack(value: Any, name: str) -> Array:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(
            f"{name} ({type(value).__module__}.{type(value).__qualname__}) cannot be read: {error}"
        ) from error


def native(array: Array, dtype: DType) -> Array:
    """Return `array` in `dtype`, aligned; itself if it is so already."""
    if array.dtype == dtype and array.flags.aligned:
        return array
    with np.errstate(all="ignore"):
        return np.array(array, dtype=dtype, order="K", subok=False)


def as_x(value: object, form: Form) -> Array:
    """Return x for a plan made before: of its shape, and of a dtype it can take."""
    array = as_array(value, "x")
    if array.shape != form.x_shape:
        raise ShapeError(f"x has shape {array.shape}; this plan is for {form.x_shape}")
    # Python numbers come as float64 and int64, which nobody asked for.
    casting: Literal["same_kind", "safe"] = "safe" if hasattr(value, "dtype") else "same_kind"
    wide = real_dtype(form.problem.dtype)
    if array.dtype.newbyteorder("=") != form.x_dtype and not np.can_cast(
        array.dtype, wide, casting
    ):
        raise TypeError(f"x has dtype {array.dtype}; this plan is for {form.x_dtype}")
    return array


def as_bias(value: object, form: Form) -> Array | None:
    """Return bias in the type in which it is added."""
    if value is None:
        return None
    array = as_array(value, "bias")
    if array.shape != (form.problem.out_channels,):
        raise ShapeError(
            f"bias has shape {array.shape}; expected ({form.problem.out_channels},), one for each "
            f"output channel of w (shape {form.w_shape})"
        )
    return _addend(array, "bias", form)


def as_residual(value: object, form: Form) -> Array | None:
    """Return residual in the type in which it is added, in the caller's shape."""
    if value is None:
        return None
    array = as_array(value, "residual")
    if array.shape != form.y_shape:
        raise ShapeError(
            f"residual has shape {array.shape}; expected that of the result, {form.y_shape}"
        )
    return _addend(array, "residual", form)


def _addend(array: Array, name: str, form: Form) -> Array:
    target = form.problem.bias_dtype
    own = dtype_name(array.dtype, name)
    kinds = [2 * is_complex(d) + (not is_integer(d)) for d in (own, target)]
    if kinds[0] > kinds[1]:
        raise TypeError(f"{name} has dtype {array.dtype}, but is added to {target}")
    converted = native(array, real_dtype(target))
    if is_integer(target) and not np.array_equal(converted, array):
        raise ValueError(f"{name} has values that {target}, to which it is added, cannot hold")
    return converted


def as_out(value: Any, form: Form, **inputs: Array) -> Array:
    """Return `out` as an array that the result can be written to."""
    out = np.asarray(value) if isinstance(value, np.ndarray) else None
    if out is None and hasattr(value, "__dlpack__"):
        out = _from_dlpack(value, "out")
    if out is None:
        raise TypeError(f"out is a {type(value).__name__}: expected an array to write to")
    dtype = real_dtype(form.problem.out_dtype)
    if out.shape != form.y_shape or out.dtype != dtype:
        raise ShapeError(
            f"out has shape {out.shape} and dtype {out.dtype}; expected {form.y_shape} and {dtype}"
        )
    if not out.flags.writeable:
        raise ValueError("out is read-only: expected an array to write to")
    for name, array in inputs.items():
        if _overlap(out, array):
            raise ValueError(f"out shares memory with {name}: pass an array of its own")
    return out


def _overlap(a: Array, b: Array) -> bool:
    """Whether two arrays share an element; yes if that is hard to tell."""
    if not np.may_share_memory(a, b):
        return False
    try:
        # Strides of images are settled within a few steps; a hostile pair could take years.
        return np.shares_memory(a, b, max_work=cast("Any", 10_000))
    except np.exceptions.TooHardError:
        return True


def check_fits(name: str, shape: tuple[int, ...], dtype: DType) -> None:
    """Refuse an array that no memory can hold."""
    nbytes = prod(shape) * dtype.itemsize
    if nbytes > MAX_BYTES:
        raise MemoryError(
            f"{name} of shape {shape} and dtype {dtype} needs {nbytes} bytes, more than a process "
            f"can address"
        )


def empty(shape: tuple[int, ...], dtype: DType) -> Array:
    """Return a new array for the result."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError) as error:  # ValueError: NumPy's word for an impossible size
        nbytes = prod(shape) * dtype.itemsize
        raise MemoryError(
            f"y of shape {shape} and dtype {dtype} needs {nbytes} bytes, which cannot be had"
        ) from error
