"""No register tile of a kernel spills: read from the disassembly of every kernel and ISA.

A tile that the compiler keeps on the stack computes the same numbers two to four times slower,
so nothing else would tell.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
KERNELS = sorted(path.stem for path in (ROOT / "csrc" / "kernels").glob("*.c"))


# Residual and activation of a finished vector, out of line; libm's functions are called from it.
# "repair" sums the few blocks that hold NaN or overflow, by way of small arrays on the stack.
NO_TILE = {"finish", "row_finish", "repair"}


class Machine(NamedTuple):
    """How the instructions of a machine read."""

    objdump: str
    jump: str  # its target is the last hexadecimal number
    multiply_add: str  # of vectors
    vector_on_stack: str  # a vector register together with an address on the stack
    frame_pointer: str  # says that the other register below points to the stack as well


# A broadcast, {1to16} or vbroadcastss, reads a scalar of the stack: no spilled vector.
X86 = Machine(
    objdump="objdump",
    jump=r"^j\w+ ",
    multiply_add=r"^v?(?:f?n?m?(?:fn?m(?:add|sub)\w*|mul)p[sd]|pdp\w+|pmadd\w+) ",
    vector_on_stack=r"^(?!\w*s[sd] |\w*broadcast|.*\{{1to)(?=.*%[xyz]mm).*\({0}[,)]",
    frame_pointer=r"^mov\s+%rsp,%rbp",
)
AARCH64 = Machine(
    objdump="aarch64-linux-gnu-objdump",
    jump=r"^(?:b|b\.\w+|cbn?z|tbn?z)\s",
    multiply_add=r"^(?:f?ml[as]|[su]dot)\s+v",
    vector_on_stack=r"^(?:ldr|str|ldp|stp|ldur|stur)\s+q.*\[{0}",
    frame_pointer=r"^mov\s+x29, sp",
)
STACK = {"objdump": ("%rsp", "%rbp"), "aarch64-linux-gnu-objdump": ("sp", "x29")}


def functions(machine: Machine, code: Path) -> dict[str, list[tuple[int, str]]]:
    """Return the instructions of each function, by address."""
    command = [machine.objdump, "-d", "--no-show-raw-insn", str(code)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[tuple[int, str]]] = {}
    for line in text.splitlines():
        if head := re.fullmatch(r"[0-9a-f]+ <(.+)>:", line):
            body = found.setdefault(head[1], [])
        elif part := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            body.append((int(part[1], 16), re.sub(r"\s+", " ", part[2])))
    return found


def loops(machine: Machine, body: list[tuple[int, str]]) -> list[range]:
    """Return the loops of a function, as the positions a jump back goes over; inner ones first."""
    position = {address: i for i, (address, _) in enumerate(body)}
    found = []
    for i, (_, text) in enumerate(body):
        target = re.search(r"([0-9a-f]+) <", text)
        if re.search(machine.jump, text) and target:
            start = position.get(int(target[1], 16), i + 1)
            if start <= i:
                found.append(range(start, i + 1))
    return sorted(found, key=len)


def spills(machine: Machine, code: Path) -> list[str]:
    """Return what moves vectors to or from the stack within the innermost loops around FMAs."""
    found = []
    for name, body in functions(machine, code).items():
        if name.partition(".")[0] in NO_TILE:
            continue
        pointer, frame = STACK[machine.objdump]
        is_frame = any(re.search(machine.frame_pointer, text) for _, text in body)
        stack = f"(?:{pointer}|{frame})" if is_frame else pointer
        spill = re.compile(machine.vector_on_stack.format(stack))
        inner = loops(machine, body)
        tiles = {
            next((loop for loop in inner if i in loop), range(0))
            for i, (_, text) in enumerate(body)
            if re.search(machine.multiply_add, text)
        }
        for tile in tiles:
            found += [f"{name}: {body[i][1]}" for i in tile if spill.search(body[i][1])]
    return found


def tile(accumulators: int, width: int) -> str:
    """Return the C source of a loop over a register tile of vectors of `width` bytes."""
    return f"""
typedef float vec __attribute__((vector_size({width})));
void tile(const vec *x, const float *w, vec *y, long n)
{{
    vec acc[{accumulators}] = {{0}};
    for (long i = 0; i < n; i++)
        _Pragma("GCC unroll 64") for (int j = 0; j < {accumulators}; j++)
            acc[j] += x[i] * w[i * {accumulators} + j];
    _Pragma("GCC unroll 64") for (int j = 0; j < {accumulators}; j++)
        y[j] = acc[j];
}}
"""


@pytest.fixture(scope="session")
def compiled(setup_py, program):
    """Compile every kernel for every instruction set; return the object of a kernel and one."""

    def build(folder, command=None):
        with contextlib.chdir(ROOT):
            compiler = setup_py.Compiler.from_environment()
            if command:
                compiler = setup_py.Compiler(shlex.split(command))
            compiler.compile(setup_py.library_units(compiler, Path("build") / folder))
            return compiler, ROOT / "build" / folder

    return build


@pytest.fixture(scope="session")
def native(setup_py, compiled, need):
    need("objdump")
    return compiled(f"objects-{setup_py.sysconfig.get_platform()}")


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_vector_is_spilled(setup_py, native, kernel):
    compiler, folder = native
    machine = {"x86_64": X86, "aarch64": AARCH64._replace(objdump="objdump")}[compiler.machine]

    rows = setup_py.versions([kernel], compiler.isas())
    found = {isa: spills(machine, folder / f"{kernel}.{isa}.o") for _, isa in rows}

    assert not any(found.values()), found


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_vector_is_spilled_on_aarch64(setup_py, compiled, need, kernel):
    need("aarch64-linux-gnu-objdump")
    compiler, folder = compiled("driver-aarch64", need("aarch64-linux-gnu-gcc"))

    rows = setup_py.versions([kernel], compiler.isas())
    found = {isa: spills(AARCH64, folder / f"{kernel}.{isa}.o") for _, isa in rows}

    assert not any(found.values()), found


@pytest.mark.parametrize(("accumulators", "fits"), [(8, True), (40, False)])
@pytest.mark.parametrize(
    ("command", "width", "machine"),
    [
        ("gcc -mavx512f", 64, X86),
        ("gcc -mavx2 -mfma", 32, X86),
        ("gcc", 16, X86),
        ("aarch64-linux-gnu-gcc", 16, AARCH64),
    ],
)
def test_checker_tells_a_tile_that_fits(
    setup_py, need, tmp_path, command, width, machine, accumulators, fits
):
    need(command.split()[0])
    need(machine.objdump)
    if machine is X86 and setup_py.Compiler(["gcc"]).machine != "x86_64":
        pytest.skip("needs an x86-64 machine")
    source = tmp_path / "tile.c"
    source.write_text(tile(accumulators, width))

    setup_py.run([*command.split(), "-O3", "-c", str(source), "-o", str(tmp_path / "tile.o")])

    assert (spills(machine, tmp_path / "tile.o") == []) == fits
