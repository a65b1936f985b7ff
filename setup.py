"""Builds convkit: every kernel once per instruction set, linked into one cffi module.

The pieces are plain functions, so that the tests build their C programs, also for other
machines, from the very flags and kernel table of the module.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

CSRC = Path("csrc")
# The folder of each kind of kernel, which is the type of its descriptors in abi.h.
KERNELS = {"ck_kernel": "kernels", "ck_stream_kernel": "streams"}

# No -march=native: the module runs on other CPUs than the one it was built on. No LTO: it would
# merge functions across instruction sets. No -ffast-math, and not when linking either, where it
# makes gcc switch the whole process to flush-to-zero. -ffp-contract=fast is a * b + c as one FMA.
FLAGS = [
    *("-std=gnu11", "-O3", "-g0", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    # Scheduling before register allocation (gcc's default on Arm) makes register tiles spill.
    "-fno-schedule-insns",
]
REFUSED = re.compile(r"-march=\S*|-mcpu=\S*|-ffast-math|-Ofast|-flto\S*")

# By machine, best first; the last is the baseline, which everything but the kernels is built for.
_V2 = ["-march=x86-64-v2"]
_AVX2 = [*_V2, "-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2"]
_AVX512 = [
    *_AVX2,
    *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512cd"),
    "-mprefer-vector-width=512",
]
ISAS: dict[str, dict[str, list[str]]] = {
    "x86_64": {
        "avx512_vnni_bf16": [*_AVX512, "-mavx512vnni", "-mavx512bf16"],
        "avx512_vnni": [*_AVX512, "-mavx512vnni"],
        "avx512": _AVX512,
        "avx2": _AVX2,
        "v2": _V2,
    },
    "aarch64": {"dotprod": ["-march=armv8.2-a+dotprod+fp16"], "neon": ["-march=armv8-a"]},
}
# Those that add instructions for some dtypes only; all other kernels of the next ISA would be the
# same over again. A kernel's dtype is the end of its name.
SPECIAL = {
    "avx512_vnni_bf16": ("bf16",),
    "avx512_vnni": ("i8", "u8", "i16", "u16"),
    "dotprod": ("i8", "u8"),
}
ALIASES = {"amd64": "x86_64", "arm64": "aarch64"}

NO_COMPILER = """
convkit: no C compiler ({command!r} does not run), so the native kernels cannot be built. Either
  * install a wheel instead of building:  pip install --only-binary :all: convkit-native
  * or install a C compiler:              apt-get install gcc libc6-dev   (Debian, Ubuntu)
  * or do without the native kernels, 10 to 100 times slower:
                                          CONVKIT_BUILD=pure pip install ...
