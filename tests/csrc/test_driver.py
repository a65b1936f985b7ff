"""The kernels without Python: driver.c on this machine, under sanitizers and on other CPUs."""

from __future__ import annotations

import platform
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

DRIVER = Path("tests/csrc/driver.c")
NATIVE = f"objects-{sysconfig.get_platform()}"  # of the module itself: nothing to compile twice

SANITIZERS = {
    "address": ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-O0", "-fsanitize=thread"],
}

FEW = 16  # cases, where they are slow: each dtype of each kernel has its turn, of at most 12

# What the emulated CPU can run, by its name; AVX where it may not be dies of SIGILL.
X86 = {"Nehalem": {"v2"}, "Haswell": {"v2", "avx2"}}
AARCH64 = {"cortex-a53": {"neon"}, "max": {"neon", "dotprod"}}

on_x86 = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"}, reason="needs an x86-64 machine"
)


def isas(output: str) -> set[str]:
    """Return the instruction sets that a run of the driver went through."""
    assert output.endswith("all kernels agree\n")
    return {line.split()[0] for line in output.splitlines()[:-1] if " problems, " in line}


@pytest.fixture(scope="session")
def driver(program: Callable[..., Path]) -> Path:
    return program(DRIVER, NATIVE, link=["-static"])  # an emulator needs no libraries then


@pytest.fixture(scope="session")
def sanitized(program: Callable[..., Path]) -> Callable[[str], Path]:
    def build(sanitizer: str) -> Path:
        flags = SANITIZERS[sanitizer]
        probe = ["cc", *flags, "-x", "c", "-", "-o", "/dev/null"]
        if subprocess.run(probe, input=b"int main(void) {}", check=False).returncode:
            pytest.skip(f"the {sanitizer} sanitizer is missing: apt-get install gcc")
        # The narrowest kernels: the same source, the least to compile.
        only = ["v2"] if platform.machine() in {"x86_64", "AMD64"} else None
        return program(DRIVER, f"driver-{sanitizer}", only=only, flags=flags, link=flags)

    return build


def test_every_kernel_agrees_on_every_isa_of_this_cpu(driver, run):
    native = pytest.importorskip("convkit.backends.native")

    output = run(driver, "-n", 150)

    print(output)
    own = {row.isa for name in native.kernel_names() for row in native.kernels(name).values()}
    assert isas(output) == {native.text(isa) for isa in own}


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("overrun", "wrote outside y"),
        ("hole", "+0i, not "),
        ("order", "other bits on 2 threads"),
        ("leak", "bytes of native memory were never given back"),
    ],
)
def test_driver_finds_a_planted_fault(driver, run, fault, finding):
    assert finding in run(driver, "-n", 20, "-p", fault, fails=True)


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_sanitizers_find_nothing(sanitized, run, sanitizer):
    assert isas(run(sanitized(sanitizer), "-n", FEW))


@pytest.mark.parametrize(
    ("sanitizer", "fault", "finding"),
    [
        ("address", "overrun", "heap-buffer-overflow"),
        ("address", "undefined", "signed integer overflow"),
        ("thread", "race", "data race"),
    ],
)
def test_sanitizers_find_a_planted_fault(sanitized, run, sanitizer, fault, finding):
    assert finding in run(sanitized(sanitizer), "-n", 5, "-p", fault, fails=True)


@on_x86
@pytest.mark.parametrize("cpu", X86)
def test_x86_kernels_agree_on_a_cpu_without_more(driver, run, need, cpu):
    output = run(need("qemu-x86_64"), "-cpu", cpu, driver, "-n", FEW)

    assert isas(output) == X86[cpu]


@pytest.mark.parametrize("cpu", AARCH64)
def test_aarch64_kernels_agree(program, run, need, cpu):
    compiler = need("aarch64-linux-gnu-gcc")
    emulator = need("qemu-aarch64")

    driver = program(DRIVER, "driver-aarch64", command=compiler, link=["-static"])
    output = run(emulator, "-cpu", cpu, driver, "-n", FEW)

    assert isas(output) == AARCH64[cpu]
