"""Shared by all tests: hypothesis profiles, and a word if the compiled module is out of date."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).resolve().parent
# What several test files share (strategies, tolerance); importlib mode adds no path for them.
sys.path.insert(0, str(TESTS))

for name, examples in {"dev": 50, "ci": 200, "nightly": 5000}.items():
    settings.register_profile(
        name,
        max_examples=examples,
        derandomize=name == "ci",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_report_header() -> list[str]:
    """Name the instruction sets of this run, and say so if csrc/ has changed since the build."""
    try:
        from convkit.backends.native import ffi, isa, isas, lib
    except RuntimeError as error:
        return [f"convkit: {error}"]
    lines = [f"convkit: kernels for {', '.join(isas())}; {isa()} is in use"]
    setup = _setup_py()
    if setup and ffi.string(lib.ck_source_hash).decode() != setup.source_hash(
        TESTS.parent / "csrc"
    ):
        lines.append("convkit: csrc/ HAS CHANGED since the compiled module was built: rebuild it")
    return lines


def _setup_py():
    path = TESTS.parent / "setup.py"
    if not path.exists():
        return None
    spec = importlib.util.spec_from_file_location("convkit_setup", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def forget() -> Iterator[None]:
    """Let the test decide anew, and nobody after it live with what it decided."""
    from convkit import registry, selector

    caches = registry.algorithms, registry.backend_names  # a test may replace them

    def clear() -> None:
        selector.remembered.clear()
        for cache in caches:
            cache.cache_clear()

    clear()
    yield
    clear()
