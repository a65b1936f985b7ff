"""The one value that says what is to be computed."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, TypeAlias, get_args

from convkit.dtypes import NAMES, is_integer, result_dtype

Op: TypeAlias = Literal["forward", "input_grad", "weight_grad"]
ModeName: TypeAlias = Literal["zeros", "reflect", "symmetric", "replicate", "circular"]
Mode: TypeAlias = ModeName | tuple[Literal["constant"], float]
ActivationName: TypeAlias = Literal[
    "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "gelu", "hardswish"
]
Activation: TypeAlias = (
    ActivationName | tuple[Literal["clip"], float, float] | tuple[Literal["leaky_relu"], float]
)
Layout: TypeAlias = Literal["channels_first", "channels_last", "batch_last"]
Structure: TypeAlias = Literal["dense", "separable", "box"]
# How a caller's filter becomes weights: `convolve` flips it along its convolved axes, `correlate`
# conjugates it if it is complex; that of a transposed convolution is flipped as well, its channels
# in and out change places.
WForm: TypeAlias = Literal["as is", "flipped", "conjugated", "transposed"]
Accuracy: TypeAlias = Literal["strict", "default", "fast"]
NanPolicy: TypeAlias = Literal["propagate", "omit"]


@dataclass(frozen=True, slots=True)
class ConvProblem:
    """Everything that identifies a convolution, in one hashable value.

    Two calls with equal problems do the same work, whatever their arguments looked like: "same"
    padding, an int stride, a batch of one are all spelled out by the time a problem exists. It is
    the key of the tuning cache and the only thing a selector looks at.

    Attributes
    ----------
    op : {"forward", "input_grad", "weight_grad"}
        What is computed. A transposed convolution is a forward one of an input that is dilated.
    in_size, kernel_size, stride, dilation, input_dilation : tuple of int
        One entry per convolved axis, in elements. `in_size` is that of x, before input dilation
        and padding.
    padding : tuple of (int, int)
        Elements added before and after, per convolved axis.
    dtype, weight_dtype, out_dtype : str
        NumPy's names, of x, w and the result.
    boundary : tuple
        Padding mode per convolved axis.
    layout : {"channels_first", "channels_last", "batch_last"}
        Order of the axes of x and y in memory: (N, C, *size), (N, *size, C), or, of problems of
        one channel, (*size, N).
    structure : {"dense", "separable", "box"}
        What is known of each channel's weights: nothing, that they are the outer product of one
        filter per axis, or that they all are the same number.

    Examples
    --------
    >>> problem = ConvProblem.parse("conv2d n1 c3 o64 i224x224 k7x7 s2x2 p3x3 float32")
    >>> problem.out_size
    (112, 112)
    >>> problem.macs
    118013952
    >>> print(problem)
    conv2d n1 c3 o64 i224x224 k7x7 s2x2 p3x3 float32
    """

    op: Op
    batch: int
    groups: int
    in_channels: int
    out_channels: int
    in_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dtype: str
    weight_dtype: str
    out_dtype: str
    boundary: tuple[Mode, ...]
    activation: Activation | None = None
    layout: Layout = "channels_first"
    accuracy: Accuracy = "default"
    nan_policy: NanPolicy = "propagate"
    structure: Structure = "dense"

    @property
    def rank(self) -> int:
        """Number of convolved axes."""
        return len(self.in_size)

    @property
    def dilated_size(self) -> tuple[int, ...]:
        """Input extent per convolved axis after input dilation."""
        return tuple(map(dilated, self.in_size, self.input_dilation))

    @property
    def padded_size(self) -> tuple[int, ...]:
        """Input extent per convolved axis after input dilation and padding."""
        return tuple(n + sum(pads) for n, pads in zip(self.dilated_size, self.padding, strict=True))

    @property
    def out_size(self) -> tuple[int, ...]:
        """Output extent per convolved axis."""
        reach = map(dilated, self.kernel_size, self.dilation)
        return tuple(
            (n - r) // s + 1 for n, r, s in zip(self.padded_size, reach, self.stride, strict=True)
        )

    @property
    def reduction(self) -> int:
        """Products summed into one output element."""
        return self.in_channels // self.groups * prod(self.kernel_size)

    @property
    def macs(self) -> int:
        """Multiply-adds of the direct algorithm."""
        return self.batch * self.out_channels * prod(self.out_size) * self.reduction

    @property
    def bias_dtype(self) -> str:
        """Type of bias and residual: that of the sums, before they are rounded to `out_dtype`.

        It is `out_dtype`, unless that is an integer type into which the sums are squeezed: an int8
        result of int8 arrays takes its bias in int32, a uint8 result of floats in those floats.
        """
        sums = result_dtype(self.dtype, self.weight_dtype)
        if not is_integer(self.out_dtype):
            return self.out_dtype
        has_more_bits = sums == "int32" and self.out_dtype in ("uint32", "int64", "uint64")
        return "int64" if has_more_bits else sums

    def __str__(self) -> str:
        """Return the one line that names the problem everywhere; `parse` reads it back."""
        sizes = [letter + _join(getattr(self, name)) for letter, name in _SIZES.items()]
        pads = "p" + _join(b if b == a else f"{b}:{a}" for b, a in self.padding)
        modes = self.boundary if len(set(self.boundary)) > 1 else self.boundary[:1]
        words = [
            f"conv{self.rank}d" + ("" if self.op == "forward" else f"_{self.op}"),
            *(f"{letter}{getattr(self, name)}" for letter, name in _COUNTS.items()),
            *sizes,
            pads,
            ",".join(map(_value_word, modes)),
            _dtype_word(self.dtype, self.weight_dtype, self.out_dtype),
            *(_value_word(getattr(self, name)) for name in _CHOICES),
        ]
        left_out = {"g1", "p" + _join([0] * self.rank), "zeros", *_DEFAULT_CHOICES}
        left_out.update(letter + _join([1] * self.rank) for letter in "sdu")
        return " ".join(word for word in words if word not in left_out)

    @classmethod
    def parse(cls, line: str) -> ConvProblem:
        """Build the problem that `line` names.

        Parameters
        ----------
        line : str
            Words as `str` writes them, in any order after the first; defaults may be left out.

            ========================  ==========================================================
            ``conv2d``                convolved axes; ``conv2d_input_grad`` and so on for `op`
            ``n c o g``               batch, in_channels, out_channels, groups
            ``i k``                   in_size, kernel_size: ``i224x224``
            ``s d u``                 stride, dilation, input_dilation
            ``p3x3``, ``p0:1x2``      padding; ``0:1`` is none before and one after
            ``reflect``               boundary; ``reflect,zeros`` per axis, ``constant:1.5``
            ``float32``               dtype; ``uint8*float32->uint8`` for those of x, w and y
            ``relu``, ``clip:0:1``    activation, with its parameters
            ``channels_last``         layout; ``batch_last``
            ``strict``, ``fast``      accuracy
            ``omit``                  nan_policy
            ``separable``, ``box``    structure
            ========================  ==========================================================

        Raises
        ------
        ValueError
            If a word is none of these, is missing or given twice, or the sizes do not fit
            together.

        Examples
        --------
        >>> ConvProblem.parse("conv1d n1 c1 o1 i100 k5 p2 reflect int8").out_dtype
        'int32'
        """
        head, *words = line.split() or [""]
        match = re.fullmatch(_HEAD, head)
        if match is None:
            raise ValueError(f"{head!r} in problem {line!r}: expected conv1d, conv2d, ... first")
        rank = int(match[1])
        ones = (1,) * rank
        fields: dict[str, Any] = {"groups": 1, "stride": ones, "dilation": ones}
        fields |= {"input_dilation": ones, "padding": ((0, 0),) * rank}
        fields |= {"boundary": ("zeros",) * rank}
        given: dict[str, Any] = {"op": match[2] or "forward"}
        for word in words:
            read = _read_word(word, rank)
            if read is None:
                raise ValueError(f"{word!r} in problem {line!r} is no word of a {head} problem")
            if not given.keys().isdisjoint(read):
                raise ValueError(f"{word!r} in problem {line!r} gives {next(iter(read))} again")
            given |= read
        missing = [f"{x} ({name})" for x, name in _REQUIRED.items() if name not in given]
        if missing:
            raise ValueError(f"problem {line!r} lacks {', '.join(missing)}")
        problem = cls(**fields | given)
        _check_sizes(problem, line)
        return problem


_HEAD = r"conv([1-9])d(?:_(input_grad|weight_grad))?"
_COUNTS = {"n": "batch", "c": "in_channels", "o": "out_channels", "g": "groups"}
_SIZES = {
    **{"i": "in_size", "k": "kernel_size", "s": "stride", "d": "dilation"},
    "u": "input_dilation",
}
_REQUIRED = {
    **{"n": "batch", "c": "in_channels", "o": "out_channels", "i": "in_size", "k": "kernel_size"},
    "float32": "dtype",
}
# Fields written as one word each that says what it is of.
_CHOICES: dict[str, tuple[str, ...]] = {
    "activation": get_args(ActivationName),
    "layout": get_args(Layout),
    "accuracy": get_args(Accuracy),
    "nan_policy": get_args(NanPolicy),
    "structure": get_args(Structure),
}
_DEFAULT_CHOICES = {"None", "channels_first", "default", "propagate", "dense"}
_PARAMETERS = {"constant": 1, "clip": 2, "leaky_relu": 1}
_DTYPES = r"(\w+)(?:\*(\w+))?(?:->(\w+))?"


def dilated(size: int, dilation: int) -> int:
    """Return the extent of `size` elements spread by `dilation`."""
    return (size - 1) * dilation + 1 if size else 0


def number(value: float) -> float:
    """Return `value` as a float that equals itself also if it is NaN, so that problems do."""
    return math.nan if math.isnan(value) else float(value)


def _join(values: Iterable[object]) -> str:
    """Write sizes the way shapes are spoken: 3x3."""
    return "x".join(map(str, values))


def _value_word(value: object) -> str:
    """Write a mode, an activation or another choice: ("clip", 0.0, 6.5) is clip:0:6.5."""
    if not isinstance(value, tuple):
        return str(value)
    name, *parameters = value
    return ":".join([name, *(repr(float(p)).removesuffix(".0") for p in parameters)])


def _dtype_word(x: str, w: str, y: str) -> str:
    """Write three dtypes, leaving out what the others tell."""
    inputs = x if x == w else f"{x}*{w}"
    return inputs if y == result_dtype(x, w) else f"{inputs}->{y}"


def _read_word(word: str, rank: int) -> dict[str, Any] | None:
    """Return the fields that `word` gives, or None if it means nothing."""
    letter, digits = word[0], word[1:]
    if digits[:1].isdigit():
        return _read_sizes(letter, digits.split("x"), rank)
    dtypes = re.fullmatch(_DTYPES, word)
    if dtypes and {*dtypes.groups()} - {None} <= {*NAMES}:
        x, w = dtypes[1], dtypes[2] or dtypes[1]
        return {"dtype": x, "weight_dtype": w, "out_dtype": dtypes[3] or result_dtype(x, w)}
    for field, names in _CHOICES.items():
        value = _read_value(word, names)
        if value is not None:
            return {field: value}
    modes = tuple(_read_value(mode, get_args(ModeName)) for mode in word.split(","))
    if None in modes or len(modes) not in (1, rank):
        return None
    return {"boundary": modes if len(modes) == rank else modes * rank}


def _read_sizes(letter: str, entries: list[str], rank: int) -> dict[str, Any] | None:
    """Read what follows a letter: a count, one size per axis, or pairs of them for padding."""
    if letter == "p":
        pads = [tuple(map(_size, entry.split(":"))) for entry in entries]
        if len(pads) != rank or not all(len(p) in (1, 2) and None not in p for p in pads):
            return None
        return {"padding": tuple((pad[0], pad[-1]) for pad in pads)}
    sizes = tuple(map(_size, entries))
    least = 1 if letter in "gksdu" else 0
    if any(size is None or size < least for size in sizes):
        return None
    if letter in _COUNTS:
        return {_COUNTS[letter]: sizes[0]} if len(sizes) == 1 else None
    return {_SIZES[letter]: sizes} if letter in _SIZES and len(sizes) == rank else None


def _size(digits: str) -> int | None:
    return int(digits) if digits.isascii() and digits.isdigit() else None


def _read_value(word: str, names: tuple[str, ...]) -> Any:
    """Read a name of `names`, or one with parameters: clip:0:6.5 is ("clip", 0.0, 6.5)."""
    name, *parameters = word.split(":")
    if not parameters:
        return name if name in names else None
    owner = "zeros" if name == "constant" else "relu"  # a name of the list it belongs to
    if _PARAMETERS.get(name) != len(parameters) or owner not in names:
        return None
    try:
        return (name, *(number(float(p)) for p in parameters))
    except ValueError:
        return None


def _check_sizes(problem: ConvProblem, line: str) -> None:
    """Refuse groups that do not divide the channels, and kernels larger than what they slide on."""
    if problem.in_channels % problem.groups or problem.out_channels % problem.groups:
        raise ValueError(f"'g{problem.groups}' in problem {line!r} does not divide c and o")
    if min(problem.out_size) < 1:
        raise ValueError(
            f"'k{_join(problem.kernel_size)}' in problem {line!r} is larger than the padded input"
        )
