"""Plans: decided once, called many times."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import convkit as ck
from convkit.arguments import Form
from convkit.backends.numpy.direct import ALGORITHM, NumpyDirect
from convkit.plan import Plan
from convkit.problem import ConvProblem

LINE = "conv2d n2 c3 o4 i9x9 k3x3 p1x1 float32"


def arrays(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, 3, 9, 9)).astype("f4")
    return x, rng.standard_normal((4, 3, 3, 3)).astype("f4")


def test_a_plan_computes_what_the_function_does() -> None:
    x, w = arrays()
    plan = ck.plan_conv2d(x.shape, w, padding=1)

    np.testing.assert_array_equal(plan(x), ck.conv2d(x, w, padding=1))
    assert str(plan.problem) == LINE


def test_a_plan_writes_to_out() -> None:
    x, w = arrays()
    out = np.full((2, 4, 9, 9), np.nan, "f4")

    y = ck.plan_conv2d(x.shape, w, padding=1)(x, out=out)

    assert y is out
    np.testing.assert_array_equal(out, ck.conv2d(x, w, padding=1))


@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_a_plan_keeps_its_weights_bias_and_residual(backend: Any) -> None:
    x, w = arrays()
    bias, residual = np.ones(4, "f4"), np.ones((2, 4, 9, 9), "f4")
    plan = ck.plan_conv2d(x.shape, w, bias, padding=1, residual=residual, backend=backend)
    expected = plan(x)

    w[:], bias[:], residual[:] = 7, 7, 7

    np.testing.assert_array_equal(plan(x), expected)


def test_bias_and_residual_of_a_call_replace_those_of_the_plan() -> None:
    x, w = np.ones((1, 1, 3)), np.ones((1, 1, 3))
    plan = ck.plan_conv1d(x.shape, w, [10.0], residual=[[[100.0]]])

    assert plan(x).item() == 113
    assert plan(x, bias=[20.0]).item() == 123
    assert plan(x, residual=[[[200.0]]]).item() == 213
    assert plan(x, bias=[0.0], residual=[[[0.0]]], out=np.empty((1, 1, 1))).item() == 3


def test_x_is_of_the_shape_planned_for() -> None:
    x, w = arrays()
    plan = ck.plan_conv2d(x.shape, w)

    with pytest.raises(ck.ShapeError) as error:
        plan(x[:1])

    assert str(error.value) == "x has shape (1, 3, 9, 9); this plan is for (2, 3, 9, 9)"


def test_x_is_of_the_dtype_planned_for_or_one_that_it_holds() -> None:
    plan = ck.plan_conv1d((5,), np.ones(3, "f4"))

    with pytest.raises(TypeError, match="x has dtype float64; this plan is for float32"):
        plan(np.ones(5))
    assert plan(np.ones(5, "i2")).dtype == np.float32
    assert plan([1, 2, 3, 4, 5]).tolist() == [6, 9, 12]
    assert plan([1.0, 2, 3, 4, 5]).dtype == np.float32


def test_a_plan_may_be_for_another_dtype_than_that_of_its_weights() -> None:
    plan = ck.plan_conv1d((5,), np.ones(3), dtype=np.int16)

    assert plan.problem.dtype == "float64"
    assert plan(np.arange(5, dtype="i2")).tolist() == [3, 6, 9]
    assert ck.plan_conv1d((5,), np.ones(3, "u1"), dtype="bool").problem.dtype == "bool"


def test_a_plan_says_what_it_is() -> None:
    plan = ck.plan_conv1d((9,), np.ones(3, "i4"), backend="numpy")

    assert (plan.algorithm, plan.backend, plan.isa) == ("direct", "numpy", None)
    assert repr(plan) == "<Plan conv1d n1 c1 o1 i9 k3 int32: numpy/direct>"
    assert plan.error_bound == ALGORITHM.error_bound(plan.problem)
    assert plan.workspace_bytes == ALGORITHM.workspace_bytes(plan.problem)
    assert "<td>numpy/direct</td>" in plan._repr_html_()
    assert "numpy/direct" in str(plan.explain())


def test_a_plan_of_native_kernels_names_their_instruction_set() -> None:
    native = pytest.importorskip("convkit.backends.native", exc_type=ck.BackendUnavailableError)

    plan = ck.plan_conv1d((9,), np.ones(3, "f4"), backend="native")

    assert plan.isa in native.isas()[:2]  # its own, or the next lesser
    assert repr(plan).endswith(f"native/direct ({plan.isa})>")


def test_attributes_cannot_be_added() -> None:
    with pytest.raises(AttributeError):
        ck.plan_conv1d((9,), np.ones(3)).other = 1


def test_a_plan_can_be_called_from_several_threads() -> None:
    x, w = arrays()
    plan = ck.plan_conv2d(x.shape, w, padding=1)
    images = [x * i for i in range(8)]
    expected = [plan(image) for image in images]
    found: list[Any] = [None] * 8

    def work(i: int) -> None:
        for _ in range(20):
            found[i] = plan(images[i])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    np.testing.assert_array_equal(found, expected)


class Quick(NumpyDirect):
    """A reference with a quick way that counts its calls, and declines every other time."""

    calls = 0

    def quick(self, problem: ConvProblem, prepared: Any, bias: Any = None) -> Any:
        def quick(x: np.ndarray, out: np.ndarray) -> int:
            self.calls += 1
            out[...] = -1
            return 1 if self.calls % 2 == 0 else 0

        return quick


def test_what_the_quick_way_declines_goes_the_long_one() -> None:
    algorithm = Quick()
    form = Form.of(ConvProblem.parse("conv1d n1 c1 o1 i3 k3 float32"))
    plan = Plan(form, algorithm, np.ones((1, 1, 3)))
    x = np.ones((1, 1, 3), "f4")

    assert plan(x).item() == -1
    assert plan(x).item() == 3
    assert plan(x, out=np.empty((1, 1, 1), "f4")).item() == -1
    assert plan(x, bias=[1.0]).item() == 4
    assert algorithm.calls == 3


def test_the_quick_way_sees_exact_dtypes_only() -> None:
    algorithm = Quick()
    form = Form.of(ConvProblem.parse("conv1d n1 c1 o1 i3 k3 float32"))
    plan = Plan(form, algorithm, np.ones((1, 1, 3)))

    assert plan(np.ones((1, 1, 3), ">f4")).item() == 3
    assert plan(np.ones((1, 1, 3), "f2")).item() == 3
    with pytest.raises(ck.ShapeError):
        plan(np.ones((1, 1, 3), "f4"), out=np.empty((1, 1, 1)))
    assert algorithm.calls == 0
