"""What lies beyond the edge of an array: every padding mode as a map of indices.

==============  =========================  =============================================
mode            a b c d padded by 3        source of element i, for size n
==============  =========================  =============================================
``zeros``       0 0 0 | a b c d | 0 0 0    none
``constant``    v v v | a b c d | v v v    none
``replicate``   a a a | a b c d | d d d    the nearest of 0 and n - 1
``reflect``     d c b | a b c d | c b a    i mod 2(n - 1), folded: edges are not repeated
``symmetric``   c b a | a b c d | d c b    i mod 2n, folded: edges are repeated
``circular``    b c d | a b c d | a b c    i mod n
==============  =========================  =============================================

Folding and periods continue for ever, so padding may be wider than the array. This is the only
module that knows the modes; kernels and algorithms see indices.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from convkit.errors import ShapeError
from convkit.problem import Mode

Indices: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

# Instead of an index: the element is the constant of the mode (0 for "zeros").
CONSTANT = -1


def index_map(size: int, before: int, after: int, mode: Mode) -> Indices:
    """Return where each element of a padded axis comes from.

    Parameters
    ----------
    size : int
        Extent of the axis, in elements.
    before, after : int
        Elements added at its two ends.
    mode : str or ("constant", value)
        Padding mode.

    Returns
    -------
    ndarray of int64, shape (before + size + after,)
        Indices into the axis, or `CONSTANT`.

    Raises
    ------
    ShapeError
        If elements of an empty axis would have to be repeated.

    See Also
    --------
    edges : The padded elements only.
    sources : Of any positions.

    Examples
    --------
    >>> index_map(4, 2, 3, "reflect")
    array([2, 1, 0, 1, 2, 3, 2, 1, 0])
    >>> index_map(4, 1, 1, ("constant", 5.0))
    array([-1,  0,  1,  2,  3, -1])
    """
    return sources(np.arange(-before, size + after, dtype=np.int64), size, mode)


def edges(size: int, before: int, after: int, mode: Mode) -> Indices:
    """Return where the padded elements come from, those before and then those after the axis.

    The result has shape (before + after,); all else is as in `index_map`.

    Examples
    --------
    >>> edges(4, 2, 3, "reflect")
    array([2, 1, 2, 1, 0])
    """
    outside = np.concatenate(
        [np.arange(-before, 0, dtype=np.int64), np.arange(size, size + after, dtype=np.int64)]
    )
    return sources(outside, size, mode)


def sources(positions: Indices, size: int, mode: Mode) -> Indices:
    """Return where the elements at `positions` of an endlessly padded axis come from.

    Position 0 is the first element of the axis itself. All else is as in `index_map`; only this
    form needs no memory for the positions that nobody asks for.
    """
    if is_constant(mode):
        return np.where((positions >= 0) & (positions < size), positions, CONSTANT)
    if size == 0:
        if positions.size:
            raise ShapeError(f"padding_mode={mode!r} repeats elements, but an axis of x has none")
        return positions
    if mode == "replicate":
        return np.clip(positions, 0, size - 1)
    if mode == "circular":
        return positions % size
    if mode == "symmetric":
        folded = positions % (2 * size)
        return np.minimum(folded, 2 * size - 1 - folded)
    assert mode == "reflect", mode
    period = max(1, 2 * (size - 1))  # of one element: that element, for ever
    folded = positions % period
    return np.minimum(folded, period - folded)


def is_constant(mode: Mode) -> bool:
    """Whether padding by `mode` takes no element of the array."""
    return mode == "zeros" or isinstance(mode, tuple)


def pad_value(mode: Mode) -> float:
    """Return what the elements that `sources` calls `CONSTANT` are."""
    return mode[1] if isinstance(mode, tuple) else 0.0
