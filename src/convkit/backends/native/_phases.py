"""Dilated inputs, which transposed convolutions are: a convolution for each phase of the outputs.

Of x spread by u with zeros between its elements, an output sees the taps that fall on elements:
every (u / gcd(u, dilation))-th of them, and which these are repeats after u outputs. So the
outputs of one phase are a convolution of x itself with a part of the taps; no zero is multiplied.

    u = 2, K = 4    y[0] = w0 x[0] + w2 x[1]      phase 0, taps 0 and 2
                    y[1] = w1 x[1] + w3 x[2]      phase 1, taps 1 and 3
                    y[2] = w0 x[1] + w2 x[2]      phase 0
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, product
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from convkit import activations
from convkit.algorithm import Array
from convkit.backends.native._kernels import Kernels
from convkit.problem import ConvProblem


class Phase(NamedTuple):
    """The parts of x, w and y that belong to a phase; no problem where it has no taps."""

    problem: ConvProblem | None
    x: tuple[slice, ...]
    w: tuple[slice, ...]
    y: tuple[slice, ...]


class Line(NamedTuple):
    """A phase along one axis: where its x, taps and outputs are, and what pads its x."""

    x: slice
    w: slice
    y: slice
    in_size: int
    taps: int
    dilation: int
    padding: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Phased:
    """The prepared weights of every phase."""

    isa: str | None
    packed: tuple[Any, ...]


def is_phased(problem: ConvProblem) -> bool:
    """Whether phases are convolutions that the kernels do better than zeros between elements."""
    p = problem
    spread = [i for i, u in enumerate(p.input_dilation) if u > 1]
    is_signal = p.rank == 1 and p.in_channels == p.groups == p.out_channels
    plain = all(p.stride[i] == 1 and p.boundary[i] == "zeros" and p.in_size[i] for i in spread)
    return bool(spread) and plain and not is_signal  # of signals the kernels know phases


@lru_cache(maxsize=1024)
def phases(problem: ConvProblem) -> tuple[Phase, ...]:
    """Return the phases that have outputs."""
    p = problem
    found = []
    for lines in product(*(_lines(p, axis) for axis in range(p.rank))):
        inner = None
        if all(line.taps for line in lines):
            inner = replace(
                p,
                in_size=tuple(line.in_size for line in lines),
                kernel_size=tuple(line.taps for line in lines),
                dilation=tuple(line.dilation for line in lines),
                padding=tuple(line.padding for line in lines),
                input_dilation=(1,) * p.rank,
            )
        every = (slice(None), slice(None))
        x, w, y = ((*every, *(getattr(line, a) for line in lines)) for a in ("x", "w", "y"))
        found.append(Phase(inner, x, w, y))
    return tuple(found)


def problems(problem: ConvProblem) -> list[ConvProblem]:
    """Return the convolutions that `problem` is made of."""
    return [phase.problem for phase in phases(problem) if phase.problem is not None]


def _lines(p: ConvProblem, axis: int) -> list[Line]:
    """Return the phases along an axis; one, with everything, if x is not spread along it."""
    size, taps, outs = p.in_size[axis], p.kernel_size[axis], p.out_size[axis]
    step, dilation, before = p.input_dilation[axis], p.dilation[axis], p.padding[axis][0]
    every = slice(None)
    if step == 1:
        return [Line(every, every, every, size, taps, dilation, p.padding[axis])]
    shared = gcd(step, dilation)
    apart = step // shared
    lines = []
    for phase in range(min(step, outs)):
        count = -(-(outs - phase) // step)
        y = slice(phase, None, step)
        fit = [k for k in range(min(apart, taps)) if (phase + k * dilation - before) % step == 0]
        if not fit:
            lines.append(Line(every, slice(0), y, size, 0, 1, (0, 0)))
            continue
        own = len(range(fit[0], taps, apart))
        # The element under the first tap of the first output, and past that of the last.
        begin = (phase + fit[0] * dilation - before) // step
        end = begin + count + (own - 1) * (dilation // shared)
        x = slice(min(max(begin, 0), size), max(min(end, size), 0))
        if x.start >= x.stop:  # padding alone
            lines.append(Line(every, slice(0), y, size, 0, 1, (0, 0)))
            continue
        padding = (x.start - begin, end - x.stop)
        w = slice(fit[0], None, apart)
        lines.append(Line(x, w, y, x.stop - x.start, own, dilation // shared, padding))
    return lines


def prepare(family: Kernels, problem: ConvProblem, w: Array, isa: str | None) -> Phased:
    """Pack the taps of every phase."""
    packed = tuple(
        None if phase.problem is None else family.prepare(phase.problem, w[phase.w], isa)
        for phase in phases(problem)
    )
    isas = (getattr(part, "isa", None) for part in packed)
    return Phased(next((name for name in isas if name), None), packed)


def run(
    family: Kernels,
    problem: ConvProblem,
    prepared: Phased,
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array,
) -> None:
    """Compute phase after phase, each where its outputs are.

    Outputs apart from each other along the last axis are written side by side first: a line of
    memory of which each phase fills a part would travel for each.
    """
    beside = problem.input_dilation[-1] > 1 and problem.layout == "channels_first"
    found = zip(phases(problem), prepared.packed, strict=True)
    for _, row in groupby(found, key=lambda pair: pair[0].y[:-1]):
        made: list[tuple[Array, Array]] = []
        for phase, packed in row:
            y = out[phase.y]
            added = None if residual is None else residual[phase.y]
            sums = np.empty(y.shape, y.dtype) if beside else y
            if phase.problem is None:
                zeros = np.zeros(y.shape, problem.bias_dtype)
                activations.finish(problem, zeros, bias, added, sums)
            else:
                family.run(phase.problem, packed, x[phase.x], bias, added, sums)
            made.append((sums, y))
        if beside:
            _interleave(made)


# What the planes copied in one go may take.
IN_CACHE = 1 << 18


def _interleave(made: list[tuple[Array, Array]]) -> None:
    """Copy phases to where they belong, a few planes at a time, while these are in the cache."""
    batch, channels = made[0][1].shape[:2]
    plane = sum(sums.nbytes for sums, _ in made) // max(1, batch * channels)
    some = max(1, IN_CACHE // max(1, plane))
    for n in range(batch):
        for first in range(0, channels, some):
            for sums, y in made:
                y[n, first : first + some] = sums[n, first : first + some]
