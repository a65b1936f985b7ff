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
from typing import TYPE_CHECKING, cast

import numpy as np

from convkit import registry
from convkit.algorithm import Array
from convkit.backends.numpy.direct import ALGORITHM as REFERENCE
from convkit.dtypes import is_complex, is_integer, unit_roundoff
from convkit.errors import BackendUnavailableError
from convkit.problem import ConvProblem

if TYPE_CHECKING:
    from convkit.backends.native._kernels import Kernels

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
# Images: kernels of their own for filters that are outer products, and for images of bytes.
IMAGES = (
    *(
        f"conv2d n1 c1 o1 i{size}x35 k{k}x{k} p2x2 reflect"
        for size, k in product((9, 40), TAPS[1:8])
    ),
    *(f"conv2d n3 c1 o1 i11x{size} k5x5 p2x2 replicate batch_last" for size in EDGES),
    *(f"conv2d n1 c1 o1 i12x{size} k3x5 p1x2 symmetric" for size in EDGES),
)
STRUCTURES = ("separable", "box")
BYTES = ("uint8*float32->uint8", "uint8*int8->int32", "uint8*int8->uint8")
FLOATS = ("float32", "float64", "complex64", "complex128")
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

    def error(self, algorithm: Kernels, kernel: str, isa: str) -> float:
        """Return the largest error of a kernel in units of the tolerance; inf for a NaN."""
        y = np.full(self.expected.shape, 77, self.problem.out_dtype)
        y = y if is_integer(self.problem.out_dtype) else np.full_like(y, np.nan)
        prepared = algorithm.prepare(self.problem, self.w, isa=isa, kernel=kernel)
        algorithm.run(self.problem, prepared, self.x, self.bias, None, y)
        error = np.abs(y.astype(self.expected.dtype) - self.expected) / self.tolerance
        return float(np.nan_to_num(error, nan=np.inf).max(initial=0.0))


@cache
def case(line: str, algorithm: Kernels) -> Case:
    """Return the case of `line`, with numbers that are the same in every run."""
    problem = p = ConvProblem.parse(line)
    rng = np.random.default_rng(0)
    x = draw(rng, p.dtype, (p.batch, p.in_channels, *p.in_size))
    w_shape = (p.out_channels, p.in_channels // p.groups, *p.kernel_size)
    w = draw(rng, p.weight_dtype, w_shape)
    bias = draw(rng, p.bias_dtype, (p.out_channels,))
    if p.structure == "separable":
        w = (w[..., :1] * w[..., :1, :]).astype(w.dtype)
    elif p.structure == "box":
        w = np.full_like(w, w.flat[0])
    expected = reference(problem, x, w, bias)
    if is_integer(p.out_dtype):
        off = 0.5 if is_integer(p.weight_dtype) else 1.5  # exact, or the next level beside a half
        return Case(problem, x, w, bias, expected, np.full(expected.shape, off))
    linear = replace(problem, activation=None)
    magnitude = np.abs(reference(linear, np.abs(x), np.abs(w), np.abs(bias)))
    if algorithm.error_norm == "normwise":
        magnitude = magnitude + np.linalg.norm(x) * np.linalg.norm(w)
    # A few roundings of bias and activation come on top; no activation is steeper than 1.5.
    bound = (algorithm.error_bound(problem) + 4) * (1.0 if problem.activation is None else 1.5)
    tolerance = bound * unit_roundoff(problem.dtype) * magnitude + np.finfo(problem.dtype).tiny
    return Case(problem, x, w, bias, expected, tolerance)


def draw(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Array:
    """Draw numbers of a dtype."""
    if is_integer(dtype):
        return rng.integers(0, 120, shape).astype(dtype)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if is_complex(dtype) else values).astype(dtype)


def reference(problem: ConvProblem, x: Array, w: Array, bias: Array) -> Array:
    """Return the answer of the reference in float64 or complex128."""
    name = "complex128" if is_complex(problem.dtype) else "float64"
    wide = replace(problem, dtype=name, weight_dtype=name, out_dtype=name)
    x, w, bias = (array.astype(name) for array in (x, w, bias))
    y = np.empty((wide.batch, wide.out_channels, *wide.out_size), name)
    REFERENCE.run(wide, REFERENCE.prepare(wide, w), x, bias, None, y)
    if not is_integer(problem.out_dtype):
        return y
    bounds = np.iinfo(problem.out_dtype)
    return np.rint(y).clip(bounds.min, bounds.max)


def run(isa: str, board: mmap.mmap) -> None:
    """Run every kernel of an instruction set, keeping on the board how far that has come."""
    from convkit.backends.native import kernels, text

    start = time.perf_counter()
    largest, passed, failed, count = 0.0, 0, 0, 0
    for algorithm in registry.algorithms("native"):
        family = cast("Kernels", algorithm)
        for kernel in family.kernel_names():
            if text(kernels(kernel)[isa].isa) != isa:
                continue  # that of the next lesser instruction set
            count += 1
            for line in lines():
                if family.name != "separable" and line.split()[-2] in STRUCTURES:
                    continue  # to all others a filter like any other
                note(board, passed, failed, f"{kernel} {isa}: {line}")
                if family.kernel_why_not(ConvProblem.parse(line), kernel, isa) is not None:
                    continue
                error = case(line, family).error(family, kernel, isa)
                if error <= 1:
                    passed += 1
                    largest = max(largest, error)
                else:
                    failed += 1
                    print(
                        f"{kernel} {isa}: {line}: error is {error:.3g} times its bound", flush=True
                    )
    note(board, passed, failed, "")
    print(
        f"selftest {isa:<17} {count} kernels, {passed + failed} runs, "
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


@cache
def lines() -> tuple[str, ...]:
    """Return the lines of all problems."""
    structured = [f"{line} {name}" for name in STRUCTURES for line in IMAGES]
    return (
        *(f"{line} {dtype}" for dtype in FLOATS[:2] for line in (*LINES, *structured)),
        *(f"{line} {dtype}" for dtype in FLOATS[2:] for line in LINES if not has_activation(line)),
        *(f"{line} {dtype}" for dtype in BYTES for line in IMAGES),
    )


def has_activation(line: str) -> bool:
    """Whether the last word of a line is an activation: complex numbers have none."""
    return line.split()[-1] in ACTIVATIONS


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
