"""Bad input gives a sentence that names it, or a defined result; never anything else.

The numbers are those of the list that the tests follow, kind by kind.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import numpy as np
import pytest

import convkit as ck

RANKS = [1, 2, 3]


def conv(rank: int, **changes: Any) -> Any:
    """Call conv{rank}d on arrays that fit, but for `changes`."""
    x = changes.pop("x", np.ones((2, 4, *(9,) * rank), "f4"))
    w = changes.pop("w", np.ones((6, 4, *(3,) * rank), "f4"))
    return getattr(ck, f"conv{rank}d")(x, w, **changes)


def plan(rank: int, **changes: Any) -> Any:
    """Plan the same."""
    x = changes.pop("x", np.ones((2, 4, *(9,) * rank), "f4"))
    w = changes.pop("w", np.ones((6, 4, *(3,) * rank), "f4"))
    dtype = getattr(x, "dtype", None)
    return getattr(ck, f"plan_conv{rank}d")(np.shape(x), w, dtype=dtype, **changes)


def refused(error: type, sentence: str, rank: int, **changes: Any) -> None:
    """Assert that function and plan refuse with the sentence, also after a good call."""
    conv(rank)
    for call in (conv, plan):
        with pytest.raises(error, match=re.escape(sentence)):
            call(rank, **dict(changes))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("name", ["stride", "dilation", "input_dilation"])
@pytest.mark.parametrize("value", [0, -1, -(2**70)])
def test_01_steps_are_positive(rank: int, name: str, value: int) -> None:
    expected = "a positive int" + (f" or {rank} of them" if rank > 1 else "")
    refused(ck.ShapeError, f"{name}={value}: expected {expected}", rank, **{name: value})
    values = (1,) * (rank - 1) + (value,)
    refused(ck.ShapeError, f"{name}={values}: expected {expected}", rank, **{name: values})


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("value", [-1, -(2**64)])
def test_02_padding_is_not_negative(rank: int, value: int) -> None:
    said = f"expected an int of at least 0, {rank} of them, {rank} pairs (before, after)"
    refused(ck.ShapeError, f"padding={value}: {said}", rank, padding=value)
    pairs = ((0, value),) * rank
    refused(ck.ShapeError, f"padding={pairs}: {said}", rank, padding=pairs)


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("value", [2**31 - 1, 2**31, 2**32, 2**62 - 1, 2**62, 2**63, 2**64, 10**30])
@pytest.mark.parametrize("name", ["stride", "dilation", "input_dilation", "padding"])
def test_03_huge_numbers_never_wrap(rank: int, name: str, value: int) -> None:
    if name == "stride" and value < 2**62:
        assert (conv(rank, stride=value) == np.full((2, 6, *(1,) * rank), 4 * 3**rank)).all()
        return
    # So many filters that no machine has the memory for the result.
    w = np.broadcast_to(np.float32(1), (2**18, 4, *(3,) * rank))

    with pytest.raises(
        (ValueError, MemoryError),
        match=r"larger than 2\*\*62 - 1|reaches over|needs \d+ bytes|is the most",
    ):
        conv(rank, w=w, **{name: value})


@pytest.mark.parametrize("name", ["stride", "dilation", "input_dilation", "padding"])
def test_03_huge_numbers_are_fine_where_they_do_nothing(name: str) -> None:
    x, w = np.ones((1, 1, 1), "f4"), np.ones((1, 1, 1), "f4")
    keywords: dict[str, Any] = {name: 2**60}
    if name == "padding":
        keywords |= {"stride": 2**60, "backend": "numpy"}

    y = ck.conv1d(x, w, **keywords)

    assert y.tolist() == ([[[0.0, 1.0, 0.0]]] if name == "padding" else [[[1.0]]])


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize(
    ("groups", "error", "sentence"),
    [
        (0, ck.ShapeError, "groups=0: expected a positive int"),
        (-1, ck.ShapeError, "groups=-1: expected a positive int"),
        (3, ck.ShapeError, "x has 4 channels"),
        (2, ck.ShapeError, "but w takes 4 x groups=2 = 8"),
        (10**30, ck.ShapeError, "is larger than 2**62 - 1"),
        (1.0, TypeError, "groups=1.0: expected a positive int"),
        (True, TypeError, "groups=True: expected a positive int"),
    ],
)
def test_04_groups_divide_the_channels(rank: int, groups: Any, error: type, sentence: str) -> None:
    refused(error, sentence, rank, groups=groups)


def test_04_groups_divide_the_output_channels() -> None:
    w = np.ones((5, 2, 3), "f4")

    refused(ck.ShapeError, "groups=2 does not divide the 5 output channels", 1, w=w, groups=2)


def test_05_the_channels_fit() -> None:
    with pytest.raises(ck.ShapeError) as error:
        ck.conv2d(np.ones((1, 3, 32, 32)), np.ones((8, 4, 3, 3)))

    assert str(error.value) == (
        "x has 3 channels (shape (1, 3, 32, 32)) but w takes 4 x groups=1 = 4 (shape "
        "(8, 4, 3, 3)); w is (out_channels, in_channels // groups, *kernel_size)"
    )


@pytest.mark.parametrize(
    ("rank", "x", "w", "sentence"),
    [
        (2, (9, 9), (6, 4, 3, 3), "x has 2 axes (shape (9, 9)); with w of shape (6, 4, 3, 3)"),
        (2, (1, 1, 4, 9, 9), (6, 4, 3, 3), "x has 5 axes"),
        (2, (1, 4, 9, 9), (4, 3, 3), "w has 3 axes (shape (4, 3, 3)); conv2d takes 4"),
        (2, (9,), (3, 3), "x has 1 axes (shape (9,)); a plain filter of shape (3, 3) needs"),
        (1, (), (3,), "x has 0 axes"),
        (1, (9,), (), "w has 0 axes"),
        (3, (4, 9, 9), (6, 4, 3, 3, 3), "x has 3 axes"),
    ],
)
def test_05_the_ranks_fit(rank: int, x: Any, w: Any, sentence: str) -> None:
    refused(ck.ShapeError, sentence, rank, x=np.ones(x), w=np.ones(w))


@pytest.mark.parametrize(
    ("bias", "error", "sentence"),
    [
        (np.ones(5, "f4"), ck.ShapeError, "bias has shape (5,); expected (6,)"),
        (np.ones((6, 1), "f4"), ck.ShapeError, "bias has shape (6, 1); expected (6,)"),
        (1.0, ck.ShapeError, "bias has shape (); expected (6,)"),
        (np.ones(6, "c8"), TypeError, "bias has dtype complex64, but is added to float32"),
        (["a"] * 6, TypeError, "bias has dtype <U1: expected one of bool"),
        (np.array([None] * 6), TypeError, "bias has dtype object"),
    ],
)
@pytest.mark.parametrize("rank", RANKS)
def test_06_bias_fits(rank: int, bias: Any, error: type, sentence: str) -> None:
    refused(error, sentence, rank, bias=bias)
    with pytest.raises(error, match=re.escape(sentence)):
        plan(rank)(np.ones((2, 4, *(9,) * rank), "f4"), bias=bias)


def test_06_bias_of_integers_is_of_integers_that_fit() -> None:
    x, w = np.ones(9, "i1"), np.ones((1, 1, 3), "i1")

    with pytest.raises(TypeError, match="bias has dtype float64, but is added to int32"):
        ck.conv1d(x[None], w, bias=np.ones(1))
    with pytest.raises(ValueError, match="bias has values that int32, to which it is added"):
        ck.conv1d(x[None], w, bias=np.array([2**40]))
    assert ck.conv1d(x[None], w, bias=np.array([2**20]))[0, 0] == 2**20 + 3


def test_06_residual_is_of_the_shape_of_the_result() -> None:
    refused(
        ck.ShapeError,
        "residual has shape (2, 6, 1); expected that of the result, (2, 6, 7)",
        1,
        residual=np.ones((2, 6, 1), "f4"),
    )


@pytest.mark.parametrize("name", ["stride", "dilation", "input_dilation", "padding"])
@pytest.mark.parametrize(
    ("value", "error"),
    [
        ((1,), ck.ShapeError),
        ((1, 1, 1), ck.ShapeError),
        ((), ck.ShapeError),
        (1.0, TypeError),
        (True, TypeError),
        (np.True_, TypeError),
        (None, TypeError),
        ((1, 1.0), TypeError),
        ((1, True), TypeError),
        ((1, None), TypeError),
        (np.array([1.0, 1.0]), TypeError),
        ({1, 2}, TypeError),
        (b"11", TypeError),
    ],
)
def test_07_tuples_of_ints_are_tuples_of_ints(name: str, value: Any, error: type) -> None:
    """Also after the equal 1, 1.0 and True have been decided as ints."""
    conv(2, **{name: 1})
    conv(2, **{name: (1, 1)})

    refused(error, f"{name}={value!r}: expected ", 2, **{name: value})


@pytest.mark.parametrize("value", ["1", "1,1"])
def test_07_strings_are_not_numbers(value: str) -> None:
    refused(TypeError, f"stride={value!r}: expected a positive int or 2 of them", 2, stride=value)
    refused(ValueError, f"padding={value!r}: expected 'valid', 'same', 'full'", 2, padding=value)


@pytest.mark.parametrize("value", [np.int8(2), np.uint64(2), (np.int32(2), 2), [2, 2]])
def test_07_numpy_ints_are_ints(value: Any) -> None:
    np.testing.assert_array_equal(conv(2, stride=value), conv(2, stride=2))


@pytest.mark.parametrize("rank", RANKS)
def test_08_empty_batches_and_outputs_are_empty(rank: int) -> None:
    size = (9,) * rank

    assert conv(rank, x=np.ones((0, 4, *size), "f4")).shape == (0, 6, *(7,) * rank)
    assert conv(rank, w=np.ones((0, 4, *(3,) * rank), "f4")).shape == (2, 0, *(7,) * rank)
    assert plan(rank, x=np.ones((0, 4, *size), "f4"))(np.ones((0, 4, *size), "f4")).size == 0
    assert conv(rank, x=np.ones((3, 0, *size), "f4"), w=np.ones((3,) * rank, "f4")).size == 0


@pytest.mark.parametrize("rank", RANKS)
def test_08_no_channels_leave_the_bias(rank: int) -> None:
    x = np.ones((2, 0, *(9,) * rank), "f4")
    w = np.ones((6, 0, *(3,) * rank), "f4")

    assert not conv(rank, x=x, w=w).any()
    assert (conv(rank, x=x, w=w, bias=np.full(6, 3, "f4")) == 3).all()


@pytest.mark.parametrize("rank", RANKS)
def test_08_kernels_have_taps_and_fit(rank: int) -> None:
    none = np.ones((6, 4, *(3,) * (rank - 1), 0), "f4")
    large = np.ones((6, 4, *(3,) * (rank - 1), 10), "f4")

    refused(ck.ShapeError, "a kernel needs at least one tap along each axis", rank, w=none)
    refused(ck.ShapeError, f"reaches over 10 elements of axis {rank - 1}", rank, w=large)
    assert conv(rank, w=large, padding=1).shape[-1] == 2


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_09_virtual_arrays_are_not_copied(dtype: str) -> None:
    x = np.broadcast_to(np.ones((), dtype), (2**30, 2**29))

    with pytest.raises(MemoryError, match=r"y of shape .* needs \d+ bytes"):
        ck.conv1d(x, np.ones(3, dtype))
    with pytest.raises(MemoryError, match=r"y of shape .* needs \d+ bytes"):
        ck.conv2d(x, np.ones((3, 3), dtype))


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("backend", ["auto", "numpy"])
def test_10_strides_do_not_matter(rank: int, backend: Any) -> None:
    rng = np.random.default_rng(rank)
    x = rng.standard_normal((4, 1, *(9,) * rank)).astype("f4")
    w = rng.standard_normal((6, 1, *(3,) * rank)).astype("f4")
    expected = conv(rank, x=x[::2, :, ::-1].copy(), w=w, backend=backend)
    odd = np.lib.stride_tricks.as_strided(x, x.shape, (x.strides[0], 12345677, *x.strides[2:]))

    for same in (x[::2, :, ::-1], odd[::2, :, ::-1], np.asfortranarray(x[::2, :, ::-1])):
        np.testing.assert_array_equal(conv(rank, x=same, w=w, backend=backend), expected)
    turned = np.asfortranarray(w[::-1])[::-1]
    np.testing.assert_array_equal(
        conv(rank, x=x[::2, :, ::-1], w=turned, backend=backend), expected
    )


def misaligned(array: np.ndarray) -> np.ndarray:
    raw = np.zeros(array.nbytes + 1, np.uint8)
    odd = raw[1:].view(array.dtype).reshape(array.shape)
    odd[...] = array
    assert not odd.flags.aligned
    return odd


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
@pytest.mark.parametrize("change", [misaligned, lambda a: a.astype(a.dtype.newbyteorder(">"))])
def test_11_12_alignment_and_byte_order_do_not_matter(rank: int, dtype: str, change: Any) -> None:
    rng = np.random.default_rng(rank)
    x = rng.integers(-9, 9, (2, 4, *(9,) * rank)).astype(dtype)
    w = rng.integers(-9, 9, (6, 4, *(3,) * rank)).astype(dtype)
    bias = rng.integers(-9, 9, 6).astype(dtype)
    expected = conv(rank, x=x, w=w, bias=bias)

    for _ in range(2):
        y = conv(rank, x=change(x), w=change(w), bias=change(bias))
        np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(plan(rank, x=x, w=w)(change(x), bias=change(bias)), expected)
    assert expected.dtype.isnative


def test_11_out_may_be_misaligned() -> None:
    out = misaligned(np.zeros((2, 6, 7), "f4"))

    assert conv(1, out=out) is out
    assert (out == 12).all()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([None] * 9), "has dtype object: expected one of bool, int8"),
        (np.array([2**70] * 9), "has dtype object"),
        (np.array(["a"] * 9), "has dtype <U1"),
        (np.array([b"a"] * 9), "has dtype |S1"),
        (np.zeros(9, "M8[s]"), "has dtype datetime64[s]"),
        (np.zeros(9, "m8[s]"), "has dtype timedelta64[s]"),
        (np.zeros(9, [("a", "f4")]), "has dtype [('a', '<f4')]"),
        (np.zeros(9, np.longdouble), "has dtype "),
        (np.zeros(9, "V4"), "has dtype |V4"),
        (np.ma.masked_array(np.zeros(9), mask=np.arange(9) > 3), "is a masked array: fill it"),
        (None, "has dtype object"),
        ("abcdefghi", "has dtype <U9"),
    ],
)
def test_13_only_numbers_are_convolved(array: Any, said: str) -> None:
    with pytest.raises(TypeError, match=re.escape(f"x {said}")):
        ck.conv1d(array, np.ones(3))
    with pytest.raises(TypeError, match=re.escape(f"w {said}")):
        ck.conv1d(np.ones(20), array)
    with pytest.raises(TypeError, match=re.escape(f"w {said}")):
        ck.plan_conv1d((20,), array)
    with pytest.raises(TypeError, match=re.escape(f"x {said}")):
        ck.plan_conv1d((9,), np.ones(3))(array)


def test_13_ragged_lists_are_no_arrays() -> None:
    with pytest.raises(ValueError, match="x is no array: "):
        ck.conv1d([[1, 2], [3]], np.ones(3))


@pytest.mark.parametrize("call", ["function", "plan"])
@pytest.mark.parametrize(
    ("out", "error", "sentence"),
    [
        (np.zeros((2, 6, 8), "f4"), ck.ShapeError, "out has shape (2, 6, 8) and dtype float32; "),
        (np.zeros((2, 6, 7), "f8"), ck.ShapeError, "expected (2, 6, 7) and float32"),
        (np.zeros((2, 6, 7), ">f4"), ck.ShapeError, "out has shape (2, 6, 7) and dtype >f4"),
        (np.broadcast_to(np.float32(0), (2, 6, 7)), ValueError, "out is read-only"),
        ([0.0], TypeError, "out is a list: expected an array to write to"),
    ],
)
def test_14_out_fits(call: str, out: Any, error: type, sentence: str) -> None:
    x, w = np.ones((2, 4, 9), "f4"), np.ones((6, 4, 3), "f4")
    called = partial(ck.conv1d, x, w) if call == "function" else partial(plan(1), x)

    with pytest.raises(error, match=re.escape(sentence)):
        called(out=out)


def test_14_out_shares_no_memory() -> None:
    memory = np.ones((2, 4, 9 + 7), "f4")
    x, out = memory[..., :9], memory[..., 8:15]
    w = np.ones((4, 4, 3), "f4")

    with pytest.raises(ValueError, match="out shares memory with x: pass an array of its own"):
        ck.conv1d(x, w, out=out)
    with pytest.raises(ValueError, match="out shares memory with x"):
        ck.plan_conv1d(x.shape, w)(x, out=out)
    square = np.ones((1, 1, 5), "f4")
    with pytest.raises(ValueError, match="out shares memory with x"):
        ck.plan_conv1d((1, 1, 5), np.ones((1, 1, 1), "f4"))(square, out=square)
    with pytest.raises(ValueError, match="out shares memory with w"):
        ck.conv1d(np.ones((1, 1, 5), "f4"), square[..., :3], out=square[..., 2:])


def test_14_out_beside_x_in_one_buffer_is_fine() -> None:
    memory = np.ones((2, 4, 9 + 7), "f4")
    w = np.ones((4, 4, 3), "f4")

    ck.conv1d(memory[..., :9], w, out=memory[..., 9:])

    assert (memory[..., 9:] == 12).all()
    assert (memory[..., :9] == 1).all()


def test_15_inputs_are_read_only() -> None:
    x, w, bias = np.ones((2, 4, 9), "f4"), np.ones((6, 4, 3), "f4"), np.ones(6, "f4")
    for array in (x, w, bias):
        array.flags.writeable = False

    assert (ck.conv1d(x, w, bias=bias) == 13).all()
    assert (ck.conv1d(x, w) == 12).all()
    assert (ck.plan_conv1d(x.shape, w)(x) == 12).all()


@pytest.mark.parametrize("rank", RANKS)
def test_18_a_result_that_cannot_fit_is_refused_with_its_bytes(rank: int) -> None:
    with pytest.raises(MemoryError, match=r"y of shape .* and dtype float32 needs \d{15,} bytes"):
        conv(rank, padding=2**60 // 4**rank)
    with pytest.raises(MemoryError, match=r"needs \d{15,} bytes"):
        plan(rank, padding=2**60 // 4**rank)


def test_18_a_workspace_that_is_no_number_is_refused() -> None:
    refused(ck.ShapeError, "max_workspace=-1: expected an int of at least 0", 1, max_workspace=-1)
    refused(TypeError, "max_workspace=1.5: expected an int", 1, max_workspace=1.5)
    refused(TypeError, "max_workspace=True: expected an int", 1, max_workspace=True)


def test_20_a_zero_sized_axis_gives_zeros_of_its_padding() -> None:
    y = ck.conv1d(np.ones((1, 1, 0)), np.ones((1, 1, 3)), padding=2)

    assert y.tolist() == [[[0.0, 0.0]]]


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "replicate", "circular"])
@pytest.mark.parametrize("rank", RANKS)
def test_21_padding_may_be_wider_than_x(rank: int, mode: Any) -> None:
    x = np.arange(3.0**rank).reshape((3,) * rank)
    names = {"replicate": "edge", "circular": "wrap"}

    y = conv(rank, x=x, w=np.ones((1,) * rank), padding=11, padding_mode=mode)

    np.testing.assert_array_equal(y, np.pad(x, 11, mode=names.get(mode, mode)))


def test_21_but_nothing_cannot_be_repeated() -> None:
    x = np.ones((1, 4, 0), "f4")

    sentence = "padding_mode='reflect' repeats elements, but axis 0 of x has none"
    refused(ck.ShapeError, sentence, 1, x=x, padding=3, padding_mode="reflect")


def test_22_same_puts_the_odd_element_after() -> None:
    x = np.arange(1.0, 6.0)

    assert ck.conv1d(x, np.array([1.0, 10.0]), padding="same").tolist() == [21, 32, 43, 54, 5]
    assert ck.conv1d(x, np.ones(4), padding="same", stride=2).tolist() == [6, 14, 9]


@pytest.mark.parametrize(
    ("keywords", "error", "sentence"),
    [
        ({"padding": "Same"}, ValueError, "padding='Same': expected 'valid', 'same', 'full'"),
        ({"padding": ((1, 1),)}, ck.ShapeError, "padding=((1, 1),): expected"),
        ({"padding": ((1,), (1,))}, ck.ShapeError, "padding=((1,), (1,)): expected"),
        ({"padding_mode": "mirror"}, ValueError, "padding_mode='mirror': expected one of 'zeros'"),
        ({"padding_mode": "constant"}, ValueError, "padding_mode='constant': expected one of"),
        ({"padding_mode": ("zeros",)}, ck.ShapeError, "expected a mode or 2 of them"),
        ({"padding_mode": None}, TypeError, "padding_mode=None: expected a mode"),
        ({"padding_mode": ("constant", "1")}, TypeError, "the value '1' is no real number"),
        ({"padding_mode": ("constant", 1j)}, TypeError, "the value 1j is no real number"),
        ({"activation": "ReLU"}, ValueError, "activation='ReLU': expected None, 'relu'"),
        ({"activation": ("clip", 1)}, ValueError, "clip takes 2 numbers"),
        ({"activation": ("clip", 2, 1)}, ValueError, "expected low <= high"),
        ({"activation": ("relu", 1)}, ValueError, "relu takes 0 numbers"),
        ({"activation": ("leaky_relu", "1")}, TypeError, "'1' is no real number"),
        ({"activation": 5}, ValueError, "activation=5: expected None"),
        ({"layout": "nhwc"}, ValueError, "layout='nhwc': expected one of 'channels_first'"),
        ({"layout": None}, TypeError, "layout=None: expected one of"),
        ({"accuracy": "high"}, ValueError, "accuracy='high': expected one of 'strict'"),
        ({"nan_policy": "raise"}, ValueError, "nan_policy='raise': expected one of"),
        ({"out_dtype": "float33"}, TypeError, "out_dtype='float33': expected one of int8"),
        ({"out_dtype": bool}, TypeError, "expected one of int8"),
        ({"out_dtype": object}, TypeError, "expected one of int8"),
        ({"backend": "gpu"}, ValueError, "backend='gpu': expected one of 'auto', 'native'"),
        ({"algorithm": "quick"}, ValueError, "algorithm='quick': expected 'auto', 'direct'"),
        ({"algorithm": 3}, TypeError, "algorithm=3: expected a name"),
        (
            {"strides": 2},
            TypeError,
            "got an unexpected keyword argument 'strides'; it takes",
        ),
    ],
)
def test_words_are_those_of_the_documentation(
    keywords: dict[str, Any], error: type, sentence: str
) -> None:
    refused(error, sentence, 2, **keywords)


def test_integers_are_padded_by_integers_they_can_hold() -> None:
    x, w = np.ones(9, "u1"), np.ones(3, "u1")

    for value in (0.5, -1, 256, float("nan")):
        with pytest.raises(ValueError, match=r"x holds uint8, which .* is not"):
            ck.conv1d(x, w, padding=1, padding_mode=("constant", value))
    assert ck.conv1d(x, w, padding=1, padding_mode=("constant", 255))[0] == 257


def test_complex_sums_stay_complex() -> None:
    x = np.ones(9, "c8")

    with pytest.raises(TypeError, match=r"out_dtype='f4': sums of x .* are complex"):
        ck.conv1d(x, x[:3], out_dtype="f4")
    with pytest.raises(TypeError, match="activation='relu' is not defined for complex"):
        ck.conv1d(x, x[:3], activation="relu")


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"groups": 2}, "groups=2: a plain filter (w has shape (3,)) takes 1"),
        ({"layout": "channels_last"}, "layout='channels_last': a plain filter knows no channels"),
    ],
)
def test_plain_filters_know_no_channels(keywords: dict[str, Any], sentence: str) -> None:
    refused(ValueError, sentence, 1, x=np.ones(9, "f4"), w=np.ones(3, "f4"), **keywords)


@pytest.mark.parametrize(
    ("shape", "error", "sentence"),
    [
        (9, TypeError, "x_shape=9: expected a shape"),
        ("9", TypeError, "x_shape='9': expected a shape"),
        ((1.0,), TypeError, "x_shape=(1.0,): an entry=1.0: expected an int"),
        ((-1,), ck.ShapeError, "expected an int of at least 0"),
    ],
)
def test_plans_are_for_shapes(shape: Any, error: type, sentence: str) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        ck.plan_conv1d(shape, np.ones(3))
