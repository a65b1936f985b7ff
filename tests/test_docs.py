"""What the documentation shows runs, and what it points at is there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(p.relative_to(ROOT) for p in (ROOT / "README.md", *ROOT.glob("docs/**/*.md")))
TEXT_SUFFIXES = {".c", ".cu", ".h", ".inc", ".json", ".md", ".py", ".toml"}
TEXTS = sorted(
    path.relative_to(ROOT)
    for path in (
        *(ROOT / name for name in ("README.md", "check", "demo", "setup.py", ".ci/run")),
        *(
            p
            for folder in ("benchmarks", "csrc", "cuda", "docs", "src", "tests", ".ci")
            for p in (ROOT / folder).rglob("*")
        ),
    )
    if path.suffix in TEXT_SUFFIXES or path.name in {"check", "demo", "run"}
)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


def run_block(source: str, line: int, page: Path, names: dict[str, Any]) -> None:
    """Run a block in the names that the blocks above it have left."""
    if ">>>" not in source:
        exec(compile("\n" * line + source, page, "exec"), names)
        return
    examples = doctest.DocTestParser().get_doctest(source, names, str(page), str(page), line)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(examples, out=report.append, clear_globs=False)
    names.update(examples.globs)
    assert not report, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_code_blocks_run_from_top_to_bottom(page: Path) -> None:
    text = (ROOT / page).read_text()
    names: dict[str, Any] = {"__name__": str(page)}

    for block in BLOCK.finditer(text):
        run_block(block[1], text[: block.start(1)].count("\n"), page, names)


@pytest.mark.parametrize("page", [*PAGES, Path("csrc/README.md")], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall((ROOT / page).read_text()) if "://" not in link]

    missing = [link for link in links if not (ROOT / page.parent / link).exists()]

    assert not missing


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_no_page_installs_the_unrelated_package_of_that_name(text: Path) -> None:
    found = re.search(r"pip\s+install\s+(-\S+\s+)*convkit(?!-)", (ROOT / text).read_text())

    assert found is None


@pytest.mark.parametrize("text", TEXTS, ids=str)
def test_no_file_names_a_place_of_one_machine(text: Path) -> None:
    found = re.search(r"(?<![\w.])/(home|root|work|Users)/\w", (ROOT / text).read_text())

    assert found is None


def test_the_pictures_padding_modes_are_numpys() -> None:
    text = (ROOT / "docs" / "convolution.md").read_text()
    modes = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}

    drawn = re.findall(r"^(\w+) +([\d ]+)\| ([\d ]+)\| ([\d ]+)", text, re.MULTILINE)

    assert [mode for mode, *_ in drawn] == [
        "zeros",
        "reflect",
        "symmetric",
        "replicate",
        "circular",
    ]
    for mode, *parts in drawn:
        before, x, after = (np.array(part.split(), int) for part in parts)
        expected = np.pad(x, (len(before), len(after)), mode=modes.get(mode, mode))
        assert [*before, *x, *after] == expected.tolist()
