"""What an algorithm is: a few questions asked of a problem, and the work itself."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from convkit.dtypes import Array, real_dtype
from convkit.problem import ConvProblem, WForm

__all__ = ["Algorithm", "Array", "WForm", "real_dtype"]


class Algorithm(ABC):
    """One way of computing a convolution on one backend.

    Algorithms hold no state: what is prepared once per weight array goes into the value `prepare`
    returns, which a plan keeps and hands back to `run`. If that value has an attribute `isa`, the
    plan shows it as the instruction set in use.

    Arrays come as views of shape (batch, channels, *size) with any strides: layouts are views, so
    an algorithm need not know them.
    """

    name: ClassVar[str]
    backend: ClassVar[str]
    # What `error_bound` is relative to: "componentwise", sum(|x| * |w|) of every output; or
    # "normwise", the 2-norm of its channel's x times that of its filter.
    error_norm: ClassVar[Literal["componentwise", "normwise"]] = "componentwise"

    @abstractmethod
    def why_not(self, problem: ConvProblem) -> str | None:
        """Return why this algorithm cannot take `problem`, as a clause, or None if it can."""

    @abstractmethod
    def cost(self, problem: ConvProblem) -> float:
        """Estimate the run time of `problem` in seconds."""

    def call_cost(self, problem: ConvProblem) -> float:
        """Estimate the time of a call that prepares the weights first, in seconds.

        `cost` alone where that takes as long as for others, next to nothing that is.
        """
        return self.cost(problem)

    @abstractmethod
    def prepare(self, problem: ConvProblem, weights: Array) -> Any:
        """Return `weights` in the layout that `run` wants; paid once per plan.

        `weights` has shape (out_channels, in_channels // groups, *kernel_size) and the problem's
        weight_dtype. The result shares no memory with it: a plan keeps the values it was made of.
        """

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

        `x` is of the problem's dtype, `out` of its out_dtype; `bias`, of shape (out_channels,),
        and `residual`, of that of `out`, are of its bias_dtype. All are native-endian and aligned.
        """

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """Bytes a call needs beside its arguments, its result and the prepared weights."""
        return 0

    def error_bound(self, problem: ConvProblem) -> float:
        """Return c such that |error| <= c * u * sum(|x| * |w|) for every output.

        Of an algorithm whose `error_norm` is "normwise" the sum is the product of two 2-norms. u is
        the unit roundoff of the result's dtype; integers have none and are exact. Here it is that
        of a running sum, whose roundings add up like steps of a random walk [1]_: with one large
        product among 256 small ones, 25 has been met.

        .. [1] N. Higham, T. Mary, "A new approach to probabilistic rounding error analysis", SIAM
           Journal on Scientific Computing 41, 2019.
        """
        return 4 + 2 * math.sqrt(problem.reduction)

    def quick(
        self, problem: ConvProblem, prepared: Any, bias: Array | None = None
    ) -> Callable[[Array, Array], int] | None:
        """Return a function of (x, out) that skips `run`'s preliminaries, or None.

        It adds `bias`, as `run` would; the array is the plan's own and does not change.

        It is called with arrays of the shapes that the plan's caller sees, of the problem's dtype
        and out_dtype, and answers 0 if it did the work. Anything else sends the call through
        `run`, and has to be the answer if it cannot vouch for strides, alignment, an `out` that is
        writeable and that `out` shares no memory with x. An exception, such as
        KeyboardInterrupt, passes.
        """
        return None

    def quick_call(
        self, problem: ConvProblem, w_form: WForm = "as is"
    ) -> Callable[[Array, Array, Array | None, Array], int] | None:
        """Return the like of `quick` for (x, w, bias, out), with weights packed on the way.

        w is as the caller has it: `w_form` says what makes it weights.

        Its `out` is a new array, so there is nothing to be asked about that one.
        """
        return None

    def supports(self, problem: ConvProblem) -> bool:
        """Whether this algorithm can take `problem`."""
        return self.why_not(problem) is None
