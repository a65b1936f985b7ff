"""Filters that are outer products, one axis after the other, on csrc/kernels/conv_separable_*.c."""

from __future__ import annotations

from math import sqrt

from convkit.backends.native._kernels import Kernels
from convkit.problem import ConvProblem


class NativeSeparable(Kernels):
    """A filter per axis, fused in one pass over the rows; boxes by sums of doubling length."""

    name = "separable"

    def why_not(self, problem: ConvProblem) -> str | None:
        """Take filters that were found to be an outer product, within their own rounding."""
        if problem.structure == "dense":
            return "the filter is not known to be an outer product of one filter per axis"
        return super().why_not(problem)

    def error_bound(self, problem: ConvProblem) -> float:
        """Return the bounds of the sums along the axes, and of the factors' own roundings."""
        return 8 + sum(4 + 2 * sqrt(k) for k in problem.kernel_size)


ALGORITHM = NativeSeparable()
