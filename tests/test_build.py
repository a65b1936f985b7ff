"""What the build makes of a source tree: the module, wheels, the sdist, and its refusals."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What a build reads, less the kernels: two small ones below stand in for them.
SOURCES = ["setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.md", "src", "csrc"]

KERNEL = """
#include <stddef.h>
#include "abi.h"
#include "sum.inc"
#define PASTE_(name, isa) ck_##name##_##isa
#define PASTE(name, isa) PASTE_(name, isa)
#define TEXT_(isa) #isa
#define TEXT(isa) TEXT_(isa)
const ck_kernel PASTE(@NAME@, CK_ISA) = {.name = "@NAME@", .isa = TEXT(CK_ISA), .cost = sum};
"""
SUM = "static double sum(const ck_conv *conv) { return (double)conv->batch; }\n"


@pytest.fixture
def tree(tmp_path):
    """Return a source tree with two small kernels."""
    tree = tmp_path / "tree"
    tree.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, tree / name)
    kernels = tree / "csrc" / "kernels"
    shutil.rmtree(kernels)
    kernels.mkdir()
    (kernels / "sum.inc").write_text(SUM)
    for name in ("first_f32", "second_f64"):
        (kernels / f"{name}.c").write_text(KERNEL.replace("@NAME@", name))
    return tree


def start(tree, *command, **environment):
    """Run Python in a tree."""
    clean = {k: v for k, v in os.environ.items() if k not in {"CC", "CFLAGS", "CONVKIT_BUILD"}}
    return subprocess.run(
        [sys.executable, *command],
        cwd=tree,
        env={**clean, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def build(tree, *command, **environment):
    """Run a build that succeeds; return what it says."""
    done = start(tree, *command, **environment)
    assert done.returncode == 0, done.stdout
    return done.stdout


def compiled(tree, since):
    """Return the objects that are younger than a time."""
    return {path.name for path in tree.glob("build/objects-*/*.o") if path.stat().st_mtime > since}


def read_elf(module, *flags):
    tool = shutil.which("readelf")
    if tool is None:
        pytest.skip("readelf is missing: apt-get install binutils")
    command = [tool, "--wide", *flags, str(module)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def module():
    native = pytest.importorskip("convkit._convkit")
    return Path(native.__file__)


@pytest.fixture
def elf(module):
    if sys.platform != "linux":
        pytest.skip("needs an ELF module")
    return module


def test_module_is_of_these_sources(module):
    from convkit._convkit import ffi, lib

    told = build(ROOT, "-c", "import setup; print(setup.source_hash())").strip()

    assert ffi.string(lib.ck_source_hash).decode() == told, "run: pip install -e ."


def test_module_is_for_every_python_from_3_11_on(module):
    assert module.name == "_convkit.abi3.so"


def test_module_exports_its_init_and_what_threadpoolctl_calls(elf):
    symbols = read_elf(elf, "--dyn-syms").splitlines()
    defined = {line.split()[-1] for line in symbols if re.search(r"GLOBAL +DEFAULT +\d", line)}

    assert defined == {
        "PyInit__convkit",
        "convkit_get_num_threads",
        "convkit_set_num_threads",
    }


def test_module_needs_libc_and_libm_only(elf):
    dynamic = read_elf(elf, "--dynamic")
    needed = set(re.findall(r"NEEDED.*\[(\w+(?:-\w+)*)", dynamic))

    assert needed <= {"libc", "libm", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"}
    assert "RPATH" not in dynamic
    assert "RUNPATH" not in dynamic


def test_module_holds_no_path_of_the_machine_it_was_built_on(elf):
    held = elf.read_bytes()

    for path in {ROOT, Path.home(), Path(sys.prefix), Path(sys.base_prefix), Path.cwd()}:
        if len(path.parts) > 2:
            assert os.fsencode(path) not in held


def test_wheel_is_quiet_and_holds_every_kernel_for_every_isa(tree):
    output = build(tree, "setup.py", "-q", "bdist_wheel")
    (wheel,) = (tree / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tree / "unpacked")
    code = (
        "from convkit._convkit import ffi, lib\n"
        "rows = [lib.ck_kernels[i] for i in range(lib.ck_kernel_count)]\n"
        "print([(ffi.string(r.isa).decode(), ffi.string(r.name).decode()) for r in rows])"
    )
    rows = eval(build(tree / "unpacked", "-c", code))
    isas = list(dict.fromkeys(isa for isa, _ in rows))

    assert not re.search(r"\.[ch]:\d+:\d+:", output)  # the compiler has nothing to remark
    assert re.fullmatch(r"convkit_native-[\d.]+-cp311-abi3-\w+\.whl", wheel.name)
    assert rows == [(isa, name) for isa in isas for name in ("first_f32", "second_f64")]
    assert isas[-1] in {"v2", "neon", "scalar"}
    assert (tree / "unpacked" / "convkit" / "py.typed").exists()


def test_only_what_changed_is_compiled_again(tree):
    build(tree, "setup.py", "-q", "build_ext")
    first = max(path.stat().st_mtime for path in tree.glob("build/objects-*/*.o"))

    build(tree, "setup.py", "-q", "build_ext")
    unchanged = compiled(tree, first)
    kernel = tree / "csrc" / "kernels" / "first_f32.c"
    kernel.write_text(kernel.read_text() + "/* changed */\n")
    build(tree, "setup.py", "-q", "build_ext")
    changed = compiled(tree, first)

    assert unchanged == set()
    assert {name.split(".")[0] for name in changed} == {"first_f32", "kernel_table"}


@pytest.mark.parametrize("flag", ["-march=native", "-ffast-math", "-Ofast", "-flto=auto"])
def test_flags_that_break_dispatch_or_nan_are_refused(tree, flag):
    done = start(tree, "setup.py", "-q", "build_ext", CFLAGS=f"-O2 {flag}")

    assert done.returncode != 0
    assert f"convkit: CFLAGS has {flag}, which would leak" in done.stdout
    assert "Traceback" not in done.stdout


def test_without_a_compiler_the_build_names_three_ways_out(tree):
    done = start(tree, "setup.py", "-q", "build_ext", CC="no-such-compiler")

    assert done.returncode != 0
    assert "no C compiler ('no-such-compiler' does not run)" in done.stdout
    for way in ("--only-binary", "apt-get install gcc", "CONVKIT_BUILD=pure"):
        assert way in done.stdout
    assert "Traceback" not in done.stdout


def test_an_isa_the_compiler_cannot_do_is_left_out(tree):
    old = tree / "old-cc"
    old.write_text(
        '#!/bin/sh\ncase "$*" in *avx512bf16*) echo "what?" >&2; exit 1;; esac\nexec cc "$@"\n'
    )
    old.chmod(0o755)
    if (
        "x86_64"
        not in subprocess.run(["cc", "-dumpmachine"], capture_output=True, text=True).stdout
    ):
        pytest.skip("needs an x86-64 machine")

    output = build(tree, "setup.py", "-q", "build_ext", CC=str(old))

    assert "convkit: no avx512_vnni_bf16 kernels, the compiler answers: what?" in output
    assert not list(tree.glob("build/objects-*/*avx512_vnni_bf16*"))


def test_pure_wheel_has_no_module_and_says_so(tree):
    build(tree, "setup.py", "-q", "bdist_wheel", CONVKIT_BUILD="pure", CC="no-such-compiler")
    (wheel,) = (tree / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tree / "unpacked")
    load = "import convkit.backends.native"
    used = start(tree / "unpacked", "-c", load, CONVKIT_REQUIRE_NATIVE="0")
    required = start(tree / "unpacked", "-c", load, CONVKIT_REQUIRE_NATIVE="1")

    assert wheel.name.endswith("-py3-none-any.whl")
    assert "RuntimeWarning: backend='native' needs the compiled kernels" in used.stdout
    assert "BackendUnavailableError: backend='native' needs the compiled kernels" in used.stdout
    assert "ImportError: convkit was installed without its compiled kernels" in required.stdout


def test_unknown_build_is_refused(tree):
    done = start(tree, "setup.py", "-q", "build_ext", CONVKIT_BUILD="fast")

    assert "CONVKIT_BUILD='fast': expected 'native' or 'pure'" in done.stdout
    assert done.returncode != 0


def test_sdist_holds_what_a_build_needs_and_nothing_built(tree):
    (tree / "cuda").mkdir()
    (tree / "cuda" / "conv.cu").write_text("")
    build(tree, "setup.py", "-q", "sdist")
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"setup.py", "csrc/abi.h", "csrc/kernels/sum.inc", "csrc/kernels/first_f32.c"} <= names
    assert {"cuda/conv.cu", "LICENSE", "src/convkit/_convkit.pyi"} <= names
    assert not [name for name in names if name.endswith((".o", ".so", ".pyc"))]


def test_wheel_ships_cuda_sources(tree):
    (tree / "cuda").mkdir()
    (tree / "cuda" / "conv.cu").write_text("")
    build(tree, "setup.py", "-q", "bdist_wheel", CONVKIT_BUILD="pure")
    (wheel,) = (tree / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "convkit/_cuda/conv.cu" in archive.namelist()
