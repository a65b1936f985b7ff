"""Padding modes as index maps, against np.pad."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convkit import ShapeError
from convkit.boundary import edges, index_map, is_constant, pad_value, sources

NUMPY_NAMES = {"replicate": "edge", "circular": "wrap", "reflect": "reflect"}
NUMPY_NAMES |= {"symmetric": "symmetric", "zeros": "constant"}
SIZES = st.integers(1, 12)
PADS = st.integers(0, 40)


@given(mode=st.sampled_from(sorted(NUMPY_NAMES)), size=SIZES, before=PADS, after=PADS)
def test_padding_is_that_of_numpy_however_wide(
    mode: str, size: int, before: int, after: int
) -> None:
    found = index_map(size, before, after, mode)

    array = np.append(np.arange(1, size + 1), 0)  # index -1 is the constant
    expected = np.pad(array[:-1], (before, after), mode=NUMPY_NAMES[mode])
    np.testing.assert_array_equal(array[found], expected)
    assert found.dtype == np.int64


def test_a_constant_is_an_index_of_its_own() -> None:
    assert index_map(2, 1, 2, ("constant", 7.0)).tolist() == [-1, 0, 1, -1, -1]
    assert pad_value(("constant", 7.0)) == 7.0
    assert pad_value("zeros") == 0.0


@given(mode=st.sampled_from(sorted(NUMPY_NAMES)), size=SIZES, before=PADS, after=PADS)
def test_edges_are_the_padded_part(mode: str, size: int, before: int, after: int) -> None:
    whole = index_map(size, before, after, mode)

    found = edges(size, before, after, mode)

    np.testing.assert_array_equal(found, np.delete(whole, np.arange(before, before + size)))


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "replicate", "circular"])
def test_an_empty_axis_has_nothing_to_repeat(mode: str) -> None:
    with pytest.raises(ShapeError, match=f"padding_mode='{mode}' repeats elements"):
        index_map(0, 1, 0, mode)

    assert index_map(0, 0, 0, mode).size == 0


@pytest.mark.parametrize("mode", ["zeros", ("constant", 2.0)])
def test_an_empty_axis_can_be_padded_by_a_constant(mode: str) -> None:
    assert index_map(0, 1, 2, mode).tolist() == [-1, -1, -1]
    assert is_constant(mode)


def test_one_element_is_reflected_into_itself() -> None:
    assert index_map(1, 2, 2, "reflect").tolist() == [0] * 5


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "replicate", "circular", "zeros"])
def test_positions_far_away_do_not_wrap(mode: str) -> None:
    far = 2**62 - 1

    found = sources(np.array([-far, far]), 2**61, mode)

    assert found.min() >= -1
    assert found.max() < 2**61
