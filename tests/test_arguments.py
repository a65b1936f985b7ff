"""From what callers write to problems: every default, every way to say the same."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import convkit as ck
from convkit import arguments
from convkit.arguments import Form, Keywords, Options, forward
from convkit.problem import ConvProblem


def problem(
    x_shape: tuple[int, ...] = (1, 3, 9, 9),
    w_shape: tuple[int, ...] = (4, 3, 3, 3),
    x_dtype: Any = "float32",
    w_dtype: Any = "float32",
    **keywords: Any,
) -> ConvProblem:
    options = Options(**keywords)
    rank = 2
    form = forward(rank, x_shape, np.dtype(x_dtype), w_shape, np.dtype(w_dtype), options)
    return form.problem


def test_keywords_and_options_are_the_same() -> None:
    assert list(Keywords.__annotations__) == list(Options._fields)
    types = [
        {name: getattr(ref, "__forward_arg__", ref) for name, ref in c.__annotations__.items()}
        for c in (Keywords, Options)
    ]
    assert types[0] == types[1]


@pytest.mark.parametrize(
    "keywords",
    [
        {"stride": 2, "padding": 1, "dilation": 1},
        {"stride": (2, 2), "padding": (1, 1)},
        {"stride": [2, 2], "padding": [(1, 1), [1, 1]]},
        {"stride": np.int64(2), "padding": np.ones((2, 2), int)},
        {"stride": np.array([2, 2]), "padding": (np.uint8(1), (1, np.int32(1)))},
        {"stride": 2, "padding": 1, "padding_mode": ("constant", 0.0)},
        {"stride": 2, "padding": 1, "padding_mode": ("zeros", ("constant", 0))},
        {"stride": 2, "padding": 1, "out_dtype": np.float32, "nan_policy": "propagate"},
    ],
)
def test_equal_work_is_an_equal_problem(keywords: dict[str, Any]) -> None:
    assert str(problem(**keywords)) == "conv2d n1 c3 o4 i9x9 k3x3 s2x2 p1x1 float32"


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "expected"),
    [
        (9, 3, 1, 1, (1, 1)),
        (9, 4, 1, 1, (1, 2)),  # of an odd total the extra element goes after
        (9, 3, 2, 1, (1, 1)),
        (8, 3, 2, 1, (0, 1)),
        (9, 1, 3, 1, (0, 0)),
        (9, 3, 1, 3, (3, 3)),
        (10, 2, 2, 1, (0, 0)),
    ],
)
def test_same_makes_ceil_of_size_by_stride_outputs(
    size: int, kernel: int, stride: int, dilation: int, expected: tuple[int, int]
) -> None:
    found = problem(
        (1, 1, size, 9), (1, 1, kernel, 1), padding="same", stride=(stride, 1), dilation=dilation
    )

    assert found.padding == (expected, (0, 0))
    assert found.out_size[0] == -(-size // stride)


def test_full_makes_an_output_wherever_the_kernel_meets_an_element() -> None:
    assert problem(padding="full", dilation=2).out_size == (13, 13)
    assert problem(padding="valid").out_size == (7, 7)


def test_same_counts_the_elements_of_the_dilated_input() -> None:
    assert problem(padding="same", input_dilation=2).out_size == (17, 17)


def test_a_mode_without_padding_is_no_mode() -> None:
    found = problem(padding=((1, 0), (0, 0)), padding_mode="reflect")

    assert found.boundary == ("reflect", "zeros")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("clip", 0, np.inf), "relu"),
        (("clip", 0, 6), "relu6"),
        (("leaky_relu", 0.01), "leaky_relu"),
        (["clip", 0, np.float32(5)], ("clip", 0.0, 5.0)),
        (("leaky_relu", 0.5), ("leaky_relu", 0.5)),
        ("gelu", "gelu"),
    ],
)
def test_each_activation_has_one_spelling(given: Any, expected: Any) -> None:
    assert problem(activation=given).activation == expected


@pytest.mark.parametrize(
    ("x", "w", "out", "expected"),
    [
        ("f4", "f4", None, "float32"),
        ("f4", "f8", None, "float64"),
        ("i2", "f4", None, "float32"),
        ("f4", "i8", None, "float64"),
        ("u1", "f4", np.uint8, "uint8*float32->uint8"),
        ("u1", "f4", "float64", "float32->float64"),
        ("f4", "u1", np.uint8, "float32->uint8"),
        ("u1", "i1", None, "uint8*int8"),
        ("u1", "i1", "i1", "uint8*int8->int8"),
        ("?", "?", None, "bool"),
        ("u8", "u8", None, "uint64"),
        ("c8", "f8", None, "complex128"),
        (">f4", "<f4", None, "float32"),
        (np.longlong, np.int64, None, "int64"),
        (ml_dtypes.bfloat16, ml_dtypes.bfloat16, None, "bfloat16"),
        (ml_dtypes.bfloat16, ml_dtypes.bfloat16, "float32", "bfloat16->float32"),
        ("f4", "f4", "bfloat16", "float32->bfloat16"),
        ("f4", "f4", ml_dtypes.bfloat16, "float32->bfloat16"),
    ],
)
def test_types_are_promoted_as_numpy_does(x: Any, w: Any, out: Any, expected: str) -> None:
    found = problem(x_dtype=x, w_dtype=w, out_dtype=out)

    assert str(found).split()[-1] == expected


def test_nan_cannot_be_omitted_from_integers() -> None:
    assert problem(x_dtype="i4", w_dtype="i4", nan_policy="omit").nan_policy == "propagate"


def test_a_plain_filter_is_one_channel_and_the_leading_axes_the_batch() -> None:
    found = problem((4, 5, 9, 9), (3, 3))

    assert (found.batch, found.in_channels, found.out_channels) == (20, 1, 1)


def test_channels_last_puts_the_sizes_in_the_middle() -> None:
    found = problem((2, 9, 8, 3), layout="channels_last")

    assert (found.batch, found.in_channels, found.in_size) == (2, 3, (9, 8))


def test_without_a_batch_axis_there_is_none_in_the_result() -> None:
    form = forward(1, (3, 9), np.dtype("f4"), (4, 3, 3), np.dtype("f4"), Options())

    assert form.y_shape == (4, 7)
    assert form.problem.batch == 1


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_views_share_the_memory_of_what_the_caller_has(layout: str) -> None:
    line = f"conv2d n2 c3 o4 i9x8 k3x3 float32 {layout}"
    form = Form.of(ConvProblem.parse(line))
    x, y = np.zeros(form.x_shape), np.zeros(form.y_shape)

    assert form.x_view(x).shape == (2, 3, 9, 8)
    assert form.y_view(y).shape == (2, 4, 7, 6)
    assert np.shares_memory(form.x_view(x), x)
    assert np.shares_memory(form.y_view(y), y)


def test_plain_arrays_are_taken_as_they_are() -> None:
    x = np.zeros(3)

    assert arguments.as_array(x, "x") is x
    assert arguments.native(x, np.dtype("f8")) is x


class Subclass(np.ndarray):
    """An array with a class of its own."""


@pytest.mark.parametrize(
    "x",
    [
        [1, 2, 3, 4],
        (1.0, 2.0, 3.0, 4.0),
        np.array([1, 2, 3, 4], ">f8"),
        np.array([4.0, 3.0, 2.0, 1.0])[::-1],
        np.frombuffer(b"\0" + np.arange(1.0, 5.0).tobytes(), np.uint8)[1:].view("f8"),
        np.array([1.0, 2, 3, 4]).view(Subclass),
        np.lib.stride_tricks.as_strided(np.arange(1.0, 5.0), (4,), (8,), writeable=False),
        np.array([[1.0, 9], [2, 9], [3, 9], [4, 9]])[:, 0],
        memoryview(np.array([1.0, 2, 3, 4])),
    ],
    ids=[
        "list",
        "tuple",
        "big-endian",
        "reversed",
        "misaligned",
        "subclass",
        "read-only",
        "strided",
        "memoryview",
    ],
)
def test_whatever_holds_the_numbers_gives_the_result(x: Any) -> None:
    for _ in range(2):  # decided, and remembered
        y = ck.conv1d(x, np.array([1.0, 10.0]))

        assert type(y) is np.ndarray
        assert y.tolist() == [21, 32, 43]


def test_the_result_is_of_the_library_of_x() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(6.0)

    y = ck.conv1d(x, np.ones(2, "f4"))

    assert isinstance(y, torch.Tensor)
    assert y.tolist() == [1, 3, 5, 7, 9]
    assert type(ck.conv1d(x.numpy(), torch.ones(2))) is np.ndarray
    assert isinstance(ck.plan_conv1d((6,), torch.ones(2))(x), torch.Tensor)


def test_out_may_be_of_another_library() -> None:
    torch = pytest.importorskip("torch")
    out = torch.zeros(5)

    y = ck.conv1d(torch.arange(6.0), torch.ones(2), out=out)

    assert y is out
    assert out.tolist() == [1, 3, 5, 7, 9]


def test_what_cannot_be_read_through_dlpack_is_refused_by_name() -> None:
    torch = pytest.importorskip("torch")

    with pytest.raises(TypeError, match=r"x \(torch.Tensor\) cannot be read: .*grad"):
        ck.conv1d(torch.ones(5, requires_grad=True), np.ones(2))


class Device:
    """An array that says it is somewhere else."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0

    def __dlpack__(self, **keywords: Any) -> Any:
        raise AssertionError("nobody may read this")


def test_arrays_on_a_gpu_need_a_backend_for_it() -> None:
    with pytest.raises(
        ck.BackendUnavailableError, match=r"x is on cuda:0 and w is on .*: no backend"
    ):
        ck.conv1d(Device(2), Device(2))


def test_devices_are_not_mixed() -> None:
    with pytest.raises(TypeError, match="x is on cuda:0 and w is on the CPU: move them to one"):
        ck.conv1d(Device(2), np.ones(2))
    with pytest.raises(TypeError, match="x is on the CPU and w is on rocm:0"):
        ck.conv1d(np.ones(9), Device(10))
    with pytest.raises(TypeError, match="out is on cuda:0"):
        ck.conv1d(np.ones(9), np.ones(2), out=Device(2))
