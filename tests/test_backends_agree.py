"""Every algorithm of every backend against the reference, on problems nobody thought of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st
from strategies import DTYPES, arrays_of, problems
from tolerance import allowed_error, assert_close

from convkit import registry
from convkit.algorithm import Algorithm
from convkit.arguments import Form
from convkit.backends.numpy.direct import ALGORITHM as REFERENCE
from convkit.dtypes import real_dtype
from convkit.errors import BackendUnavailableError
from convkit.plan import Plan, execute, prepare
from convkit.problem import ConvProblem

# Problems that were wrong once, with the seed of their arrays.
REGRESSIONS: list[tuple[str, int]] = [
    ("conv1d n1 c1 o1 i64 k5 float32", 0),
    ("conv2d n2 c3 o5 i7x33 k3x3 s2x1 p0:1x2 reflect,zeros float32 relu channels_last", 1),
    ("conv2d n1 c4 o6 g2 i5x9 k2x4 d2x1 u1x3 p1x9 circular float64 gelu", 2),
    ("conv3d n1 c2 o3 i3x4x9 k2x3x3 p1x1x1 constant:0.75 float32 strict", 3),
    ("conv2d n1 c0 o3 i4x4 k3x3 float32", 4),
    ("conv1d n1 c1 o1 i1 k1 s1099511627776 d1099511627776 u1099511627776 float64", 5),
    ("conv2d n3 c33 o70 i14x31 k3x3 p1x1 reflect float32 relu", 6),
    ("conv2d n1 c16 o32 i90x5 k3x3 p0:2x3:1 float32 channels_last", 7),
    ("conv1d n20 c1 o1 i35 k40 p0:5 bool batch_last separable", 2),
]


def algorithms() -> list[Algorithm]:
    """Return all algorithms that are there, the reference excepted."""
    found = []
    for backend in registry.backend_names():
        try:
            found += registry.algorithms(backend)
        except BackendUnavailableError:
            continue
    return [algorithm for algorithm in found if algorithm is not REFERENCE]


def ways() -> list[tuple[Algorithm, str | None]]:
    """Return each algorithm once for every instruction set it can be asked for."""
    return [
        (algorithm, isa)
        for algorithm in algorithms()
        for isa in (algorithm.isas() if hasattr(algorithm, "isas") else [None])
    ]


WAYS = ways()
NAMES = [f"{a.backend}/{a.name}" + (f"-{isa}" if isa else "") for a, isa in WAYS]
MOST_EXAMPLES = settings.get_profile(settings.get_current_profile_name()).max_examples


@cache
def supported_draws(algorithm: Algorithm) -> st.SearchStrategy[ConvProblem]:
    """Draw problems that `algorithm` mostly takes: of the options it takes on a simple problem."""

    def takes(words: str, dtype: str = "float32") -> bool:
        return algorithm.supports(ConvProblem.parse(f"{words} {dtype}"))

    simple = next(line for line in SIMPLE if takes(line))
    accuracies = [name for name in ("strict", "fast") if takes(f"{simple} {name}")]
    policies = ["propagate", "omit"] if takes(f"{simple} omit") else ["propagate"]
    rank = int(simple[4])
    return problems(
        ranks=None if rank == 1 else [rank],
        dtypes=[d for d in DTYPES if takes(simple, f"{d[0]}*{d[1]}->{d[2]}")],
        accuracies=["default", *accuracies],
        nan_policies=policies,
        structures=["separable", "box"] if simple.endswith("separable") else None,
        is_single=not takes(simple.replace("c1 o1", "c2 o2")),
        is_stepless=not takes("conv1d n1 c1 o1 i9 k3 s2"),
        taps=None if takes(simple.replace("k3", "k2")) else 3,
    )


# From what most algorithms take to what only some do.
SIMPLE = (
    "conv1d n1 c1 o1 i9 k3",
    "conv2d n1 c1 o1 i9x9 k3x3",
    "conv2d n1 c1 o1 i9x9 k3x3 separable",
)


def check(algorithm: Algorithm, isa: str | None, problem: ConvProblem, seed: int) -> None:
    """Compare one problem, through `run` and through a plan's quick way."""
    form = Form.of(problem)
    given = arrays_of(problem, seed)
    x, w, bias, residual = given.x, given.w, given.bias, given.residual
    expected = execute(form, REFERENCE, prepare(form, REFERENCE, w), x, bias, residual, None)
    allowed = allowed_error(problem, algorithm, x, w, bias, residual)
    said = f"{algorithm.backend}/{algorithm.name} {isa or ''}: {problem!s} seed {seed}"

    prepared = (
        algorithm.prepare(problem, form.w_view(w), isa=isa)
        if isa
        else algorithm.prepare(problem, form.w_view(w))
    )
    form = Form.of(replace(problem))  # an equal problem is the same problem
    out = np.full(form.y_shape, 77, real_dtype(problem.out_dtype))
    actual = execute(form, algorithm, prepared, x, bias, residual, out)

    assert_close(actual, expected, allowed, said)
    quick = algorithm.quick(problem, prepared, bias)
    if quick and residual is None and out.size:
        again = np.full(form.y_shape, 77, real_dtype(problem.out_dtype))
        if quick(np.ascontiguousarray(x), again) == 0:
            np.testing.assert_array_equal(again, actual, f"quick: {said}")


@pytest.mark.parametrize(("algorithm", "isa"), WAYS, ids=NAMES)
def test_agrees_with_the_reference(algorithm: Algorithm, isa: str | None) -> None:
    ran: Counter[str] = Counter()

    @given(problem=supported_draws(algorithm), seed=st.integers(0, 2**32 - 1))
    def agrees(problem: ConvProblem, seed: int) -> None:
        assume(algorithm.supports(problem))
        note(str(problem))
        check(algorithm, isa, problem, seed)
        ran[problem.dtype] += 1

    agrees()

    assert ran.total() >= MOST_EXAMPLES, f"only {ran} were run: restrict what is drawn"


@pytest.mark.parametrize(("algorithm", "isa"), WAYS, ids=NAMES)
@pytest.mark.parametrize(("line", "seed"), REGRESSIONS)
def test_what_was_wrong_once_stays_right(
    algorithm: Algorithm, isa: str | None, line: str, seed: int
) -> None:
    problem = ConvProblem.parse(line)
    reason = algorithm.why_not(problem)
    if reason:
        pytest.skip(reason)

    check(algorithm, isa, problem, seed)


def test_functional_calls_agree_with_plans() -> None:
    """The quick way of a call, which packs weights on the way, gives the bits of a plan."""
    from convkit.selector import select

    for line, seed in REGRESSIONS:
        problem = ConvProblem.parse(line)
        algorithm = select(problem)
        quick = algorithm.quick_call(problem)
        given = arrays_of(problem, seed)
        x, w = np.ascontiguousarray(given.x), given.w
        expected = Plan(Form.of(problem), algorithm, w)(x)

        out = np.full_like(expected, 77)
        if quick and quick(x, w, None, out) == 0:
            np.testing.assert_array_equal(out, expected, line)
