"""conv1d, conv2d, conv3d: what a call does beside its arithmetic."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import numpy as np
import pytest

import convkit as ck
from convkit import functional, selector
from convkit.activations import NAMES, apply
from convkit.arguments import Options

FUNCTIONS = [ck.conv1d, ck.conv2d, ck.conv3d]
PLANS = [ck.plan_conv1d, ck.plan_conv2d, ck.plan_conv3d]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_signature_shows_every_keyword_and_default(function: Any) -> None:
    parameters = inspect.signature(function).parameters

    shown = {name: p.default for name, p in parameters.items() if p.kind == p.KEYWORD_ONLY}
    assert list(parameters)[:3] == ["x", "w", "bias"]
    assert shown == {**Options._field_defaults, "residual": None, "out": None}


@pytest.mark.parametrize("function", PLANS)
def test_plans_take_the_same_keywords_but_out(function: Any) -> None:
    parameters = inspect.signature(function).parameters

    shown = {name: p.default for name, p in parameters.items() if p.kind == p.KEYWORD_ONLY}
    assert list(parameters)[:3] == ["x_shape", "w", "bias"]
    assert shown == {**Options._field_defaults, "residual": None, "dtype": None}


@pytest.mark.parametrize("name", list(Options._fields))
def test_every_keyword_is_documented(name: str) -> None:
    assert f"\n    {name}" in (ck.conv2d.__doc__ or "") or f", {name} :" in ck.conv2d.__doc__


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_the_order_is_convolution_bias_residual_activation(rank: int, backend: Any) -> None:
    x = np.full((1, 1, *(3,) * rank), 2.0)
    w = np.full((2, 1, *(1,) * rank), 3.0)
    residual = np.full((1, 2, *(3,) * rank), -10.0)

    y = FUNCTIONS[rank - 1](
        x, w, [5.0, 1.0], residual=residual, activation=("clip", 0.5, 9), backend=backend
    )

    assert (y[:, 0] == 2 * 3 + 5 - 10).all()
    assert (y[:, 1] == 0.5).all()


@pytest.mark.parametrize("activation", [*NAMES, ("clip", -0.5, 0.75), ("leaky_relu", 0.3)])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_activations_are_those_of_pytorch(activation: Any, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    names = {"clip": "hardtanh", "hardswish": "hardswish"}
    name, *parameters = activation if isinstance(activation, tuple) else (activation,)
    function = getattr(torch.nn.functional, names.get(name, name))
    x = np.linspace(-8, 8, 101, dtype=dtype)

    y = ck.conv1d(x, np.ones(1, dtype), activation=activation)

    expected = function(torch.from_numpy(x.astype("f8")), *parameters).numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6 if dtype == "f4" else 1e-14)
    np.testing.assert_allclose(apply(x.astype("f8"), activation), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_channels_last_is_a_matter_of_axes(rank: int) -> None:
    rng = np.random.default_rng(rank)
    x = rng.standard_normal((2, 4, *(6,) * rank)).astype("f4")
    w = rng.standard_normal((6, 2, *(3,) * rank)).astype("f4")
    residual = rng.standard_normal((2, 6, *(4,) * rank)).astype("f4")
    expected = FUNCTIONS[rank - 1](x, w, groups=2, residual=residual)

    y = FUNCTIONS[rank - 1](
        np.ascontiguousarray(np.moveaxis(x, 1, -1)),
        w,
        groups=2,
        residual=np.moveaxis(residual, 1, -1),
        layout="channels_last",
    )

    np.testing.assert_allclose(np.moveaxis(y, -1, 1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_batch_axis_may_be_left_out(rank: int) -> None:
    rng = np.random.default_rng(rank)
    x = rng.standard_normal((1, 4, *(6,) * rank))
    w = rng.standard_normal((5, 4, *(3,) * rank))

    y = FUNCTIONS[rank - 1](x[0], w)

    np.testing.assert_array_equal(y, FUNCTIONS[rank - 1](x, w)[0])


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("leading", [(), (3,), (2, 3), (2, 0, 3)])
def test_a_plain_filter_goes_over_all_leading_axes(rank: int, leading: tuple[int, ...]) -> None:
    rng = np.random.default_rng(rank)
    x = rng.standard_normal((*leading, *(6,) * rank))
    w = rng.standard_normal((3,) * rank)

    y = FUNCTIONS[rank - 1](x, w, padding="same")

    assert y.shape == x.shape
    for index in np.ndindex(leading):
        expected = FUNCTIONS[rank - 1](x[(*index, None)], w[None, None], padding="same")[0]
        np.testing.assert_allclose(y[index], expected, rtol=1e-12, atol=1e-12)


def test_a_plain_filter_takes_leading_axes_that_no_view_can_join() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3, 8)).transpose(1, 0, 2)
    out = np.empty((4, 3, 6)).transpose(1, 0, 2)
    w = rng.standard_normal(3)

    y = ck.conv1d(x, w, out=out)

    assert y is out
    np.testing.assert_array_equal(y, ck.conv1d(x.copy(), w))


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_out_may_have_any_strides(layout: Any) -> None:
    x, w = np.ones((2, 4, 9, 4), "f4"), np.ones((5, 4, 3, 1), "f4")
    shape = ck.conv2d(x, w, layout=layout).shape
    out = np.zeros(tuple(2 * n for n in shape[::-1]), "f4").T[::-2, ::2, ::2, ::2]

    y = ck.conv2d(x, w, layout=layout, out=out)

    assert y is out
    assert (out == 12).all()


def test_residual_may_be_out() -> None:
    x, w = np.ones((1, 1, 5)), np.ones((1, 1, 3))
    y = np.full((1, 1, 3), 10.0)

    ck.conv1d(x, w, residual=y, out=y)

    assert y.tolist() == [[[13.0, 13.0, 13.0]]]


def test_weights_that_change_in_place_are_seen() -> None:
    x, w = np.ones(9), np.ones(3)

    assert ck.conv1d(x, w)[0] == 3
    w[:] = 2
    assert ck.conv1d(x, w)[0] == 6


@pytest.mark.usefixtures("forget")
def test_a_second_call_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = np.ones(9), np.ones(3)
    ck.conv1d(x, w, padding="same")
    ck.conv1d(x, w, stride=(2,))

    def decide(*arguments: Any) -> None:
        raise AssertionError(f"decided again: {arguments}")

    monkeypatch.setattr(functional, "_decide", decide)
    ck.conv1d(x, w, padding="same")
    ck.conv1d(2 * x, w, stride=(2,))
    ck.conv1d(x, w, padding="same", bias=[1.0], out=np.empty(9))


@pytest.mark.usefixtures("forget")
def test_ranks_are_not_mixed_up() -> None:
    x, w = np.ones((1, 1, 9, 9)), np.ones((3, 3))

    assert ck.conv2d(x, w).shape == (1, 1, 7, 7)
    with pytest.raises(ck.ShapeError, match="conv1d takes 3"):
        ck.conv1d(x, w)


@pytest.mark.usefixtures("forget")
def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functional, "MOST_REMEMBERED", 3)

    for n in range(5, 15):
        ck.conv1d(np.ones(n), np.ones(3))
        assert 1 <= len(selector.remembered) <= 3


@pytest.mark.usefixtures("forget")
def test_keywords_that_cannot_be_hashed_are_taken() -> None:
    x, w = np.ones((9, 9)), np.ones((3, 3))

    for _ in range(2):
        assert ck.conv2d(x, w, stride=[2, 1], padding=[[1, 1], (0, 2)]).shape == (5, 9)
    assert not selector.remembered


def test_calls_from_several_threads_agree() -> None:
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal((1, 4, 20 + i, 20)).astype("f4") for i in range(6)]
    w = rng.standard_normal((8, 4, 3, 3)).astype("f4")
    expected = [ck.conv2d(x, w) for x in xs]
    wrong: list[int] = []

    def work() -> None:
        for _ in range(20):
            wrong.extend(
                i for i, x in enumerate(xs) if not np.array_equal(ck.conv2d(x, w), expected[i])
            )

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert not wrong


def test_interrupts_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    from convkit.backends.numpy.direct import NumpyDirect

    def run(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(NumpyDirect, "run", run)
    with pytest.raises(KeyboardInterrupt):
        ck.conv1d(np.ones(9), np.ones(3), backend="numpy")


@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_a_fortran_ordered_image_is_an_image(backend: Any) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 20)).astype("f4")
    w = rng.standard_normal((3, 3)).astype("f4")

    y = ck.conv2d(np.asfortranarray(x), w, backend=backend)

    np.testing.assert_allclose(y, ck.conv2d(x, w, backend=backend), rtol=1e-6, atol=1e-6)
