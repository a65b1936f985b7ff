"""Chooses the algorithm for a problem, and says why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from convkit import registry
from convkit.algorithm import Algorithm
from convkit.arguments import as_int
from convkit.errors import BackendUnavailableError, UnsupportedError
from convkit.problem import ConvProblem

# "auto" asks the backends of a tier together and stops at the first tier with a willing
# algorithm, so that nobody pays for importing numba who does not need it.
AUTO_TIERS = (("native", "scipy"), ("numba",), ("numpy",))

# What functional calls have decided, by what they were called with. Here, because a decision
# is no longer valid once the workspace limit it was made under has changed.
remembered: dict[tuple[Any, ...], Any] = {}

_limit: int | None = None


class Candidate(NamedTuple):
    """An algorithm asked about a problem: what it predicts, or why it is out."""

    name: str
    algorithm: Algorithm | None
    reason: str | None
    workspace: int = 0


class Explanation(NamedTuple):
    """Every candidate of a problem; prints as a table."""

    problem: ConvProblem
    candidates: tuple[Candidate, ...]
    chosen: str | None

    def __str__(self) -> str:
        width = max((len(c.name) for c in self.candidates), default=0)
        lines = [f"  {c.name:<{width}}  {self._said(c)}" for c in self.candidates]
        return "\n".join([str(self.problem), *lines])

    def __repr__(self) -> str:
        return str(self)

    def _said(self, candidate: Candidate) -> str:
        algorithm = candidate.algorithm
        if algorithm is None or candidate.reason is not None:
            return f"out: {candidate.reason}"
        cost = _spoken(algorithm.cost(self.problem), ("s", "ms", "us"), 1e3)
        bound = f"error bound {algorithm.error_bound(self.problem):.3g}"
        mark = "  <- chosen" if candidate.name == self.chosen else ""
        return f"predicted {cost}, workspace {candidate.workspace} bytes, {bound}{mark}"


def select(
    problem: ConvProblem,
    algorithm: str = "auto",
    backend: str = "auto",
    max_workspace: int | None = None,
    *,
    is_call: bool = False,
) -> Algorithm:
    """Return the cheapest algorithm that takes `problem`.

    Parameters
    ----------
    problem : ConvProblem
        What is to be computed.
    algorithm, backend : str, default "auto"
        Names of a module and of its folder in backends/.
    max_workspace : int, optional
        Bytes a call may use beside its arguments and its result; by default what
        `set_workspace_limit` or the environment say. "direct" is always within it.
    is_call : bool, default False
        Weights are prepared every time, which no plan has done before.

    Raises
    ------
    UnsupportedError
        If no algorithm takes the problem; the message has each one's reason.
    BackendUnavailableError
        If the backend asked for by name is not here.
    ValueError
        If there is no algorithm of that name.
    """
    limit = (
        workspace_limit() if max_workspace is None else as_int(max_workspace, "max_workspace", 0)
    )
    refused: list[Candidate] = []
    names: set[str] = set()
    for tier in _tiers(backend):
        willing: list[Algorithm] = []
        for candidate in _ask(tier, problem, limit, is_required=backend != "auto"):
            if candidate.algorithm is not None:
                names.add(candidate.algorithm.name)
                if algorithm not in ("auto", candidate.algorithm.name):
                    continue
            if candidate.algorithm is not None and candidate.reason is None:
                willing.append(candidate.algorithm)
            else:
                refused.append(candidate)
        if willing:
            if len(willing) == 1:
                return willing[0]
            return min(willing, key=lambda a: a.call_cost(problem) if is_call else a.cost(problem))
    if algorithm != "auto" and algorithm not in names:
        raise ValueError(
            f"algorithm={algorithm!r}: expected 'auto', {', '.join(map(repr, sorted(names)))}"
        )
    reasons = "".join(f"\n    {c.name}: {c.reason}" for c in refused)
    raise UnsupportedError(
        f"no algorithm takes this problem ({problem}) with algorithm={algorithm!r}, "
        f"backend={backend!r}:{reasons}"
    )


def explain(problem: ConvProblem | str) -> Explanation:
    """Return every candidate of a problem, with what it predicts or the reason it is out.

    Parameters
    ----------
    problem : ConvProblem or str
        A problem, or its line.

    Returns
    -------
    Explanation
        Prints as a table: predicted time, workspace in bytes, and the error bound c, in units of
        u * sum(abs(x) * abs(w)) with u the unit roundoff of the dtype.

    Raises
    ------
    ValueError
        If the line is not one of a problem.

    See Also
    --------
    convkit.plan.Plan.explain : The same, of a plan's own problem.

    Examples
    --------
    >>> import convkit as ck
    >>> ck.explain("conv1d n1 c1 o1 i64 k5 int8")  # doctest: +ELLIPSIS
    conv1d n1 c1 o1 i64 k5 int8
    ...
    """
    parsed = ConvProblem.parse(problem) if isinstance(problem, str) else problem
    try:
        best = select(parsed)
    except UnsupportedError:
        return explanation(parsed, None)
    return explanation(parsed, best)


def explanation(problem: ConvProblem, chosen: Algorithm | None) -> Explanation:
    """Return every candidate of `problem`, one of them marked as chosen."""
    asked = [c for tier in _tiers("auto") for c in _ask(tier, problem, workspace_limit())]
    return Explanation(problem, tuple(asked), None if chosen is None else full_name(chosen))


def full_name(algorithm: Algorithm) -> str:
    """Return the name that tells algorithms of different backends apart."""
    return f"{algorithm.backend}/{algorithm.name}"


def set_workspace_limit(nbytes: int | None) -> None:
    """Set the memory that a call may use beside its arguments and its result.

    Algorithms that need more are passed over; "direct" needs next to none and is always there.

    Parameters
    ----------
    nbytes : int or None
        Bytes; None for no limit. At first it is that of the environment variable
        ``CONVKIT_MAX_WORKSPACE``, if there is one.

    Raises
    ------
    TypeError, ValueError
        If `nbytes` is no int, or negative.

    Examples
    --------
    >>> import convkit as ck
    >>> ck.set_workspace_limit(2**20)
    >>> ck.set_workspace_limit(None)
    """
    global _limit
    _limit = NO_LIMIT if nbytes is None else as_int(nbytes, "nbytes", least=0)
    remembered.clear()


NO_LIMIT = 2**63 - 1


def workspace_limit() -> int:
    """Return the limit in force, in bytes."""
    return _environment_limit() if _limit is None else _limit


@cache
def _environment_limit() -> int:
    """Read CONVKIT_MAX_WORKSPACE, once."""
    given = os.environ.get("CONVKIT_MAX_WORKSPACE")
    if not given:
        return NO_LIMIT
    if not (given.isascii() and given.isdigit()):
        raise ValueError(f"CONVKIT_MAX_WORKSPACE={given!r}: expected a number of bytes")
    return int(given)


def _tiers(backend: str) -> tuple[tuple[str, ...], ...]:
    """Return the backends to ask, in turns."""
    if backend != "auto":
        return ((backend,),)
    installed = registry.backend_names()
    return tuple(tuple(name for name in tier if name in installed) for tier in AUTO_TIERS)


def _ask(
    backends: tuple[str, ...], problem: ConvProblem, limit: int, *, is_required: bool = False
) -> Iterator[Candidate]:
    """Ask all algorithms of some backends about `problem`."""
    for backend in backends:
        try:
            algorithms = registry.algorithms(backend)
        except BackendUnavailableError as error:
            if is_required:
                raise
            yield Candidate(backend, None, str(error))
            continue
        for algorithm in algorithms:
            yield _answer(algorithm, problem, limit)


def _answer(algorithm: Algorithm, problem: ConvProblem, limit: int) -> Candidate:
    name = full_name(algorithm)
    reason = algorithm.why_not(problem)
    if reason is not None:
        return Candidate(name, algorithm, reason)
    need = algorithm.workspace_bytes(problem)
    if need > limit and algorithm.name != "direct":
        reason = f"needs a workspace of {need} bytes, the limit is {limit}"
    return Candidate(name, algorithm, reason, need)


def _spoken(value: float, units: tuple[str, ...], step: float) -> str:
    """Write a number in the largest unit that keeps it above 1."""
    for unit in units[:-1]:
        if value >= 1:
            return f"{value:.3g} {unit}"
        value *= step
    return f"{value:.3g} {units[-1]}"
