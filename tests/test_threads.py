"""Threads as Python sees them: their number, forks, exits, Ctrl-C, and the same bits always."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import convkit as ck

pytest.importorskip("convkit._convkit")


@pytest.fixture(autouse=True)
def keep_count():
    before = ck.get_num_threads()
    yield
    ck.set_num_threads(before)


def script(code, timeout=60, **environment):
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )


def image(dtype="float32"):
    rng = np.random.default_rng(1)
    return (
        rng.standard_normal((2, 24, 40, 41)).astype(dtype),
        rng.standard_normal((19, 24, 3, 3)).astype(dtype),
    )


def seconds_long():
    """Return arrays whose convolution takes several seconds on any machine."""
    return np.ones((1, 1, 3_000_000), "f4"), np.ones((1, 1, 200_000), "f4")


# ---- how many ----


def test_count_is_read_back():
    ck.set_num_threads(3)

    assert ck.get_num_threads() == 3


def test_count_within_a_block_is_restored_after_it():
    ck.set_num_threads(2)
    within = []

    with contextlib.suppress(KeyError), ck.threads(5):
        within.append(ck.get_num_threads())
        raise KeyError

    assert within == [5]
    assert ck.get_num_threads() == 2


@pytest.mark.parametrize("n", [0, -1, 257, 2**70])
def test_count_out_of_range_is_refused(n):
    with pytest.raises(ValueError, match=f"n={n}: expected 1 to 256 threads"):
        ck.set_num_threads(n)


@pytest.mark.parametrize("n", [1.5, "2", None, True])
def test_count_of_another_kind_is_refused(n):
    with pytest.raises(TypeError, match=f"n={n!r}: expected an int from 1 to 256"):
        ck.set_num_threads(n)


def test_numpy_ints_are_counts():
    ck.set_num_threads(np.int64(2))

    assert ck.get_num_threads() == 2


def test_without_the_compiled_module_the_count_is_only_kept(monkeypatch):
    module = sys.modules["convkit.threads"]  # ck.threads is the function
    monkeypatch.setattr(module, "_pool", lambda: None)
    monkeypatch.setattr(module, "_num_threads", 1)

    with ck.threads(4):
        assert ck.get_num_threads() == 4
    assert ck.get_num_threads() == 1


def test_environment_sets_the_count():
    code = "import convkit as ck; print(ck.get_num_threads())"

    assert script(code, CONVKIT_NUM_THREADS="7").stdout == "7\n"


@pytest.mark.parametrize("value", ["0", "257", "two", "1.5", "-1"])
def test_wrong_count_in_the_environment_is_refused(value):
    done = script("import convkit.backends.native", CONVKIT_NUM_THREADS=value)

    assert f"ValueError: CONVKIT_NUM_THREADS={value!r}: expected an int from 1 to" in done.stdout


def test_threadpoolctl_sees_and_sets_the_count():
    tpc = pytest.importorskip("threadpoolctl")

    class Controller(tpc.LibController):
        user_api = internal_api = "convkit"
        filename_prefixes = ("_convkit",)
        check_symbols = ("convkit_get_num_threads",)

        def get_num_threads(self):
            return self.dynlib.convkit_get_num_threads()

        def set_num_threads(self, num_threads):
            return self.dynlib.convkit_set_num_threads(num_threads)

        def get_version(self):
            return None

        def set_additional_attributes(self):
            pass

    tpc.register(Controller)
    ck.set_num_threads(3)

    with tpc.threadpool_limits(2, user_api="convkit"):
        assert ck.get_num_threads() == 2
    assert ck.get_num_threads() == 3


# ---- the same results ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_the_count(dtype):
    x, w = image(dtype)
    results = []
    for n in (1, 2, 3):
        with ck.threads(n):
            results.append(ck.conv2d(x, w, padding=1, backend="native").tobytes())

    assert results[0] == results[1] == results[2]


def test_concurrent_callers_get_their_own_results():
    x, w = image()
    right = [ck.conv2d(x * k, w) for k in range(4)]
    wrong = []

    def call(k):
        for _ in range(20):
            if not np.array_equal(ck.conv2d(x * k, w), right[k]):
                wrong.append(k)

    callers = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert wrong == []


# ---- forks and exits ----

FORK = """
    import os, threading, time
    import numpy as np, convkit as ck
    ck.set_num_threads(3)
    x, w = np.ones((1, 32, 64, 64), "f4"), np.ones((32, 32, 3, 3), "f4")
    right = ck.conv2d(x, w, backend="native")
    stop = threading.Event()
    def call():
        while not stop.is_set():
            ck.conv2d(x, w, backend="native")
    caller = threading.Thread(target=call)
    if {busy}:
        caller.start()
    for _ in range(10):
        time.sleep(0.003)
        child = os.fork()
        if child == 0:
            same = np.array_equal(ck.conv2d(x, w, backend="native"), right)
            os._exit(0 if same else 1)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    assert np.array_equal(ck.conv2d(x, w, backend="native"), right)
    print("fine")
