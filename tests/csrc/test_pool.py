"""The thread pool and the allocator, by a C program that makes one claim per run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
CLAIMS = re.findall(r"CLAIM\((\w+)\),", (HERE / "pool_driver.c").read_text())

# Linux sleeps on futexes; the condition variables of other systems are tested here as well.
BELLS = {"futex": [], "condition": ["-DCK_NO_FUTEX"]}


@pytest.fixture(scope="session")
def pool(setup_py, tmp_path_factory):
    """Build the program, with a directory in the place of /."""
    folder = tmp_path_factory.mktemp("pool")

    def build(name, *flags):
        target = folder / name
        if not target.exists():
            compiler = setup_py.Compiler.from_environment()
            sources = [CSRC / "pool.c", CSRC / "alloc.c", CSRC / "tables.c", HERE / "pool_driver.c"]
            command = [*compiler.command, *setup_py.FLAGS, "-UNDEBUG", f"-I{CSRC}", *flags]
            setup_py.run([*command, *map(str, sources), "-o", str(target), "-pthread"])
        return target

    return build


@pytest.fixture
def machine(pool, tmp_path, monkeypatch):
    """Return the thread count a program decides on, on a machine with these files."""
    root = tmp_path / "root"
    program = pool("quota", '-DCK_ROOT="root"')

    def decide(files, **environment):
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        command = subprocess.run(
            [program],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            check=True,
        )
        return int(command.stdout)

    return decide


@pytest.fixture
def cpus():
    return len(os.sched_getaffinity(0))


@pytest.mark.parametrize("bell", BELLS)
@pytest.mark.parametrize("claim", CLAIMS)
def test_pool(pool, run, claim, bell):
    print(run(pool(bell, *BELLS[bell]), claim))


def test_sanitizer_finds_no_race_in_the_pool(pool, run):
    program = pool("thread", "-fsanitize=thread", "-O1")

    for claim in CLAIMS:  # the sanitizer has a thread of its own, and does not follow a fork
        if not re.search("child|threads_are_made|system_gives_no_more", claim):
            run(program, claim)


def test_count_is_that_of_the_cpus_without_a_quota(machine, cpus):
    assert machine({}) == cpus
    assert machine({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}) == cpus


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"},
        {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "50000 100000\n"},
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/cpu.max": "10000 100000\n",
        },
        {
            "proc/self/cgroup": "5:memory:/d\n4:cpuacct,cpu:/d\n0::/\n",
            "sys/fs/cgroup/cpu/d/cpu.cfs_quota_us": "90000\n",
            "sys/fs/cgroup/cpu/d/cpu.cfs_period_us": "100000\n",
        },
        {  # a container sees the host's path but mounts its own group as the root
            "proc/self/cgroup": "4:cpu,cpuacct:/docker/0123\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    ],
    ids=["version 2", "own group", "group around it", "version 1", "container"],
)
def test_quota_of_one_cpu_means_one_thread(machine, files):
    assert machine(files) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "garbage\n"},
        {"proc/self/cgroup": "4:cpuset,xcpu:/d\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "1\n"},
        {"proc/self/cgroup": "no colon\n:\n0:\n\n"},
    ],
)
def test_strange_control_groups_are_passed_over(machine, cpus, files):
    assert machine(files) == cpus


def test_count_is_rounded_up_and_no_more_than_the_cpus(machine, cpus):
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100001 100000\n"}

    assert machine(files) == min(2, cpus)


def test_affinity_limits_the_count(pool):
    cpu = min(os.sched_getaffinity(0))
    program = pool("futex")

    output = subprocess.run(
        [program],
        preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert int(output) == 1


def test_environment_sets_the_count(machine, cpus):
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 100000\n"}

    assert machine(files, CONVKIT_NUM_THREADS="7") == 7
    assert machine({}, CONVKIT_NUM_THREADS="nonsense") == 1
    assert machine({}, CONVKIT_NUM_THREADS="") == 1
