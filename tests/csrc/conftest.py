"""C programs, built from csrc/ with the flags and the kernel table of setup.py."""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
APT = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "objdump": "binutils",
    "qemu-aarch64": "qemu-user",
    "qemu-x86_64": "qemu-user",
}

Program = Callable[..., Path]


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """Skip the test where a tool is missing, saying how to get it."""

    def check(tool: str) -> str:
        if not shutil.which(tool):
            pytest.skip(f"{tool} is missing: apt-get install {APT.get(tool, tool)}")
        return tool

    return check


@pytest.fixture(scope="session")
def setup_py() -> ModuleType:
    spec = importlib.util.spec_from_file_location("convkit_setup", ROOT / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def program(setup_py: ModuleType) -> Program:
    """Build a C program of tests/csrc together with the library; unchanged parts are kept."""

    def build(
        source: Path,
        folder: str,
        command: str | None = None,
        only: Sequence[str] | None = None,
        flags: Sequence[str] = (),
        link: Sequence[str] = (),
    ) -> Path:
        with contextlib.chdir(ROOT):
            compiler = setup_py.Compiler.from_environment()
            if command:
                compiler = setup_py.Compiler(shlex.split(command))
            place = Path("build") / folder
            units = setup_py.library_units(compiler, place, only)
            units = [unit._replace(flags=[*unit.flags, *flags]) for unit in units]
            own = setup_py.Unit(source, place / f"{source.stem}.o", units[-1].flags)
            compiler.compile([*units, own])
            target = place / source.stem
            objects = [str(unit.object) for unit in [*units, own]]
            setup_py.run([*compiler.command, *link, "-o", str(target), *objects, "-pthread", "-lm"])
            return ROOT / target

    return build


@pytest.fixture(scope="session")
def run() -> Callable[..., str]:
    """Run a program and return what it says; a failure shows the end of it."""

    def call(*command: object, fails: bool = False) -> str:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=300,
            check=False,
        )
        assert (done.returncode != 0) == fails, f"{command} answers:\n{done.stdout[-4000:]}"
        return done.stdout

    return call
