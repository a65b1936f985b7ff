"""convolve and correlate: the convolution of signal processing, on the dispatcher of conv*.

The axes that v slides along become the convolved axes of a plain filter, the others its batch: in
front of them, between them (axes with a filter of one tap), or behind them (the layout
"batch_last"). The mode becomes padding, and v is flipped or conjugated on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict, Unpack, get_args

import numpy as np
from numpy import ndarray

from convkit.arguments import (
    BackendName,
    Form,
    Options,
    as_array,
    check_devices,
    exporter,
    forward,
    read_shape,
)
from convkit.dtypes import Array, DType, real_dtype
from convkit.errors import ShapeError
from convkit.functional import call, decide, dtype_of, make_plan, remember
from convkit.plan import Plan
from convkit.problem import Accuracy, Layout, Mode, NanPolicy, WForm
from convkit.selector import remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike

Extent: TypeAlias = Literal["full", "same", "valid"]
Axes: TypeAlias = int | tuple[int, ...] | None

# More convolved axes than this have the compiled kernels not.
MAX_RANK = 3


class Keywords(TypedDict, total=False):
    """The keywords of convolve and correlate beside those they name."""

    out_dtype: DTypeLike | None
    algorithm: str
    backend: BackendName
    accuracy: Accuracy
    nan_policy: NanPolicy
    max_workspace: int | None


def convolve(
    a: Any,
    v: Any,
    mode: Extent = "full",
    *,
    axes: Axes = None,
    boundary: Mode | Sequence[Mode] = "zeros",
    out: Any = None,
    **keywords: Unpack[Keywords],
) -> Any:
    """Convolve an array with a filter, which is flipped, as signal processing does.

    Parameters
    ----------
    a : array_like
        What is filtered.
    v : array_like
        The filter. It has one axis for each of `axes` and is applied at every position of the
        others; or as many axes as `a`, and those outside `axes` broadcast: of extent 1 they are
        the same filter everywhere, else one for every position.
    mode : {"full", "same", "valid"}, default "full"
        What is kept along `axes`, for extents n of `a` and k of `v`: all n + k - 1 outputs; the
        n in their middle, from (k - 1) // 2 on, as SciPy centres them; those that need no
        padding. Where `v` is larger than `a` on every axis "valid" swaps the two, as SciPy does.
    axes : int or tuple of int, optional
        Axes of `a`; by default its last ones, as many as `v` has.
    boundary : str or ("constant", value), or a tuple of these, default "zeros"
        What lies beyond the edges of `a`: the padding modes of `conv2d`, for all axes or each.
    out_dtype : dtype, optional
        Of the result, as of `conv2d`: integers are exact, and saturate in a narrower type.
    algorithm, backend, accuracy, nan_policy, max_workspace
        As of `conv2d`.
    out : ndarray, of the result's shape and dtype, optional
        Where to write; shares no memory with `a` or `v`.

    Returns
    -------
    ndarray
        `out`, or a new array; of the library of `a` if that is not NumPy. Empty if `a` or `v` is.

    Raises
    ------
    ShapeError
        If `v`, `axes` and `a` do not fit together.
    TypeError, ValueError
        If an argument is of the wrong kind, or names something that is not there.

    See Also
    --------
    correlate : The filter is conjugated instead of flipped.
    plan_convolve : Decide once, call many times.
    conv1d, conv2d, conv3d : Layers of neural networks; stride, dilation, groups.

    Notes
    -----
    Short filters are summed directly, long ones pass a fast Fourier transform, block by block
    [1]_, and filters that are outer products go one axis after the other; `plan_convolve(...)
    .explain()` says which and why. Whatever is taken, NaN and Inf stay where they belong.

    References
    ----------
    .. [1] A. Oppenheim, R. Schafer, "Discrete-Time Signal Processing", section 8.7.

    Examples
    --------
    >>> convolve([1.0, 2.0, 3.0], [1.0, 0.0, 0.5])
    array([1. , 2. , 3.5, 1. , 1.5])
    >>> convolve([1.0, 2.0, 3.0], [1.0, 1.0], "same", boundary="replicate")
    array([2., 3., 5.])

    Every colour of an image on its own:

    >>> import numpy as np
    >>> image = np.ones((4, 5, 3), dtype=np.float32)
    >>> convolve(image, np.full((3, 3), 1 / 9, np.float32), "same", axes=(0, 1)).shape
    (4, 5, 3)
    """
    return _slide("flipped", a, v, mode, axes, boundary, out, keywords)


def correlate(
    a: Any,
    v: Any,
    mode: Extent = "full",
    *,
    axes: Axes = None,
    boundary: Mode | Sequence[Mode] = "zeros",
    out: Any = None,
    **keywords: Unpack[Keywords],
) -> Any:
    """Correlate an array with a filter, which is conjugated and not flipped, as SciPy does.

    All else is as in `convolve`, of which this is the convolution with the flipped conjugate
    of `v`.

    Examples
    --------
    >>> correlate([1.0, 2.0, 3.0], [1.0, 0.0, 0.5])
    array([0.5, 1. , 2.5, 2. , 3. ])
    >>> correlate([1j, 0.0], [1j], "same")
    array([1.+0.j, 0.+0.j])
    """
    return _slide("conjugated", a, v, mode, axes, boundary, out, keywords)


def plan_convolve(
    a_shape: Any,
    v: Any,
    mode: Extent = "full",
    *,
    axes: Axes = None,
    boundary: Mode | Sequence[Mode] = "zeros",
    dtype: DTypeLike | None = None,
    **keywords: Unpack[Keywords],
) -> Plan:
    """Plan `convolve` for arrays of one shape and one filter.

    Parameters
    ----------
    a_shape : tuple of int
        Shape of the arrays to come.
    v : array_like
        The filter, kept as it is now.
    mode, axes, boundary, **keywords
        As of `convolve`.
    dtype : dtype, optional
        Of the arrays to come; by default that of `v`.

    Returns
    -------
    Plan
        Call it with an array.

    Raises
    ------
    ShapeError, TypeError, ValueError
        As `convolve` does; also for empty arrays and filters.

    Examples
    --------
    >>> import numpy as np
    >>> smooth = plan_convolve((5,), np.full(3, 1 / 3), "same")
    >>> smooth([0.0, 3.0, 0.0, 0.0, 6.0])
    array([1., 1., 1., 2., 2.])
    """
    return _plan("flipped", a_shape, v, mode, axes, boundary, dtype, keywords)


def plan_correlate(
    a_shape: Any,
    v: Any,
    mode: Extent = "full",
    *,
    axes: Axes = None,
    boundary: Mode | Sequence[Mode] = "zeros",
    dtype: DTypeLike | None = None,
    **keywords: Unpack[Keywords],
) -> Plan:
    """Plan `correlate` for arrays of one shape and one filter.

    All else is as in `plan_convolve`.

    Examples
    --------
    >>> import numpy as np
    >>> slope = plan_correlate((4,), np.array([-1.0, 1.0]), "valid")
    >>> slope([0.0, 1.0, 4.0, 9.0])
    array([1., 3., 5.])
    """
    return _plan("conjugated", a_shape, v, mode, axes, boundary, dtype, keywords)


def _slide(
    w_form: WForm,
    a: Any,
    v: Any,
    mode: Any,
    axes: Any,
    boundary: Any,
    out: Any,
    keywords: Mapping[str, Any],
) -> Any:
    """Look up what was decided for a call of this kind; else decide, and remember it."""
    if type(a) is not ndarray or type(v) is not ndarray:
        check_devices(a=a, v=v, out=out)
        export = exporter(a)
        x, w = as_array(a, "a"), as_array(v, "v")
        y = _slide(w_form, x, w, mode, axes, boundary, out, keywords)
        return y if export is None or out is not None else export(y)
    key: tuple[Any, ...] = (w_form, a.shape, a.dtype, v.shape, v.dtype, mode, axes, boundary)
    if keywords:
        key += (*keywords.items(), type(keywords.get("max_workspace")))
    try:
        decision = remembered.get(key)
    except TypeError:  # a list among them
        decision = None
    if decision is not None and (axes is decision.axes or _is_exact(axes)):
        if out is decision.variants is None:  # `call`, as far as a short one goes
            y = np.empty(decision.y_shape, decision.y_dtype)
            if decision.quick(a, v, None, y) == 0:
                return y
        return call(decision, a, v, None, None, out)
    return _decide(w_form, a, v, mode, axes, boundary, out, keywords, key)


def _decide(
    w_form: WForm,
    a: Array,
    v: Array,
    mode: Any,
    axes: Any,
    boundary: Any,
    out: Any,
    keywords: Mapping[str, Any],
    key: tuple[Any, ...],
) -> Any:
    """Convolve what was not met before."""
    as_array(a, "a"), as_array(v, "v")
    options = _options(keywords)
    slide = _place(a.shape, v.shape, mode, axes)
    if mode == "valid" and slide.v_is_larger:
        # Convolution commutes; correlation does so up to order and conjugation.
        swapped = _slide(w_form, v, a, mode, None, boundary, None, keywords)
        y = swapped if w_form == "flipped" else np.flip(swapped).conj()
        return y if out is None else _copied_to(out, y)
    if slide.is_empty:
        y = _nothing(slide, a, v, options)
        return y if out is None else _copied_to(out, y)
    form = _form(w_form, slide, a.dtype, v.shape, v.dtype, boundary, options)
    decision = decide(form, a.dtype, v.dtype, options)
    if _is_exact(axes):
        decision.axes = axes
        remember(key, decision)
    return call(decision, a, v, None, None, out)


def _copied_to(out: Any, y: Array) -> Any:
    """Write a result that was computed elsewhere where the caller wants it."""
    if not isinstance(out, ndarray):
        raise TypeError(f"out is a {type(out).__name__}: expected an array to write to")
    if out.shape != y.shape or out.dtype != y.dtype:
        raise ShapeError(
            f"out has shape {out.shape} and dtype {out.dtype}; expected {y.shape} and {y.dtype}"
        )
    out[...] = y
    return out


def _plan(
    w_form: WForm,
    a_shape: Any,
    v: Any,
    mode: Any,
    axes: Any,
    boundary: Any,
    dtype: Any,
    keywords: Mapping[str, Any],
) -> Plan:
    check_devices(v=v)
    options = _options(keywords)
    w = as_array(v, "v")
    slide = _place(read_shape(a_shape, "a_shape"), w.shape, mode, axes)
    if slide.is_empty:
        raise ShapeError(f"a of shape {slide.a_shape} and v of shape {w.shape}: one is empty")
    a_dtype = w.dtype if dtype is None else dtype_of(dtype)
    form = _form(w_form, slide, a_dtype, w.shape, w.dtype, boundary, options)
    return make_plan(form, w, options)


def _options(keywords: Mapping[str, Any]) -> Options:
    for name in keywords:
        if name not in Keywords.__annotations__:
            raise TypeError(
                f"convolve() got an unexpected keyword argument {name!r}; it takes mode, axes, "
                f"boundary, out, {', '.join(Keywords.__annotations__)}"
            )
    return Options(**keywords)


# --- where v slides -------------------------------------------------------------------------


class Slide(NamedTuple):
    """The axes of a call, spelled out."""

    a_shape: tuple[int, ...]
    along: tuple[int, ...]  # axes of a, in their order in a
    v_axes: tuple[int, ...]  # those of v that slide along them
    taps: tuple[int, ...]  # extents of v along them
    others: tuple[int, ...]  # the other axes of a
    filters: tuple[int, ...]  # extents of v along those
    mode: Extent
    places: tuple[int, ...]  # positions of `along` in `axes` as given

    @property
    def is_empty(self) -> bool:
        """Whether there are no elements along the axes."""
        return 0 in self.taps or any(self.a_shape[i] == 0 for i in self.along)

    @property
    def v_is_larger(self) -> bool:
        """Whether a fits into v, and not the other way round."""
        pairs = [(k, self.a_shape[i]) for i, k in zip(self.along, self.taps, strict=True)]
        return not self.others and all(k >= n for k, n in pairs) and any(k > n for k, n in pairs)


def _place(a_shape: tuple[int, ...], v_shape: tuple[int, ...], mode: Any, axes: Any) -> Slide:
    """Read `mode` and `axes`, and lay v's axes beside those of a."""
    if mode not in get_args(Extent):
        raise ValueError(f"mode={mode!r}: expected 'full', 'same' or 'valid'")
    given = _axes(a_shape, v_shape, axes)
    places = tuple(sorted(range(len(given)), key=lambda i: given[i]))
    along = tuple(given[i] for i in places)
    others = tuple(i for i in range(len(a_shape)) if i not in along)
    is_aligned = len(v_shape) == len(a_shape)
    v_axes = along if is_aligned else places
    filters = tuple(v_shape[i] if is_aligned else 1 for i in others)
    if any(
        m not in (1, a_shape[i]) and a_shape[i] != 1 for i, m in zip(others, filters, strict=True)
    ):
        raise ShapeError(
            f"v has shape {v_shape} and a {a_shape}: outside axes={along} their extents must be "
            f"equal, or 1"
        )
    taps = tuple(v_shape[i] for i in v_axes)
    return Slide(a_shape, along, v_axes, taps, others, filters, mode, places)


