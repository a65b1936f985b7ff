"""Which algorithm is chosen, and what is said when there is none."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import convkit as ck
from convkit import registry, selector
from convkit.backends.numpy.direct import NumpyDirect
from convkit.problem import ConvProblem

LINE = "conv1d n1 c1 o1 i64 k5 float32"


class Fake(NumpyDirect):
    """An algorithm that says what a test wants it to."""

    def __init__(
        self, backend: str, name: str, cost: float = 1.0, reason: str | None = None, need: int = 0
    ) -> None:
        self.name, self.backend = name, backend  # type: ignore[misc]
        self.seconds, self.reason, self.need = cost, reason, need

    def why_not(self, problem: ConvProblem) -> str | None:
        return self.reason

    def cost(self, problem: ConvProblem) -> float:
        return self.seconds

    def workspace_bytes(self, problem: ConvProblem) -> int:
        return self.need


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch, forget: None) -> Any:
    """Replace all algorithms by those of the test; a backend may be an error instead."""

    def install(**backends: Any) -> None:
        def algorithms(backend: str) -> tuple[Fake, ...]:
            found = backends[backend]
            if isinstance(found, str):
                raise ck.BackendUnavailableError(found)
            return tuple(found)

        monkeypatch.setattr(registry, "algorithms", algorithms)
        monkeypatch.setattr(registry, "backend_names", lambda: tuple(backends))

    return install


def chosen(**keywords: Any) -> str:
    return selector.full_name(selector.select(ConvProblem.parse(LINE), **keywords))


def test_the_cheapest_of_a_tier_wins(offer: Any) -> None:
    offer(native=[Fake("native", "direct", 3.0)], scipy=[Fake("scipy", "fft", 2.0)])

    assert chosen() == "scipy/fft"
    assert chosen(backend="native") == "native/direct"
    assert chosen(algorithm="direct") == "native/direct"


def test_a_later_tier_is_not_asked_if_an_earlier_one_is_willing(offer: Any) -> None:
    def explode(problem: ConvProblem) -> str:
        raise AssertionError("asked")

    numba = Fake("numba", "direct", 0.0)
    numba.why_not = explode  # type: ignore[method-assign]
    offer(native=[Fake("native", "direct", 3.0)], numba=[numba])

    assert chosen() == "native/direct"


def test_the_next_tier_is_asked_if_all_refuse(offer: Any) -> None:
    offer(
        native=[Fake("native", "direct", reason="no")],
        scipy="no scipy",
        numba=[Fake("numba", "direct", reason="neither")],
        numpy=[Fake("numpy", "direct")],
    )

    assert chosen() == "numpy/direct"


def test_a_refusal_lists_every_reason(offer: Any) -> None:
    offer(
        native=[Fake("native", "direct", reason="stride is (2,), kernels exist for (1,)")],
        scipy="importing scipy failed",
        numpy=[Fake("numpy", "direct", reason="it is closed")],
    )

    with pytest.raises(ck.UnsupportedError) as error:
        chosen()

    assert str(error.value) == (
        f"no algorithm takes this problem ({LINE}) with algorithm='auto', backend='auto':\n"
        "    native/direct: stride is (2,), kernels exist for (1,)\n"
        "    scipy: importing scipy failed\n"
        "    numpy/direct: it is closed"
    )
    assert isinstance(error.value, NotImplementedError)


def test_a_backend_asked_for_by_name_has_to_be_there(offer: Any) -> None:
    offer(numba="backend='numba' needs numba: No module named 'numba'")

    with pytest.raises(ck.BackendUnavailableError, match="backend='numba' needs numba"):
        chosen(backend="numba")


def test_a_backend_that_is_not_installed_says_which_are() -> None:
    with pytest.raises(ck.BackendUnavailableError) as error:
        ck.conv1d(np.ones(9), np.ones(3), backend="cuda")

    assert "backend='cuda' is not part of this installation, which has " in str(error.value)
    assert isinstance(error.value, RuntimeError)


def test_an_algorithm_that_is_nowhere_is_no_word(offer: Any) -> None:
    offer(native=[Fake("native", "direct")], scipy=[Fake("scipy", "fft")])

    with pytest.raises(ValueError, match="algorithm='winograd': expected 'auto', 'direct', 'fft'"):
        chosen(algorithm="winograd")


def test_an_algorithm_that_refuses_is_no_wrong_word(offer: Any) -> None:
    offer(native=[Fake("native", "direct")], scipy=[Fake("scipy", "fft", reason="too small")])

    with pytest.raises(ck.UnsupportedError, match="scipy/fft: too small"):
        chosen(algorithm="fft")


def test_the_workspace_limit_filters(offer: Any) -> None:
    offer(native=[Fake("native", "direct", 3.0), Fake("native", "fft", 1.0, need=1000)])

    assert chosen() == "native/fft"
    assert chosen(max_workspace=1000) == "native/fft"
    assert chosen(max_workspace=999) == "native/direct"
    with pytest.raises(ck.UnsupportedError, match="needs a workspace of 1000 bytes, the limit"):
        chosen(algorithm="fft", max_workspace=9)


def test_direct_is_within_every_limit(offer: Any) -> None:
    offer(native=[Fake("native", "direct", need=64)])

    assert chosen(max_workspace=0) == "native/direct"


def test_a_new_limit_undoes_what_was_decided(offer: Any) -> None:
    offer(numpy=[Fake("numpy", "direct", 3.0), Fake("numpy", "fft", 1.0, need=1000)])
    x, w = np.ones(9), np.ones(3)

    def algorithms() -> list[str]:
        ck.conv1d(x, w)
        return [decision.algorithm.name for decision in selector.remembered.values()]

    try:
        assert algorithms() == ["fft"]
        ck.set_workspace_limit(10)
        assert algorithms() == ["direct"]
    finally:
        ck.set_workspace_limit(None)
    assert algorithms() == ["fft"]


@pytest.mark.parametrize(
    ("limit", "error"), [(-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_a_limit_is_a_number_of_bytes(limit: Any, error: type) -> None:
    with pytest.raises(error, match="nbytes"):
        ck.set_workspace_limit(limit)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("1000", "1000"), ("", str(2**63 - 1)), ("1k", "CONVKIT_MAX_WORKSPACE='1k': expected")],
)
def test_the_environment_sets_a_limit(given: str, expected: str) -> None:
    code = "from convkit import selector; print(selector.workspace_limit())"
    environment = {**_environment(), "CONVKIT_MAX_WORKSPACE": given}

    ran = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )

    assert expected in (ran.stdout or ran.stderr)


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_explain_shows_predictions_and_refusals(offer: Any) -> None:
    offer(
        native=[Fake("native", "direct", 2e-3, need=64), Fake("native", "winograd", reason="no")],
        scipy="no scipy",
        numpy=[Fake("numpy", "direct", 1.5)],
    )

    assert str(ck.explain(LINE)).splitlines() == [
        LINE,
        "  native/direct    predicted 2 ms, workspace 64 bytes, error bound 2  <- chosen",
        "  native/winograd  out: no",
        "  scipy            out: no scipy",
        "  numpy/direct     predicted 1.5 s, workspace 0 bytes, error bound 2",
    ]


def test_explain_takes_problems_and_plans_explain_themselves() -> None:
    plan = ck.plan_conv1d((64,), np.ones(5, "f4"), backend="numpy")

    assert str(ck.explain(ConvProblem.parse(LINE))) == str(ck.explain(LINE))
    assert "numpy/direct" in next(s for s in str(plan.explain()).splitlines() if "chosen" in s)


def test_explain_tells_also_when_nothing_is_willing(offer: Any) -> None:
    offer(numpy=[Fake("numpy", "direct", reason="closed")])

    assert str(ck.explain(LINE)) == f"{LINE}\n  numpy/direct  out: closed"


def test_the_reference_takes_what_nobody_else_does() -> None:
    for line in ("conv1d n1 c1 o1 i9 k3 complex64 omit", "conv1d n1 c1 o1 i9 k3 u2 float64 omit"):
        assert selector.full_name(selector.select(ConvProblem.parse(line))) == "numpy/direct"