"""


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_conv2d_works_in_a_forked_child(busy):
    assert script(FORK.format(busy=busy)).stdout == "fine\n"


def test_multiprocessing_by_fork_works():
    done = script(
        """
        import multiprocessing, numpy as np, convkit as ck
        x, w = np.ones((1, 16, 64, 64), "f4"), np.ones((16, 16, 3, 3), "f4")
        def work(_):
            return float(ck.conv2d(x, w, backend="native").sum())
        first = work(0)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(set(pool.map(work, range(8))) == {first})
        """
    )

    assert done.stdout == "True\n"


def test_exit_with_idle_threads_is_clean():
    done = script(
        """
        import atexit, numpy as np, convkit as ck
        x, w = np.ones((1, 16, 64, 64), "f4"), np.ones((16, 16, 3, 3), "f4")
        ck.conv2d(x, w, backend="native")
        atexit.register(lambda: print(ck.conv2d(x, w, backend="native").shape))
        """
    )

    assert (done.returncode, done.stdout) == (0, "(1, 16, 62, 62)\n")


def test_exit_amid_a_native_call_is_clean():
    done = script(
        """
        import threading, time, numpy as np, convkit as ck
        x, w = np.ones((1, 1, 3_000_000), "f4"), np.ones((1, 1, 200_000), "f4")
        call = lambda: ck.conv1d(x, w, algorithm="direct", backend="native")
        threading.Thread(target=call, daemon=True).start()
        time.sleep(0.2)
        """,
        timeout=20,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_idle_pool_uses_no_cpu():
    x, w = image()
    with ck.threads(3):
        ck.conv2d(x, w, backend="native")
        time.sleep(0.05)

        before = time.process_time()
        time.sleep(0.3)

        assert time.process_time() - before < 0.01


# ---- Ctrl-C ----


class Alarm(Exception):
    """Raised by a signal handler."""


@pytest.mark.parametrize("count", [1, 2])
def test_signal_handler_ends_a_long_call(count):
    x, w = seconds_long()

    def raise_alarm(*_):
        raise Alarm

    old = signal.signal(signal.SIGALRM, raise_alarm)
    try:
        with ck.threads(count):
            started = time.monotonic()
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Alarm):
                ck.conv1d(x, w, algorithm="direct", backend="native")
            late = time.monotonic() - started - 0.2
            again = ck.conv1d(np.ones((1, 1, 5), "f4"), np.ones((1, 1, 3), "f4"), backend="native")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)

    print(f"{late * 1e3:.0f} ms late")
    assert late < 0.1
    assert again.tolist() == [[[3, 3, 3]]]


def test_ctrl_c_ends_a_long_call():
    done = script(
        """
        import os, signal, threading, numpy as np, convkit as ck
        x, w = np.ones((1, 1, 3_000_000), "f4"), np.ones((1, 1, 200_000), "f4")
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            ck.conv1d(x, w, algorithm="direct", backend="native")
        except KeyboardInterrupt:
            print("interrupted")
        """
    )

    assert done.stdout == "interrupted\n"


def test_signal_handler_that_raises_nothing_lets_the_call_end():
    x, w = np.ones((1, 1, 400_000), "f4"), np.ones((1, 1, 20_000), "f4")
    seen = []
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        y = ck.conv1d(x, w, algorithm="direct", backend="native")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)

    assert seen
    assert (y == 20_000).all()
