"""The layers import downwards only, importing is light, names are what they are said to be."""

from __future__ import annotations

import ast
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import convkit

ROOT = Path(convkit.__file__).parent
# A module imports only from lines above its own.
LAYERS = [
    "errors",
    "dtypes",
    "problem",
    "activations",
    "boundary",
    "arguments",
    "threads",
    "algorithm",
    "backends",
    "registry",
    "selector",
    "plan",
    "structure",
    "functional",
    "transposed",
    "signal",
    "streaming",
    "compat",
    "config",
    "__init__",
    "selftest",
    "demo",
]
COMPILED = {"_convkit"}
SOURCES = sorted(ROOT.rglob("*.py"))
HEAVY = {"scipy", "numba", "cupy", "torch", "pyfftw", "matplotlib", "ml_dtypes", "pandas"}


def imported(path: Path) -> set[str]:
    """Return the modules of convkit that a file imports, by their first name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {f"{alias.name}." for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    first = {name.split(".")[1] for name in names if name.startswith("convkit.")}
    # `import convkit` and `from convkit import conv2d` are of the package itself.
    return {name if name in LAYERS or name in COMPILED else "__init__" for name in first}


@pytest.mark.parametrize("path", SOURCES, ids=[str(p.relative_to(ROOT)) for p in SOURCES])
def test_imports_point_down(path: Path) -> None:
    layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if path == ROOT / "__main__.py":
        return
    assert layer in LAYERS, f"say in LAYERS where {layer} belongs"
    below = set(LAYERS[: LAYERS.index(layer) + 1]) | COMPILED

    assert imported(path) <= below


@pytest.mark.parametrize("path", SOURCES, ids=[str(p.relative_to(ROOT)) for p in SOURCES])
def test_no_path_of_a_machine_is_in_a_file(path: Path) -> None:
    assert not re.search(r"/(home|tmp|work|Users|root)/", path.read_text())


def run(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )


def test_importing_loads_nothing_heavy() -> None:
    found = run("import sys, convkit; print(*{m.partition('.')[0] for m in sys.modules})")

    assert not HEAVY & set(found.stdout.split())


def test_importing_loads_no_backend() -> None:
    found = run("import sys, convkit; print(*sys.modules)")

    loaded = {m for m in found.stdout.split() if m.startswith("convkit.backends.")}
    assert not loaded


def test_importing_takes_15_ms_beside_numpy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the median of several runs, on a machine that imports NumPy in 75 ms when it is quiet."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    code = "import numpy, convkit"
    run(code)  # compiles

    excess = []
    for _ in range(9):
        lines = run(code, "-X", "importtime").stderr
        rows = dict(re.findall(r"import time:\s+\d+ \|\s+(\d+) \| (numpy|convkit)\n", lines))
        took = {name: int(microseconds) for microseconds, name in rows.items()}
        excess.append(took["convkit"] / max(1.0, took["numpy"] / 75_000))

    assert statistics.median(excess) <= 15_000, f"{excess} microseconds"


def test_all_is_sorted_and_what_the_module_holds() -> None:
    code = (
        "import convkit, json, types;"
        "print(json.dumps([n for n, v in vars(convkit).items() if not n.startswith('_') and "
        "not isinstance(v, types.ModuleType) and n != 'annotations']))"
    )
    public = set(json.loads(run(code).stdout))

    assert convkit.__all__ == sorted(convkit.__all__, key=lambda n: (n.casefold(), n)) or (
        convkit.__all__ == sorted(convkit.__all__)
    )
    assert public - {"version"} == set(convkit.__all__)


@pytest.mark.parametrize("name", convkit.__all__)
def test_public_names_are_documented(name: str) -> None:
    assert (getattr(convkit, name).__doc__ or "").strip()


def test_the_version_is_that_of_the_distribution() -> None:
    assert re.match(r"\d+\.\d+|not installed", convkit.__version__)
    with pytest.raises(AttributeError, match="module 'convkit' has no attribute 'conv4d'"):
        convkit.conv4d  # noqa: B018


def test_show_config_names_what_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    convkit.show_config()

    shown = capsys.readouterr().out
    for word in ("numpy", "python", "threads", "backend numpy", "workspace limit"):
        assert f"\n{word}" in shown