def _axes(a_shape: tuple[int, ...], v_shape: tuple[int, ...], axes: Any) -> tuple[int, ...]:
    """Return the axes of a that v slides along, not negative, as given."""
    ndim = len(a_shape)
    if axes is None:
        axes = tuple(range(max(0, ndim - len(v_shape)), ndim))
    given = axes if isinstance(axes, tuple | list) else (axes,)
    if any(isinstance(i, bool) or not hasattr(i, "__index__") for i in given):
        raise TypeError(f"axes={axes!r}: expected an int or a tuple of them")
    ints = [i.__index__() for i in given]
    if any(not -ndim <= i < ndim for i in ints):
        raise ShapeError(f"axes={axes!r}: expected axes of a, which has shape {a_shape}")
    along = tuple(i % ndim for i in ints)
    if len(set(along)) < len(along) or not along:
        raise ShapeError(f"axes={axes!r}: expected one axis or more, each of them once")
    if len(v_shape) not in (len(along), ndim):
        raise ShapeError(
            f"v has shape {v_shape}; with axes={along} of a, whose shape is {a_shape}, it has "
            f"{len(along)} axes, or {ndim}"
        )
    return along


def _is_exact(axes: Any) -> bool:
    """Whether `axes` holds plain ints, so that it does not only equal what was read before."""
    if axes is None or type(axes) is int:
        return True
    return type(axes) is tuple and all(type(i) is int for i in axes)


