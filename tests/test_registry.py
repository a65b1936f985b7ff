"""Folders are the registries: a new file is a new algorithm."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import convkit as ck
from convkit import backends, registry
from convkit.algorithm import Algorithm

DUMMY = '''
"""Everything is 42."""
from convkit.backends.numpy.direct import NumpyDirect

class Dummy(NumpyDirect):
    name = "dummy"

    def cost(self, problem):
        return 0.0

    def run(self, problem, prepared, x, bias, residual, out):
        out[...] = 42

ALGORITHM = Dummy()
'''


@pytest.fixture
def dummy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forget: None) -> Iterator[None]:
    """Drop an algorithm, and a private module, into a folder of the numpy backend."""
    import convkit.backends.numpy as package

    (tmp_path / "dummy.py").write_text(DUMMY)
    (tmp_path / "_helper.py").write_text("raise ImportError('private')")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    registry.algorithms.cache_clear()
    yield
    import sys

    sys.modules.pop("convkit.backends.numpy.dummy", None)


@pytest.mark.usefixtures("dummy")
def test_a_file_is_all_it_takes_to_be_offered() -> None:
    x, w = np.ones((1, 1, 5), "c8"), np.ones((1, 1, 3), "c8")
    omit = {"nan_policy": "omit"}  # compiled kernels do not take that of complex numbers

    assert ck.conv1d(x, w, **omit).tolist() == [[[42, 42, 42]]]
    assert ck.conv1d(x, w, algorithm="dummy", **omit).tolist() == [[[42, 42, 42]]]
    assert ck.conv1d(x, w, algorithm="direct", **omit).tolist() == [[[3, 3, 3]]]
    assert "numpy/dummy" in str(ck.explain("conv1d n1 c1 o1 i5 k3 complex64 omit"))


@pytest.mark.usefixtures("dummy")
def test_a_file_is_all_it_takes_to_be_compared_with_the_reference() -> None:
    import test_backends_agree as agreement

    names = [f"{algorithm.backend}/{algorithm.name}" for algorithm, _ in agreement.ways()]
    dummy = next(a for a, _ in agreement.ways() if a.name == "dummy")

    assert "numpy/dummy" in names
    with pytest.raises(AssertionError, match="numpy/dummy : conv1d n1 c1 o1 i64 k5 float32"):
        agreement.check(dummy, None, ck.ConvProblem.parse("conv1d n1 c1 o1 i64 k5 float32"), 0)


def test_the_words_a_user_types_are_the_files_a_reader_opens() -> None:
    root = Path(next(iter(backends.__path__)))
    for backend in registry.backend_names():
        try:
            found = registry.algorithms(backend)
        except ck.BackendUnavailableError:
            continue
        for algorithm in found:
            assert isinstance(algorithm, Algorithm)
            assert algorithm.backend == backend
            assert (root / backend / f"{algorithm.name}.py").is_file()


def test_every_file_of_a_backend_is_an_algorithm_or_private() -> None:
    root = Path(next(iter(backends.__path__)))
    for path in root.glob("*/*.py"):
        if not path.name.startswith("_"):
            assert "\nALGORITHM = " in path.read_text(), path


def test_an_unknown_backend_is_named() -> None:
    with pytest.raises(ck.BackendUnavailableError, match="backend='abacus' is not part of this"):
        registry.algorithms("abacus")
