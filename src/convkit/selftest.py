"""Run every compiled kernel on every instruction set of this CPU: `python -m convkit.selftest`.

Each kernel computes the problems of a table that sit on the edges of its register tiles, and all
of every result must lie within the error bound around the reference. CONVKIT_ISA restricts the
run to one instruction set.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from convkit.algorithm import Array
from convkit.backends.numpy.direct import ALGORITHM as REFERENCE
from convkit.dtypes import unit_roundoff
from convkit.errors import BackendUnavailableError
from convkit.problem import ConvProblem

if TYPE_CHECKING:
    from convkit.backends.native.direct import NativeDirect

__all__ = ["main"]

# Sizes around the multiples of a vector's lanes (2 to 16) and a tile's pixels (5 to 14).
EDGES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 27, 28, 29, 31, 32, 33, 63, 64, 65, 129)
TAPS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33, 64, 65, 100)
MODES = ("reflect", "symmetric", "replicate", "circular", "constant:1.5", "circular,reflect")
ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "leaky_relu:0.3", "clip:-1:2"),
    *("sigmoid", "tanh", "silu", "gelu", "hardswish"),
)

LINES = (
    *(f"conv1d n2 c1 o1 i{size} k3 p1" for size in EDGES),
    *(f"conv1d n1 c1 o1 i{size + 99} k{taps}" for size, taps in product((33, 300), TAPS)),
    *(f"conv1d n1 c3 o{size} i20 k3 p1" for size in EDGES),
    *(f"conv1d n1 c{size} o5 i11 k2" for size in EDGES),
    *(f"conv2d n1 c1 o1 i9x{size} k3x3 p1x1" for size in EDGES),
    *(f"conv2d n1 c1 o1 i{size}x9 k5x3 p2x1" for size in EDGES),
    *(f"conv2d n1 c2 o18 i4x{size} k3x3 p1x1" for size in EDGES),
    *(f"conv2d n2 c17 o{size} i6x7 k1x1" for size in EDGES),
    *(f"conv2d n1 c1 o1 i11x37 k5x5 p2x2 {mode}" for mode in MODES),
    *(f"conv2d n1 c2 o17 i11x12 k5x5 p2x2 {mode}" for mode in MODES),
    *(f"conv2d n1 c3 o5 i9x9 k3x3 {activation}" for activation in ACTIVATIONS),
    "conv2d n2 c3 o8 i17x19 k3x3 s2x2 p1x1",
    "conv2d n1 c3 o33 i23x21 k7x7 s2x3 p3x3",
    "conv2d n1 c4 o6 i12x40 k3x3 s1x4",
    "conv2d n1 c1 o1 i31x30 k5x4 s3x2 p2x2",
    "conv2d n1 c3 o4 i20x21 k3x3 p2x2 d2x2",
    "conv2d n1 c1 o1 i40x41 k3x3 d9x13",
    "conv2d n1 c2 o3 i9x8 k3x3 p4x4 u2x3",
    "conv2d n1 c1 o1 i9x8 k4x4 p3x3 u2x3 reflect",
    "conv2d n2 c6 o9 g3 i10x11 k3x3 p1x1",
    "conv2d n1 c20 o20 g20 i13x15 k3x3 p1x1",
    "conv2d n1 c8 o16 g8 i9x9 k5x5 p2x2",
    "conv2d n1 c64 o48 i7x7 k3x3 p1x1",
    "conv2d n1 c2 o5 i9x10 k3x3 p1:2x0:3",
    "conv2d n2 c5 o7 i9x8 k3x3 p1x1 channels_last",
    "conv3d n1 c1 o1 i5x6x17 k3x3x3 p1x1x1",
    "conv3d n2 c3 o9 i4x5x6 k2x3x3 s1x2x1 p1x1x1",
    "conv3d n1 c4 o4 g2 i6x6x6 k3x3x3 p2x2x2 d2x2x2 replicate",
    "conv2d n0 c3 o4 i8x8 k3x3",
    "conv2d n1 c0 o4 i8x8 k3x3",
)
DTYPES = ("float32", "float64")
BOARD_BYTES = 4096


@dataclass(frozen=True)
class Case:
    """A problem, its arguments, the answer and how far from it a result may lie."""

    problem: ConvProblem
    x: Array
    w: Array
    bias: Array
    expected: Array
    tolerance: Array

    def error(self, algorithm: NativeDirect, kernel: str, isa: str) -> float:
        """Return the largest error of a kernel in units of the tolerance; inf for a NaN."""
        y = np.full(self.expected.shape, np.nan, self.problem.out_dtype)
        prepared = algorithm.prepare(self.problem, self.w, isa=isa, kernel=kernel)
        algorithm.run(self.problem, prepared, self.x, self.bias, None, y)
        error = np.abs(y - self.expected) / self.tolerance
        return float(np.nan_to_num(error, nan=np.inf).max(initial=0.0))


@cache
def case(line: str, algorithm: NativeDirect) -> Case:
    """Return the case of `line`, with numbers that are the same in every run."""
    problem = ConvProblem.parse(line)
    rng = np.random.default_rng(0)
    shapes = (
        (problem.batch, problem.in_channels, *problem.in_size),
        (problem.out_channels, problem.in_channels // problem.groups, *problem.kernel_size),
        (problem.out_channels,),
    )
    x, w, bias = (rng.standard_normal(shape).astype(problem.dtype) for shape in shapes)
    linear = replace(problem, activation=None)
    magnitude = reference(linear, np.abs(x), np.abs(w), np.abs(bias))
    # A few roundings of bias and activation come on top; no activation is steeper than 1.5.
    bound = (algorithm.error_bound(problem) + 4) * (1.0 if problem.activation is None else 1.5)
    tolerance = bound * unit_roundoff(problem.dtype) * magnitude + np.finfo(problem.dtype).tiny
    return Case(problem, x, w, bias, reference(problem, x, w, bias), tolerance)


def reference(problem: ConvProblem, x: Array, w: Array, bias: Array) -> Array:
    """Return the answer of the reference in float64."""
    wide = replace(problem, dtype="float64", weight_dtype="float64", out_dtype="float64")
    x, w, bias = (array.astype("float64") for array in (x, w, bias))
    y = np.empty((wide.batch, wide.out_channels, *wide.out_size))
    REFERENCE.run(wide, REFERENCE.prepare(wide, w), x, bias, None, y)
    return y


def run(isa: str, board: mmap.mmap) -> None:
    """Run every kernel of an instruction set, keeping on the board how far that has come."""
    from convkit.backends.native import kernel_names
    from convkit.backends.native.direct import ALGORITHM

    start = time.perf_counter()
    largest, passed, failed = 0.0, 0, 0
    for line, kernel in product(lines(), kernel_names()):
        note(board, passed, failed, f"{kernel} {isa}: {line}")
        problem = ConvProblem.parse(line)
        if ALGORITHM.kernel_why_not(problem, kernel, isa) is not None:
            continue
        error = case(line, ALGORITHM).error(ALGORITHM, kernel, isa)
        if error <= 1:
            passed += 1
            largest = max(largest, error)
        else:
            failed += 1
            print(f"{kernel} {isa}: {line}: error is {error:.3g} times its bound", flush=True)
    note(board, passed, failed, "")
    print(
        f"selftest {isa:<17} {len(kernel_names())} kernels, {passed + failed} runs, "
        f"largest error {largest:.2f} of its bound, {time.perf_counter() - start:.1f} s",
        flush=True,
    )


def run_apart(isa: str) -> tuple[int, int]:
    """Run an instruction set in a process of its own; return how many runs passed and failed.

    A crash there, say on an instruction that the CPU lacks, is a failure with a name.
    """
    board = mmap.mmap(-1, BOARD_BYTES)
    child = os.fork()
    if child == 0:
        try:
            run(isa, board)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    passed, failed, doing = board[:].rstrip(b"\0").decode().split(" ", 2)
    if code == 0:
        return int(passed), int(failed)
    print(f"{doing}: {signal.Signals(-code).name if code < 0 else 'an exception'}", flush=True)
    return int(passed), int(failed) + 1


def note(board: mmap.mmap, passed: int, failed: int, doing: str) -> None:
    """Write on the board what outlives a crash."""
    board[:] = f"{passed} {failed} {doing}".encode().ljust(BOARD_BYTES, b"\0")


def lines() -> tuple[str, ...]:
    """Return the lines of all problems."""
    return tuple(f"{line} {dtype}" for dtype in DTYPES for line in LINES)


def main() -> int:
    """Run the self-test; return 0 if every kernel is right."""
    try:
        from convkit.backends import native

        isas = (native.isa(),) if os.environ.get("CONVKIT_ISA") else native.isas()
    except BackendUnavailableError as error:
        print(f"selftest: nothing to run: {error}")
        return 0
    counts = [run_apart(isa) for isa in isas]
    passed, failed = (sum(column) for column in zip(*counts, strict=True))
    print(f"selftest: {passed} passed" + (f", {failed} failed" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
