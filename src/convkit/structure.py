"""What is special about a filter: that it is an outer product, or a box.

A separable filter costs the sum of its extents instead of their product, so it pays to look, but
only where compiled kernels take part: all else would lose more time looking than it could gain.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import get_args

from convkit.dtypes import Array
from convkit.errors import BackendUnavailableError
from convkit.problem import ConvProblem, Structure

NAMES: tuple[Structure, ...] = get_args(Structure)


def may_be_structured(problem: ConvProblem) -> bool:
    """Whether looking at the weights of `problem` can pay: one channel, two axes of taps."""
    p = problem
    one_channel = p.in_channels == p.out_channels == p.groups == 1
    ones = (1,) * p.rank
    simple = p.stride == p.input_dilation == ones and p.weight_dtype in ("float32", "float64")
    return one_channel and simple and [k > 1 for k in p.kernel_size] in _IMAGES


_IMAGES = ([True, True], [False, True, True])


@cache
def finder() -> Callable[[Array, ConvProblem], int]:
    """Return what finds the index in `NAMES` of the structure of a problem's weights.

    These are contiguous, of the problem's weight_dtype, flipped or not.
    """
    try:
        from convkit.backends.native import ffi, lib
    except BackendUnavailableError:
        return lambda w, problem: 0
    look, pointer = lib.ck_structure_of, ffi.from_buffer
    types = {"float32": lib.CK_F32, "float64": lib.CK_F64}

    def find(w: Array, problem: ConvProblem) -> int:
        return int(look(pointer(w), types[problem.weight_dtype], 1, *problem.kernel_size[-2:]))

    return find