# --- the problem ----------------------------------------------------------------------------


class Arrangement(NamedTuple):
    """How the axes of a become those of a problem."""

    order: tuple[int, ...]  # in which they are (batch or channels, *size)
    batch: int
    channels: int
    size: tuple[int, ...]
    axes: tuple[int | None, ...]  # of a, that `size` are; None: several, which nothing slides along
    layout: Layout
    is_direct: bool  # contiguous arrays lie in memory as the layout says


def _arrange(slide: Slide, spread: tuple[int, ...]) -> Arrangement:
    """Choose what the axes that v does not slide along are to the problem."""
    along, others = slide.along, slide.others
    first, last = along[0], along[-1]
    sizes = tuple(spread[i] for i in along)
    outside = prod(spread[i] for i in others)
    is_plain = max(slide.filters, default=1) <= 1
    if not is_plain:
        order = (*others, *along)
        is_direct = order == tuple(range(len(spread)))
        return Arrangement(order, 1, outside, sizes, along, "channels_first", is_direct)

    before, behind = range(first), range(last + 1, len(spread))
    within = tuple(range(first, last + 1))
    rows, columns = prod(spread[i] for i in before), prod(spread[i] for i in behind)
    is_last = columns > 1
    axes: tuple[int | None, ...] = (None, *within) if is_last and rows > 1 else within
    size = tuple(rows if i is None else spread[i] for i in axes)
    if len(axes) > MAX_RANK >= len(along):  # others lie between the axes: they are moved
        return Arrangement((*others, *along), outside, 1, sizes, along, "channels_first", False)
    if is_last:
        order = (*behind, *before, *within)
        return Arrangement(order, columns, 1, size, axes, "batch_last", True)
    return Arrangement(tuple(range(len(spread))), rows, 1, size, axes, "channels_first", True)


