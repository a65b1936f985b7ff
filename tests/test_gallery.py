"""The scripts of the documentation: they run, they draw, and what they claim they check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the gallery draws with matplotlib")
pytest.importorskip("scipy", reason="the gallery compares with SciPy")

DOCS = Path(__file__).resolve().parent.parent / "docs"
SCRIPTS = sorted(p.stem for p in (DOCS / "gallery").glob("*.py") if p.stem != "drawing")
PICTURE = re.compile(r"\]\(pictures/([\w.]+)\)")
# Run a script with a function whose result is wrong at one place.
SPOILT = """
import runpy, sys
from pathlib import Path
import convkit as ck
from convkit.compat import signal

def spoil(owner, name, change):
    good = getattr(owner, name)
    setattr(owner, name, lambda *args, **keywords: change(good(*args, **keywords)))

def wrong(y):
    y.flat[0] += 1
    return y

def wasteful(y):
    y.copy().fill(0)
    return y

spoil({what})
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
WAYS_TO_BE_WRONG = {
    "eeg": ("signal, 'convolve', wrong", "signal, 'savgol_filter', wrong"),
    "gaps": ("ck, 'convolve', wrong",),
    "networks": ("ck.Plan, '__call__', wrong",),
    "megapixels": ("ck.Plan, '__call__', wrong", "ck.Plan, '__call__', wasteful"),
    "reverb": ("ck.Plan, '__call__', wrong", "ck.StreamingConvolver, 'push', wrong"),
}


WHEELS = ("onnx", "onnxruntime", "rapidocr-onnxruntime", "basic-pitch", "silero-vad")


def need(name: str) -> None:
    """Skip where what a script shows is not installed."""
    for wheel in WHEELS if name == "networks" else ():
        try:
            distribution(wheel)
        except PackageNotFoundError:
            pytest.skip(f"the trained networks are missing: pip install --no-deps {wheel}")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script where no window can open."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def script(name: str) -> Path:
    return DOCS / "gallery" / f"{name}.py"


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_draws_its_picture(name: str, tmp_path: Path) -> None:
    need(name)
    done = run("-W", "error", script(name), "--quick", "--folder", tmp_path)

    assert done.returncode == 0, done.stderr
    assert [p.name for p in tmp_path.iterdir()] == [f"gallery_{name}.png"]
    assert (tmp_path / f"gallery_{name}.png").stat().st_size > 5_000


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_finds_a_result_that_is_wrong(name: str, tmp_path: Path) -> None:
    need(name)
    for what in WAYS_TO_BE_WRONG[name]:
        program = SPOILT.format(what=what)

        done = run("-c", program, script(name), "--quick", "--folder", tmp_path)

        assert "AssertionError" in done.stderr, f"{what}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_page_shows_and_links_every_script(name: str) -> None:
    page = (DOCS / "gallery.md").read_text()

    assert f"(gallery/{name}.py)" in page
    assert f"gallery_{name}.png" in PICTURE.findall(page)


def test_figures_of_the_pictures_page_are_those_that_are_drawn(tmp_path: Path) -> None:
    done = run("-W", "error", DOCS / "figures.py", tmp_path)

    assert done.returncode == 0, done.stderr
    shown = PICTURE.findall((DOCS / "pictures.md").read_text())
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(shown)


@pytest.mark.parametrize("picture", sorted((DOCS / "pictures").glob("*.png")), ids=lambda p: p.stem)
def test_pictures_are_small(picture: Path) -> None:
    limit = 150_000 if picture.stem.startswith("gallery_") else 80_000

    assert picture.stat().st_size < limit
