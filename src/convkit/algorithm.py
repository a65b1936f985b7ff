"""What an algorithm is: a few questions asked of a problem, and the work itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from convkit.problem import ConvProblem

Array = NDArray[Any]


class Algorithm(ABC):
    """One way of computing a convolution on one backend.

    Algorithms hold no state: what is prepared once per weight array goes into
    the value `prepare` returns, which a plan keeps and hands back to `run`.

    Arrays come as views of shape (batch, channels, *size) with any strides:
    layouts are views, so an algorithm need not know them.
    """

    name: ClassVar[str]
    backend: ClassVar[str]

    @abstractmethod
    def why_not(self, problem: ConvProblem) -> str | None:
        """Return why this algorithm cannot take `problem`, as a clause, or None if it can."""

    @abstractmethod
    def cost(self, problem: ConvProblem) -> float:
        """Estimate the run time of `problem` in seconds."""

    @abstractmethod
    def prepare(self, problem: ConvProblem, weights: Array) -> Any:
        """Return `weights`, of shape (out_channels, in_channels // groups, *kernel_size), in the
        layout `run` wants; paid once per plan."""

    @abstractmethod
    def run(
        self,
        problem: ConvProblem,
        prepared: Any,
        x: Array,
        bias: Array | None,
        residual: Array | None,
        out: Array,
    ) -> None:
        """Write activation(conv(x) + bias + residual) into `out`.

        `x` is of the problem's dtype, `bias` (out_channels,) and `residual`, of the shape of
        `out`, are of its out_dtype; all are native-endian and aligned.
        """

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """Bytes a call needs beside its arguments, its result and the prepared weights."""
        return 0

    def error_bound(self, problem: ConvProblem) -> float:
        """Return c such that |error| <= c * u * sum(|x| * |w|) for every output, with u the unit
        roundoff of the dtype; 0 for exact arithmetic."""
        return 4 + problem.reduction / 64

    def quick(self, problem: ConvProblem, prepared: Any) -> Callable[[Array, Array], int] | None:
        """Return a function of (x, out) that skips `run`'s preliminaries, or None.

        It is called with C-contiguous-or-not arrays of exactly the plan's public shapes and
        dtypes, and answers 0 when it did the work; anything else sends the call through `run`.
        """
        return None

    def quick_call(self, problem: ConvProblem) -> Callable[[Array, Array, Array], int] | None:
        """Return the like of `quick` for (x, w, out) with weights that are packed on the way."""
        return None

    def supports(self, problem: ConvProblem) -> bool:
        """Whether this algorithm can take `problem`."""
        return self.why_not(problem) is None


def real_dtype(name: str) -> np.dtype[Any]:
    """Return the dtype of `name`, also of those that ml_dtypes adds (bfloat16)."""
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)