def _form(
    w_form: WForm,
    slide: Slide,
    a_dtype: DType,
    v_shape: tuple[int, ...],
    v_dtype: DType,
    boundary: Any,
    options: Options,
) -> Form:
    """Return the form of a call, or say what does not fit."""
    spread = tuple(
        max(n, slide.filters[slide.others.index(i)]) if n and i in slide.others else n
        for i, n in enumerate(slide.a_shape)
    )
    arranged = _arrange(slide, spread)
    modes = dict(zip(slide.along, _modes(boundary, slide), strict=True))
    taps = dict(zip(slide.along, slide.taps, strict=True))
    kernel = tuple(1 if i is None else taps.get(i, 1) for i in arranged.axes)
    options = options._replace(
        padding=tuple(map(_PADS[slide.mode], kernel)),
        padding_mode=tuple("zeros" if i is None else modes.get(i, "zeros") for i in arranged.axes),
        groups=arranged.channels,
    )
    is_plain = arranged.channels == 1
    x_shape = (arranged.batch, *(() if is_plain else (arranged.channels,)), *arranged.size)
    w_shape = kernel if is_plain else (arranged.channels, 1, *kernel)
    try:
        form = forward(len(kernel), x_shape, a_dtype, w_shape, v_dtype, options)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("padding_mode=", "boundary=")) from None

    out_size = dict(zip(arranged.axes, form.problem.out_size, strict=True))
    is_aligned = len(v_shape) == len(slide.a_shape)
    w_order = (*slide.others, *slide.along) if is_aligned else slide.v_axes
    v_is_direct = w_order == tuple(range(len(v_shape))) or (is_aligned and is_plain)
    return form._replace(
        problem=replace(form.problem, layout=arranged.layout),
        x_shape=slide.a_shape,
        w_shape=v_shape,
        y_shape=tuple(out_size.get(i, n) for i, n in enumerate(spread)),
        spread=None if spread == slide.a_shape else spread,
        order=arranged.order,
        w_order=w_order,
        w_spread=None if is_plain else (*(spread[i] for i in slide.others), *slide.taps),
        w_form="as is" if w_form == "conjugated" and v_dtype.kind != "c" else w_form,
        is_direct=arranged.is_direct and v_is_direct and spread == slide.a_shape and is_plain,
    )


