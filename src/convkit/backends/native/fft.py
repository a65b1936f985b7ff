"""Convolution by fast Fourier transforms of overlapping blocks, on csrc/kernels/conv_fft_*.c."""

from __future__ import annotations

from convkit.backends.native._kernels import Kernels, transform_bound
from convkit.problem import ConvProblem


class NativeFft(Kernels):
    """Overlap-save [1]_: blocks of x and the filter are multiplied as spectra.

    A block with an output that is not finite is computed again directly, so that NaN and Inf stay
    where direct summation has them.

    .. [1] A. Oppenheim, R. Schafer, "Discrete-Time Signal Processing", section 8.7.
    """

    name = "fft"
    error_norm = "normwise"

    def why_not(self, problem: ConvProblem) -> str | None:
        """Take what the accuracy asked for allows: no bound holds for every element."""
        if problem.accuracy == "strict":
            return "accuracy is strict, and a transform is only accurate beside its largest element"
        return super().why_not(problem)

    def error_bound(self, problem: ConvProblem) -> float:
        """Return c of |error| <= c u |x| |w|, in 2-norms over the x of an output's channel."""
        return transform_bound(problem)


ALGORITHM = NativeFft()
