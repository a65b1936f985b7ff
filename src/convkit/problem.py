"""The one value that says what is to be computed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import Literal, TypeAlias

Op: TypeAlias = Literal["forward", "input_grad", "weight_grad"]
Mode: TypeAlias = (
    Literal["zeros", "reflect", "symmetric", "replicate", "circular"] | tuple[Literal["constant"], float]
)
Activation: TypeAlias = (
    Literal["relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "gelu", "hardswish"]
    | tuple[Literal["clip"], float, float]
    | tuple[Literal["leaky_relu"], float]
)
Layout: TypeAlias = Literal["channels_first", "channels_last"]
Accuracy: TypeAlias = Literal["strict", "default", "fast"]
NanPolicy: TypeAlias = Literal["propagate", "omit"]


@dataclass(frozen=True, slots=True)
class ConvProblem:
    """Everything that identifies a convolution, in one hashable value.

    Two calls with equal problems do the same work, whatever their arguments
    looked like: "same" padding, an int stride, a batch of one are all spelled
    out by the time a problem exists. It is the key of the tuning cache and the
    only thing a selector looks at.

    Attributes
    ----------
    op : {"forward", "input_grad", "weight_grad"}
        What is computed; a transposed convolution is an "input_grad".
    in_size, kernel_size, stride, dilation, input_dilation : tuple of int
        One entry per convolved axis. `in_size` is that of x, before input
        dilation and padding.
    padding : tuple of (int, int)
        Elements added before and after, per convolved axis.
    dtype, weight_dtype, out_dtype : str
        NumPy's names, of x, w and the result.
    boundary : tuple
        Padding mode per convolved axis.
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

    @property
    def rank(self) -> int:
        """Number of convolved axes."""
        return len(self.in_size)

    @property
    def padded_size(self) -> tuple[int, ...]:
        """Input extent per convolved axis after input dilation and padding."""
        return tuple(
            (max(0, (n - 1) * d + 1) if n else 0) + before + after
            for n, d, (before, after) in zip(self.in_size, self.input_dilation, self.padding, strict=True)
        )

    @property
    def out_size(self) -> tuple[int, ...]:
        """Output extent per convolved axis."""
        return tuple(
            (n - d * (k - 1) - 1) // s + 1
            for n, k, s, d in zip(
                self.padded_size, self.kernel_size, self.stride, self.dilation, strict=True
            )
        )

    @property
    def reduction(self) -> int:
        """Products summed into one output element."""
        return self.in_channels // self.groups * prod(self.kernel_size)

    @property
    def macs(self) -> int:
        """Multiply-adds of the direct algorithm."""
        return self.batch * self.out_channels * prod(self.out_size) * self.reduction
