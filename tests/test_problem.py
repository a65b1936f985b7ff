"""Problems and the lines that name them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import problems

from convkit import ConvProblem
from convkit.dtypes import result_dtype

STEM = "conv2d n1 c3 o64 i224x224 k7x7 s2x2 p3x3 float32"


@given(problem=problems(), op=st.sampled_from(["forward", "input_grad", "weight_grad"]))
def test_a_problem_survives_being_written_down(problem: ConvProblem, op: str) -> None:
    problem = replace(problem, op=op)

    assert ConvProblem.parse(str(problem)) == problem


@pytest.mark.parametrize(
    "line",
    [
        STEM,
        "conv1d n1 c1 o1 i64 k5 float32",
        "conv2d n1 c3 o64 i224x224 k7x7 s2x2 p0:1x2 float32",
        "conv2d n1 c1 o1 i9x9 k3x3 p1x1 reflect float64",
        "conv2d n1 c1 o1 i9x9 k3x3 p1x1 reflect,zeros float64",
        "conv2d n1 c1 o1 i9x9 k3x3 p1x1 constant:1.5 float64",
        "conv1d n1 c1 o1 i9 k3 p1 constant:nan float64",
        "conv1d n1 c1 o1 i9 k3 p1 constant:-1e+30 float64",
        "conv1d n2 c4 o8 g4 i9 k3 s2 d3 u2 bfloat16",
        "conv2d n1 c1 o1 i9x9 k3x3 uint8*float32->uint8",
        "conv2d n1 c1 o1 i9x9 k3x3 uint8*int8",
        "conv2d n1 c1 o1 i9x9 k3x3 int8->int8",
        "conv2d n1 c1 o1 i9x9 k3x3 float32 relu channels_last strict omit",
        "conv2d n1 c1 o1 i9x9 k3x3 float32 clip:-inf:6.5 fast",
        "conv2d n1 c1 o1 i9x9 k3x3 float32 leaky_relu:0.2",
        "conv3d_input_grad n1 c2 o2 i4x4x4 k3x3x3 complex64",
        "conv3d_weight_grad n0 c0 o0 i4x4x4 k3x3x3 complex128",
    ],
)
def test_lines_read_as_they_are_written(line: str) -> None:
    assert str(ConvProblem.parse(line)) == line


def test_words_may_come_in_any_order_and_spell_defaults_out() -> None:
    line = "conv2d float32->float32 zeros k7x7 s2x2 i224x224 d1x1 u1x1 g1 p3x3 o64 c3 n1 default"

    assert str(ConvProblem.parse(line)) == STEM


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("", "''"),
        ("conv n1", "'conv'"),
        ("conv2dx n1 c1 o1 i9x9 k3x3 float32", "'conv2dx'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 float33", "'float33'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 float32*", "'float32*'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 float32 relu7", "'relu7'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 float32 clip:1", "'clip:1'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 float32 clip:a:b", "'clip:a:b'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 p1x1 constant float32", "'constant'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 p1x1 reflect,zeros,zeros float32", "'reflect,zeros,zeros'"),
        ("conv2d n1 c1 o1 i9 k3x3 float32", "'i9'"),
        ("conv2d n1 c1 o1 i9x9 k3x0 float32", "'k3x0'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 s0x1 float32", "'s0x1'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 p1:2:3x1 float32", "'p1:2:3x1'"),
        ("conv2d n1 c1 o1 i9x9 k3x3 p1xx1 float32", "'p1xx1'"),
        ("conv2d n1x1 c1 o1 i9x9 k3x3 float32", "'n1x1'"),
        ("conv2d n1 c1 o1 z9 i9x9 k3x3 float32", "'z9'"),
        ("conv2d n1 n2 c1 o1 i9x9 k3x3 float32", "'n2'"),
        ("conv2d n1 c1 o1 i9x9 k3x3", "float32 (dtype)"),
        ("conv2d c1 o1 i9x9 k3x3 float32", "n (batch)"),
        ("conv2d n1 c3 o4 g2 i9x9 k3x3 float32", "'g2'"),
        ("conv2d n1 c3 o4 i9x2 k3x3 float32", "'k3x3'"),
    ],
)
def test_a_bad_line_names_the_bad_word(line: str, word: str) -> None:
    with pytest.raises(ValueError, match="problem") as error:
        ConvProblem.parse(line)

    assert word in str(error.value)


def test_sizes_are_those_of_the_formula() -> None:
    problem = ConvProblem.parse("conv2d n2 c4 o6 g2 i10x7 k3x2 s2x1 d2x1 u1x3 p1:2x0 float32")

    assert problem.dilated_size == (10, 19)
    assert problem.padded_size == (13, 19)
    assert problem.out_size == (5, 18)
    assert problem.reduction == 2 * 6
    assert problem.macs == 2 * 6 * 5 * 18 * 12


@pytest.mark.parametrize(
    ("x", "w", "y"),
    [
        *(("float32", "float32", "float32"), ("float32", "float64", "float64")),
        *(("float16", "float16", "float16"), ("float16", "float32", "float32")),
        *(("bfloat16", "bfloat16", "bfloat16"), ("bfloat16", "float32", "float32")),
        *(("bfloat16", "float16", "float32"), ("bfloat16", "int32", "float64")),
        *(("uint8", "float32", "float32"), ("int32", "float32", "float64")),
        *(("bool", "bool", "int32"), ("uint8", "int8", "int32"), ("int16", "uint16", "int32")),
        *(("int32", "int8", "int64"), ("uint32", "uint32", "int64")),
        *(("uint64", "uint64", "uint64"), ("uint64", "uint8", "uint64")),
        *(("uint64", "int8", "int64"), ("int64", "int64", "int64")),
        *(("complex64", "float32", "complex64"), ("complex64", "float64", "complex128")),
    ],
)
def test_the_default_result_dtype(x: str, w: str, y: str) -> None:
    assert result_dtype(x, w) == y
    assert result_dtype(w, x) == y


@pytest.mark.parametrize(
    ("dtypes", "bias"),
    [
        *(("float32", "float32"), ("float32->float64", "float64"), ("float16", "float16")),
        *(("int8", "int32"), ("int8->int8", "int32"), ("int8->int64", "int64")),
        *(("uint8*float32->uint8", "float32"), ("int8->float32", "float32"), ("uint64", "uint64")),
    ],
)
def test_bias_is_of_the_type_of_the_sums(dtypes: str, bias: str) -> None:
    assert ConvProblem.parse(f"conv1d n1 c1 o1 i9 k3 {dtypes}").bias_dtype == bias
