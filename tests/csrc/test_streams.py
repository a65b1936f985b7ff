"""The kernels of streams without Python: on this machine, under a sanitizer, on other CPUs."""

from __future__ import annotations

import platform
import subprocess
import sysconfig
from pathlib import Path

import pytest

DRIVER = Path("tests/csrc/stream_driver.c")
NATIVE = f"objects-{sysconfig.get_platform()}"  # of the module itself: nothing to compile twice
SANITIZE = ["-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
X86 = {"Nehalem": {"v2"}, "Haswell": {"v2", "avx2"}}
AARCH64 = {"cortex-a53": {"neon"}}

is_x86 = platform.machine() in {"x86_64", "AMD64"}


def isas(output: str) -> set[str]:
    """Return the instruction sets that a run of the driver went through."""
    assert output.endswith("all kernels agree\n")
    # An emulator may say between them what it lacks.
    return {line.split()[0] for line in output.splitlines() if line.endswith(" streams")}


@pytest.fixture(scope="session")
def driver(program):
    return program(DRIVER, NATIVE, link=["-static"])  # an emulator needs no libraries then


@pytest.fixture(scope="session")
def sanitized(program):
    probe = ["cc", *SANITIZE, "-x", "c", "-", "-o", "/dev/null"]
    if subprocess.run(probe, input=b"int main(void) {}", check=False).returncode:
        pytest.skip("the address sanitizer is missing: apt-get install gcc")
    only = ["v2"] if is_x86 else None  # the narrowest: the same source, the least to compile
    return program(DRIVER, "driver-address", only=only, flags=SANITIZE, link=SANITIZE)


def test_every_kernel_agrees_on_every_isa_of_this_cpu(driver, run):
    native = pytest.importorskip("convkit.backends.native")

    found = isas(run(driver))

    assert native.isas()[-1] in found
    assert found <= set(native.isas())


@pytest.mark.parametrize(
    ("fault", "finding"),
    [("value", "a wrong value"), ("bits", "a copy of the state gives other bits")],
)
def test_driver_finds_a_planted_fault(driver, run, fault, finding):
    assert finding in run(driver, "-n", 2, "-p", fault, fails=True)


def test_sanitizers_find_nothing(sanitized, run):
    assert isas(run(sanitized, "-n", 12))


def test_sanitizers_find_a_planted_fault(sanitized, run):
    assert "heap-buffer-overflow" in run(sanitized, "-n", 2, "-p", "overrun", fails=True)


@pytest.mark.skipif(not is_x86, reason="needs an x86-64 machine")
@pytest.mark.parametrize("cpu", X86)
def test_x86_kernels_agree_on_a_cpu_without_more(driver, run, need, cpu):
    assert isas(run(need("qemu-x86_64"), "-cpu", cpu, driver, "-n", 8)) == X86[cpu]


@pytest.mark.parametrize("cpu", AARCH64)
def test_aarch64_kernels_agree(program, run, need, cpu):
    compiler = need("aarch64-linux-gnu-gcc")
    emulator = need("qemu-aarch64")
    driver = program(DRIVER, "driver-aarch64", command=compiler, link=["-static"])

    assert isas(run(emulator, "-cpu", cpu, driver, "-n", 8)) == AARCH64[cpu]