# Padding before and after, by the extent of the filter. An output of "same" stands where the
# middle of the filter does; of an even one the element after the middle.
_PADS: dict[Extent, Callable[[int], tuple[int, int]]] = {
    "full": lambda k: (k - 1, k - 1),
    "same": lambda k: (k - 1 - (k - 1) // 2, (k - 1) // 2),
    "valid": lambda k: (0, 0),
}


def _modes(boundary: Any, slide: Slide) -> list[Any]:
    """Return the padding mode of each of `along`."""
    is_one = isinstance(boundary, str) or not isinstance(boundary, tuple | list)
    if is_one or (len(boundary) == 2 and boundary[0] == "constant"):
        return [boundary] * len(slide.along)
    if len(boundary) != len(slide.along):
        raise ShapeError(
            f"boundary={boundary!r}: expected a mode, or one for each of the "
            f"{len(slide.along)} axes"
        )
    return [boundary[place] for place in slide.places]


def _nothing(slide: Slide, a: Array, v: Array, options: Options) -> Array:
    """Return the result of a call without elements along `axes`, as SciPy has it: empty."""
    x = np.empty((1,), a.dtype)
    form = forward(1, x.shape, a.dtype, (1,), v.dtype, options)
    shape = tuple(0 if i in slide.along else n for i, n in enumerate(slide.a_shape))
    return np.empty(shape, real_dtype(form.problem.out_dtype))
