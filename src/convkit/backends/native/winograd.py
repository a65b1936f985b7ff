"""3 x 3 layers by fewer products than taps, on the kernels csrc/kernels/conv_winograd_*.c."""

from __future__ import annotations

from convkit.backends.native import ffi, text
from convkit.backends.native._kernels import Kernels
from convkit.dtypes import is_integer
from convkit.problem import ConvProblem

# Of |error| <= c u |x| |w|, by the extent of a tile of outputs.
BOUNDS = {"2x2": 16.0, "4x4": 128.0}
TAPS = 9
# Bytes of weights that are transformed in a second, beside the clock of the kernels' own costs.
WRITTEN_PER_SECOND = 4e9


class NativeWinograd(Kernels):
    """Toom-Cook tiles [1]_: channels are summed at points of polynomials, 2 to 4 times cheaper.

    An output that is not finite is computed again directly, so that NaN and Inf stay where direct
    summation has them.

    .. [1] A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016.
    """

    name = "winograd"
    error_norm = "normwise"

    def why_not(self, problem: ConvProblem) -> str | None:
        """Take what the accuracy asked for allows: no bound holds for every element."""
        if problem.accuracy == "strict":
            return "accuracy is strict, and tiles are only accurate beside their largest element"
        if is_integer(problem.dtype):
            return f"dtype is {problem.dtype}, and tiles round"
        return super().why_not(problem)

    def call_cost(self, problem: ConvProblem) -> float:
        """Count what is written of weights beyond what direct sums have packed."""
        decision = self._decide(problem)
        if not decision.conv.items:  # kernels are not asked about nothing
            return self.cost(problem)
        taps = problem.out_channels * problem.in_channels // problem.groups * TAPS
        more: int = decision.kernel.packed_bytes(decision.conv) - taps * ffi.sizeof("float")
        return self.cost(problem) + more / WRITTEN_PER_SECOND

    def error_bound(self, problem: ConvProblem) -> float:
        """Return c of |error| <= c u |x| |w|, in 2-norms over the x of an output's channel."""
        return BOUNDS[text(self._decide(problem).kernel.name).split("_")[2]]


ALGORITHM = NativeWinograd()
