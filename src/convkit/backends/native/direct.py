"""Direct convolution on the kernels csrc/kernels/conv_direct_*.c."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any

from convkit.algorithm import Array, WForm
from convkit.backends.native import _complex, _nested, _omit, _phases, _wide, text
from convkit.backends.native._kernels import (
    MAX_RANK,
    Kernels,
    _item_bytes,
    inner_problem,
    sum_dtype,
)
from convkit.problem import ConvProblem

# Products that the kernels for one channel add up before they begin a new sum.
CHAIN = 64


class NativeDirect(Kernels):
    """Register tiles of channels, pixels, rows or taps: sums in the order of the definition."""

    name = "direct"

    def why_not(self, problem: ConvProblem) -> str | None:
        """Take also what other convolutions make: NaN omitted, wide integers, many axes."""
        if problem.nan_policy == "omit":
            return _omit.why_not(problem) or self.why_not(_omit.propagating(problem))
        if _wide.is_wide(problem):
            return self.why_not(_wide.in_floats(problem))
        if problem.rank > MAX_RANK and sum_dtype(problem, rounds=False) is not None:
            return self.why_not(_nested.innermost(problem))
        if self._is_split(problem):
            return self.why_not(_complex.in_reals(problem))
        return super().why_not(problem)

    def error_bound(self, problem: ConvProblem) -> float:
        """Return that of sums of sums of at most 64 products, where kernels add up so."""
        if inner_problem(problem, self.name) is None:
            return super().error_bound(problem)
        name = text(self._decide(problem).kernel.name)
        if not name.startswith(("conv_direct_signal", "conv_direct_image")):
            return super().error_bound(problem)
        chain = min(CHAIN, problem.reduction)
        return 4 + 2 * sqrt(chain) + 2 * sqrt(problem.reduction / CHAIN)

    def cost(self, problem: ConvProblem) -> float:
        """Count every convolution that is made."""
        if problem.nan_policy == "omit":
            return 3 * self.cost(_omit.propagating(problem))
        if _wide.is_wide(problem):
            return self.cost(_wide.in_floats(problem)) + 4e-9 * self._elements(problem)
        if problem.rank > MAX_RANK:
            return _nested.count(problem) * (2e-5 + self.cost(_nested.innermost(problem)))
        if self._is_split(problem):
            return self.cost(_complex.in_reals(problem)) + 4e-9 * self._elements(problem)
        if _phases.is_phased(problem):
            parts = _phases.problems(problem)
            return sum(5e-6 + self.cost(p) for p in parts)
        return super().cost(problem)

    def workspace_bytes(self, problem: ConvProblem) -> int:
        """Count the sums that are kept between convolutions, and copies of x."""
        if problem.nan_policy == "omit":
            return 6 * 16 * self._elements(problem)
        if _wide.is_wide(problem):
            return 3 * 8 * self._elements(problem) + self.workspace_bytes(_wide.in_floats(problem))
        if problem.rank > MAX_RANK:
            inner = _nested.innermost(problem)
            return 2 * 16 * self._elements(problem) + self.workspace_bytes(inner)
        if self._is_split(problem):
            inner = _complex.in_reals(problem)
            return 2 * 16 * self._elements(problem) + self.workspace_bytes(inner)
        if _phases.is_phased(problem):
            parts = _phases.problems(problem)
            copies = 2 * _item_bytes(problem.out_dtype) * self._elements(problem)
            return copies + max(map(self.workspace_bytes, parts), default=0)
        return super().workspace_bytes(problem)

    def prepare(
        self,
        problem: ConvProblem,
        weights: Array,
        isa: str | None = None,
        kernel: str | None = None,
    ) -> Any:
        """Pack the weights of every convolution that is made."""
        if problem.nan_policy == "omit":
            return _omit.prepare(self, problem, weights, isa=isa, kernel=kernel)
        if _wide.is_wide(problem):
            return _wide.prepare(self, problem, weights, isa=isa, kernel=kernel)
        if problem.rank > MAX_RANK:
            return _nested.prepare(self, problem, weights, isa=isa, kernel=kernel)
        if self._is_split(problem):
            return _complex.prepare(self, problem, weights, isa=isa, kernel=kernel)
        if kernel is None and _phases.is_phased(problem):
            return _phases.prepare(self, problem, weights, isa)
        return super().prepare(problem, weights, isa, kernel)

    def run(
        self,
        problem: ConvProblem,
        prepared: Any,
        x: Array,
        bias: Array | None,
        residual: Array | None,
        out: Array,
    ) -> None:
        """Run one kernel, or what is made of several runs."""
        if problem.nan_policy == "omit":
            _omit.run(self, problem, prepared, x, bias, residual, out)
        elif _wide.is_wide(problem):
            _wide.run(self, problem, prepared, x, bias, residual, out)
        elif problem.rank > MAX_RANK:
            _nested.run(self, problem, prepared, x, bias, residual, out)
        elif self._is_split(problem):
            _complex.run(self, problem, prepared, x, bias, residual, out)
        elif isinstance(prepared, _phases.Phased):
            _phases.run(self, problem, prepared, x, bias, residual, out)
        else:
            super().run(problem, prepared, x, bias, residual, out)

    def quick_call(
        self, problem: ConvProblem, w_form: WForm = "as is"
    ) -> Callable[[Array, Array, Array | None, Array], int] | None:
        """Pack the weights and run, where one kernel does all; take also wide integers."""
        if _phases.is_phased(problem):
            return None
        if _wide.is_wide(problem):
            return _wide.quick_call(self, problem, w_form)
        return super().quick_call(problem, w_form)

    def _is_split(self, problem: ConvProblem) -> bool:
        """Whether complex numbers are to be computed in parts."""
        forward = problem.op == "forward" and problem.rank <= MAX_RANK
        return (
            forward
            and _complex.why_not(problem) is None
            and inner_problem(problem, self.name) is None
        )


ALGORITHM = NativeDirect()