"""


def source_hash(csrc: Path = CSRC) -> str:
    """Return what identifies the C sources; the module carries it as `ck_source_hash`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in csrc.rglob("*") if p.suffix in {".c", ".h", ".inc"}):
        digest.update(path.relative_to(csrc).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def declarations(csrc: Path = CSRC) -> str:
    """Return what cffi is told: abi.h without its preprocessor lines, and what is Python's own."""
    lines = (csrc / "abi.h").read_text().splitlines()
    plain = [line for line in lines if not line.startswith("#")]
    own = ['extern "Python" int32_t ck_poll(void);', "uintptr_t ck_python_bind(void);"]
    return "\n".join([*plain, *own])


def versions(kernels: Iterable[str], isas: Iterable[str]) -> list[tuple[str, str]]:
    """Return the (kernel, instruction set) pairs that are compiled, best set first."""
    names = sorted(kernels)
    return [
        (name, isa)
        for isa in isas
        for name in names
        if isa not in SPECIAL or name.rpartition("_")[2] in SPECIAL[isa]
    ]


def table(kind: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return the C source of the table of all kernels of a kind, a row per version."""
    symbols = [f"ck_{name}_{isa}" for name, isa in rows]
    return [
        *(f"extern const {kind} {symbol};" for symbol in symbols),
        f"const {kind} *const {kind}s[] = {{",
        *(f"    &{symbol}," for symbol in symbols),
        "};",
        f"const int32_t {kind}_count = {len(symbols)};",
    ]


def kernel_tables(
    tables: Mapping[str, Iterable[tuple[str, str]]], isas: Iterable[str], digest: str
) -> str:
    """Return the C source of the tables of abi.h, by the type of their rows, and of the ISAs."""
    quoted = [f'"{isa}"' for isa in isas]
    return "\n".join(
        [
            '#include "abi.h"',
            *(line for kind, rows in tables.items() for line in table(kind, rows)),
            f"const char *const ck_isas[] = {{{', '.join(quoted)}}};",
            f"const int32_t ck_isa_count = {len(quoted)};",
            f'const char ck_source_hash[] = "{digest}";',
            "",
        ]
    )


class Unit(NamedTuple):
    """One run of the compiler."""

    source: Path
    object: Path
    flags: list[str]


class Compiler:
    """A C compiler that skips what it has compiled before.

    Neither the interpreter's own flags (they may hold anything, down to paths of the machine
    it was built on) nor -march and the like from the environment reach the command.
    """

    def __init__(self, command: Sequence[str], flags: Sequence[str] = ()) -> None:
        self.command = list(command)
        self.flags = list(flags)
        try:
            self.version = self._output("--version")
            machine = self._output("-dumpmachine").split("-")[0]
        except (OSError, subprocess.CalledProcessError):
            raise SystemExit(NO_COMPILER.format(command=command[0])) from None
        self.machine = ALIASES.get(machine, machine)

    @classmethod
    def from_environment(cls) -> Compiler:
        """Return the compiler of CC, or the interpreter's, with the flags of CFLAGS."""
        for variable in ("CC", "CPPFLAGS", "CFLAGS", "LDFLAGS"):
            if refused := REFUSED.search(os.environ.get(variable, "")):
                raise SystemExit(
                    f"convkit: {variable} has {refused[0]}, which would leak into the code that "
                    f"runs on every CPU, or break NaN and Inf; unset it (each kernel is compiled "
                    f"for every instruction set and chosen at run time)"
                )
        command = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")
        flags = [*environment_flags("CPPFLAGS"), *environment_flags("CFLAGS")]
        return cls(shlex.split(command), flags)

    def isas(self) -> dict[str, list[str]]:
        """Return the instruction sets this compiler can do, best first, with their flags."""
        known = ISAS.get(self.machine, {"scalar": []})
        return {isa: flags for isa, flags in known.items() if self._accepts(isa, flags)}

    def compile(self, units: Iterable[Unit]) -> None:
        """Compile `units` side by side, but for those whose inputs have not changed."""
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(self._compile, units))

    def _compile(self, unit: Unit) -> None:
        command = [*self.command, *self.flags, *FLAGS, *unit.flags, f"-I{CSRC}"]
        included = unit.object.with_suffix(".d")
        command += ["-MMD", "-MF", str(included), "-c", str(unit.source), "-o", str(unit.object)]
        kept = unit.object.with_suffix(".stamp")
        known = [" ".join(command), self.version]
        if (
            unit.object.exists()
            and kept.exists()
            and kept.read_text() == stamp(known, dependencies(included))
        ):
            return
        unit.object.parent.mkdir(parents=True, exist_ok=True)
        run(command)
        kept.write_text(stamp(known, dependencies(included)))

    def _accepts(self, isa: str, flags: Sequence[str]) -> bool:
        command = [*self.command, *flags, "-E", "-x", "c", os.devnull]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"convkit: no {isa} kernels, the compiler answers: {done.stderr.strip()}")
        return done.returncode == 0

    def _output(self, flag: str) -> str:
        done = subprocess.run([*self.command, flag], capture_output=True, text=True, check=True)
        return done.stdout.strip()


def dependencies(included: Path) -> list[Path]:
    """Return the files that a compiler noted in `included` (a make rule) as read."""
    if not included.exists():
        return []
    words = included.read_text().replace("\\\n", " ").partition(":")[2].split()
    return sorted(map(Path, words))


def stamp(known: Iterable[str], files: Iterable[Path]) -> str:
    """Return what identifies the inputs of a compilation; a file that is gone is one too."""
    digest = hashlib.sha256("\0".join(known).encode())
    for path in files:
        digest.update(path.read_bytes() if path.exists() else b"gone")
    return digest.hexdigest()


def environment_flags(variable: str) -> list[str]:
    """Return the flags in an environment variable."""
    return shlex.split(os.environ.get(variable, ""))


