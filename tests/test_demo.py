"""The pieces of the demo, on small crops of its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the demo draws with matplotlib")
pytest.importorskip("skimage", reason="the demo filters images of scikit-image")
pytest.importorskip("scipy", reason="the demo compares with SciPy")

from convkit import demo

DATA = demo.load().cropped(66)
CASES = demo.cases(DATA)
SECONDS = 0.0  # of timing: as few runs as there can be


@pytest.fixture(scope="module")
def results() -> dict[str, demo.Result]:
    return {name: demo.measure(case, SECONDS) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_result_is_within_its_bound(name: str, results: dict[str, demo.Result]) -> None:
    assert results[name].error <= results[name].bound


@pytest.mark.parametrize("name", CASES)
def test_every_other_way_computes_the_same(name: str) -> None:
    expected = CASES[name].reference()

    for way in CASES[name].others().values():
        np.testing.assert_allclose(way(), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_wrong_result_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES["edges"]
    wrong = case.compute()
    wrong[20, 20] += 1e-3
    answers = {None: wrong, "numpy": case.reference()}
    monkeypatch.setattr(demo.ck, "conv2d", lambda *_, backend=None, **__: answers[backend])
    monkeypatch.setattr(demo.Case, "magnitude", lambda _: np.ones_like(wrong))

    _, _, error, bound = demo.check(case)

    assert error > bound


def test_table_has_a_row_per_case_under_its_heading(results: dict[str, demo.Result]) -> None:
    rows = [demo.row(result) for result in results.values()]
    heading = demo.header(results["edges"].threads).splitlines()

    assert {len(row) for row in rows} == {len(heading[-1])}
    assert not any("WRONG" in row for row in rows)


def test_medians_takes_every_way_in_turns() -> None:
    calls: list[str] = []

    def way(name: str) -> demo.Way:
        return lambda: (calls.append(name), np.zeros(1))[1]

    times = demo.medians({"a": way("a"), "b": way("b")}, seconds=0.0)

    assert times.keys() == {"a", "b"}
    assert min(times.values()) > 0
    assert calls[:2] == ["a", "a"]


def test_picture_is_drawn(results: dict[str, demo.Result], tmp_path: Path) -> None:
    figure = demo.draw(DATA, results)

    figure.savefig(tmp_path / "demo.png", dpi=40)

    assert (tmp_path / "demo.png").stat().st_size > 10_000
    assert len(figure.axes) == len(demo.PANELS) + 1