def run(command: Sequence[str]) -> None:
    """Run a compiler, passing on what it says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.stderr:
        print(done.stderr, file=sys.stderr)
    if done.returncode:
        raise SystemExit(f"convkit: this command failed: {shlex.join(command)}")


def library_units(compiler: Compiler, build: Path, only: Sequence[str] | None = None) -> list[Unit]:
    """Return the units of the C library, with kernels for all instruction sets or `only` some.

    The kernel table is written to `build`.
    """
    isas = compiler.isas()
    baseline = list(isas.values())[-1]
    if only is not None:
        isas = {isa: isas[isa] for isa in only}
    build.mkdir(parents=True, exist_ok=True)
    source = build / "kernel_table.c"
    tables = {
        kind: versions([path.stem for path in (CSRC / folder).glob("*.c")], isas)
        for kind, folder in KERNELS.items()
    }
    source.write_text(kernel_tables(tables, isas, source_hash()))
    units = [
        Unit(
            CSRC / KERNELS[kind] / f"{name}.c",
            build / f"{name}.{isa}.o",
            [*isas[isa], f"-DCK_ISA={isa}"],
        )
        for kind, rows in tables.items()
        for name, isa in rows
    ]
    for path in [*sorted(CSRC.glob("*.c")), source]:
        units.append(Unit(path, build / f"{path.stem}.o", baseline))
    return units


def module_unit(compiler: Compiler, build: Path, *, limited_api: bool) -> Unit:
    """Return the unit of the module that cffi writes around the library."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source("convkit._convkit", '#include "abi.h"\n#include "python.h"\n')
    source = build / "_convkit.c"
    ffi.emit_c_code(str(source))
    flags = [*list(compiler.isas().values())[-1], "-DNDEBUG", "-Wno-unused-parameter"]
    flags += [f"-I{sysconfig.get_path(kind)}" for kind in ("include", "platinclude")]
    if limited_api:
        flags.append("-DPy_LIMITED_API=0x030B0000")
    return Unit(source, build / "_convkit.o", flags)


def link_flags() -> list[str]:
    """Return the flags that link a module; no path of this machine gets into it."""
    wanted = [flag for flag in environment_flags("LDFLAGS") if not flag.startswith("-Wl,-rpath")]
    if sys.platform == "darwin":
        return ["-bundle", "-undefined", "dynamic_lookup", *wanted]
    hardened = ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]
    return ["-shared", *hardened, "-Wl,--as-needed", *wanted, "-pthread", "-lm"]


def main() -> None:
    """Hand the build to setuptools."""
    from setuptools import Extension, find_namespace_packages, setup
    from setuptools.command.build_ext import build_ext

    limited_api = not sysconfig.get_config_var("Py_GIL_DISABLED")

    class BuildNative(build_ext):
        def build_extension(self, ext: Extension) -> None:
            compiler = Compiler.from_environment()
            # Beside the other output of setuptools, which however forgets its own between runs.
            build = Path("build") / f"objects-{sysconfig.get_platform()}"
            units = library_units(compiler, build)
            units.append(module_unit(compiler, build, limited_api=limited_api))
            compiler.compile(units)
            target = Path(self.get_ext_fullpath(ext.name))
            target.parent.mkdir(parents=True, exist_ok=True)
            objects = [str(unit.object) for unit in units]
            run([*compiler.command, "-o", str(target), *objects, *link_flags()])

    packages = find_namespace_packages("src", include=["convkit", "convkit.*"])
    folders = {"": "src"}
    if any(Path("cuda").glob("*.cu")):
        packages.append("convkit._cuda")
        folders["convkit._cuda"] = "cuda"
    options = {
        "packages": packages,
        "package_dir": folders,
        "package_data": {"convkit": ["py.typed", "*.pyi"], "convkit._cuda": ["*.cu", "*.cuh"]},
    }
    build = os.environ.get("CONVKIT_BUILD", "native")
    if build not in {"native", "pure"}:
        raise SystemExit(f"convkit: CONVKIT_BUILD={build!r}: expected 'native' or 'pure'")
    if build == "native":
        options["ext_modules"] = [
            Extension("convkit._convkit", sources=[], py_limited_api=limited_api)
        ]
        options["cmdclass"] = {"build_ext": BuildNative}
        if limited_api:
            options["options"] = {"bdist_wheel": {"py_limited_api": "cp311"}}
    setup(**options)


if __name__ == "__main__":
    main()
