"""conv1d, conv2d, conv3d, and the plans of them; what calls and plans of all functions share.

A call looks up what was decided for the same raw shapes, dtypes and keywords; only the first of
its kind goes the long way: arguments -> problem -> algorithm. Decisions are remembered, packed
weights are not: an array passed to a function may change in place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Unpack

import numpy as np
from numpy import ndarray

from convkit.algorithm import Algorithm, Array
from convkit.arguments import (
    Form,
    Keywords,
    Options,
    as_array,
    as_bias,
    as_out,
    as_residual,
    check_devices,
    exporter,
    forward,
    read_options,
    read_shape,
)
from convkit.dtypes import DType, real_dtype
from convkit.plan import Plan, decline, execute, prepare
from convkit.selector import remembered, select
from convkit.structure import NAMES as STRUCTURES
from convkit.structure import finder, may_be_structured

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# Decisions are a few hundred bytes each; a program that meets more shapes than this gains
# nothing from remembering them.
MOST_REMEMBERED = 4096


class Kind(NamedTuple):
    """A function of layers: its name and rank, its keywords, and how they become a form."""

    name: str
    rank: int
    options: type[Any]
    form: Callable[..., Form]


CONV = tuple(Kind(f"conv{rank}d", rank, Options, forward) for rank in (1, 2, 3))


class Decision:
    """What a functional call needs to know of a problem it has met before."""

    __slots__ = (
        *("algorithm", "axes", "bias_dtype", "bias_shape", "form", "has_tuples"),
        *("quick", "variants", "y_dtype", "y_shape"),
    )

    def __init__(self, form: Form, options: Options, *, is_direct: bool) -> None:
        p = form.problem
        self.form = form
        self.algorithm: Algorithm = select(
            p, options.algorithm, options.backend, options.max_workspace, is_call=True
        )
        # Of the weights' structures, where they are to be looked at: (dense, separable, box).
        self.variants: tuple[Decision, ...] | None = None
        self.quick: Callable[[Array, Array, Array | None, Array], int] = decline
        self.has_tuples = False
        self.axes: Any = None  # of convolve and correlate, as given
        if is_direct and 0 not in form.y_shape:
            self.quick = self.algorithm.quick_call(p, form.w_form) or decline
        self.y_shape = form.y_shape
        self.y_dtype = real_dtype(p.out_dtype)
        self.bias_shape = (p.out_channels,)
        self.bias_dtype = real_dtype(p.bias_dtype)

    def of(self, w: Array) -> Decision:
        """Return the decision for these very weights."""
        if self.variants is None:
            return self
        plain = w if w.flags.c_contiguous else np.ascontiguousarray(w)
        return self.variants[finder()(plain, self.form.problem)]

    def is_plain(self, bias: Any) -> bool:
        """Whether `bias` needs no conversion and no word about it."""
        return (
            type(bias) is ndarray
            and bias.dtype == self.bias_dtype
            and bias.shape == self.bias_shape
        )


def decide(form: Form, x_dtype: DType, w_dtype: DType, options: Options) -> Decision:
    """Choose the algorithm, or one for each structure that the weights may turn out to have."""
    p = form.problem
    is_direct = (
        form.is_direct
        and form.w_form != "transposed"
        and x_dtype == real_dtype(p.dtype)
        and w_dtype == real_dtype(p.weight_dtype)
    )
    decision = Decision(form, options, is_direct=is_direct)
    if is_direct and may_be_structured(p):
        forms = (form._replace(problem=replace(p, structure=name)) for name in STRUCTURES[1:])
        others = [Decision(other, options, is_direct=True) for other in forms]
        # Looking at the weights takes as long as filtering a thumbnail.
        if any(other.algorithm is not decision.algorithm for other in others):
            decision.variants = (decision, *others)
    return decision


def call(
    decision: Decision, x: Array, w: Array, bias: Any = None, residual: Any = None, out: Any = None
) -> Any:
    """Convolve two plain arrays as decided."""
    decision = decision if decision.variants is None else decision.of(w)
    if residual is out is None and (bias is None or decision.is_plain(bias)):
        try:
            y = np.empty(decision.y_shape, decision.y_dtype)
        except MemoryError:
            return _run(decision, x, w, bias, residual, out)  # says it in words
        if decision.quick(x, w, bias, y) == 0:
            return y
    return _run(decision, x, w, bias, residual, out)


def convolved(
    kind: Kind,
    x: Any,
    w: Any,
    bias: Any,
    residual: Any,
    out: Any,
    keywords: Mapping[str, object],
) -> Any:
    """Convolve: the common part of all functions of layers."""
    if type(x) is not ndarray or type(w) is not ndarray:
        return _conv_of_others(kind, x, w, bias, residual, out, keywords)
    key: tuple[Any, ...] = (kind.name, x.shape, x.dtype, w.shape, w.dtype)
    if keywords:
        # The types as well, since True and 1.0 equal 1 and are refused where 1 is not.
        key += (*keywords.items(), *map(type, keywords.values()))
    try:
        decision = remembered.get(key)
    except TypeError:  # a list among the keywords
        decision = None
    if decision is None or (decision.has_tuples and not _is_exact(keywords)):
        decision = _decide(kind, x, w, keywords, key)
    return call(decision, x, w, bias, residual, out)


def _decide(
    kind: Kind, x: Array, w: Array, keywords: Mapping[str, object], key: tuple[Any, ...]
) -> Decision:
    """Choose an algorithm, and remember the choice."""
    options = read_options(kind.name, kind.options, keywords)
    as_array(x, "x"), as_array(w, "w")
    form = kind.form(kind.rank, x.shape, x.dtype, w.shape, w.dtype, options)
    decision = decide(form, x.dtype, w.dtype, options)
    decision.has_tuples = any(isinstance(value, tuple) for value in keywords.values())
    if _is_exact(keywords):
        remember(key, decision)
    return decision


def remember(key: tuple[Any, ...], decision: Any) -> None:
    """Keep a decision for the next call of its kind."""
    if len(remembered) >= MOST_REMEMBERED:
        remembered.clear()
    with suppress(TypeError):  # a list among the keywords
        remembered[key] = decision


def _is_exact(keywords: Mapping[str, object]) -> bool:
    """Whether all tuples hold plain ints, so that none equals another that is refused."""
    for name, value in keywords.items():
        if type(value) is tuple and name not in ("padding_mode", "activation"):
            for entry in value:
                pair = entry if type(entry) is tuple else (entry,)
                if not all(type(size) is int or isinstance(size, np.integer) for size in pair):
                    return False
    return True


def _run(decision: Decision, x: Array, w: Array, bias: Any, residual: Any, out: Any) -> Any:
    """Convolve plain arrays, with all that a call may have beside them."""
    form, algorithm = decision.form, decision.algorithm
    check_devices(x=x, w=w, bias=bias, residual=residual, out=out)
    y = execute(
        form,
        algorithm,
        prepare(form, algorithm, w),
        x,
        as_bias(bias, form),
        as_residual(residual, form),
        None if out is None else as_out(out, form, x=x, w=w),
    )
    return y if out is None else out


def _conv_of_others(
    kind: Kind, x: Any, w: Any, bias: Any, residual: Any, out: Any, keywords: Mapping[str, object]
) -> Any:
    """Convolve lists, subclasses, and arrays of other libraries."""
    check_devices(x=x, w=w, bias=bias, residual=residual, out=out)
    export = exporter(x)
    y = convolved(kind, as_array(x, "x"), as_array(w, "w"), bias, residual, out, keywords)
    return y if export is None or out is not None else export(y)


def planned(
    kind: Kind,
    x_shape: Any,
    w: Any,
    bias: Any,
    residual: Any,
    dtype: Any,
    keywords: Mapping[str, object],
) -> Plan:
    """Plan: the common part of all plans of layers."""
    options = read_options(f"plan_{kind.name}", kind.options, keywords)
    check_devices(w=w, bias=bias, residual=residual)
    weights = as_array(w, "w")
    x_dtype = weights.dtype if dtype is None else dtype_of(dtype)
    shape = read_shape(x_shape, "x_shape")
    form = kind.form(kind.rank, shape, x_dtype, weights.shape, weights.dtype, options)
    return make_plan(form, weights, options, bias, residual)


def make_plan(
    form: Form, w: Array, options: Options, bias: Any = None, residual: Any = None
) -> Plan:
    """Plan for these weights, and for what is special about them."""
    p = form.problem
    if may_be_structured(p):
        found = finder()(np.ascontiguousarray(w, real_dtype(p.weight_dtype)), p)
        form = form._replace(problem=replace(p, structure=STRUCTURES[found]))
    algorithm = select(form.problem, options.algorithm, options.backend, options.max_workspace)
    return Plan(form, algorithm, w, bias, residual)


def dtype_of(dtype: Any) -> DType:
    """Return the dtype that a caller names."""
    try:
        return real_dtype(dtype) if isinstance(dtype, str) else np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype={dtype!r}: {error}") from None


_Function = TypeVar("_Function", bound=Callable[..., Any])


def with_defaults_of(fields: type[Any]) -> Callable[[_Function], _Function]:
    """Show the keywords of `fields` and their defaults in the signature of a function.

    The functions themselves gather them in a dict, because filling fourteen defaults in would
    take longer than to look the decision up.
    """

    def shown(function: _Function) -> _Function:
        kind = inspect.Parameter.KEYWORD_ONLY
        signature = inspect.signature(function)
        given = [p for p in signature.parameters.values() if p.name != "keywords"]
        options = [
            inspect.Parameter(name, kind, default=default, annotation=fields.__annotations__[name])
            for name, default in fields._field_defaults.items()
        ]
        ordered = sorted([*given, *options], key=lambda p: (p.kind, p.name == "out"))
        function.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=ordered
        )
        return function

    return shown


@with_defaults_of(Options)
def conv1d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    out: Any = None,
    **keywords: Unpack[Keywords],
) -> Any:
    """Cross-correlate signals with a bank of filters, or with one plain filter.

    Parameters
    ----------
    x : array_like, shape (N, C, L) or (C, L)
        Signals; any (..., L) under a plain filter.
    w : array_like, shape (O, C // groups, K) or (K,)
        Filters, not flipped: the convolution of neural networks, which signal processing calls
        correlation. One axis makes a plain filter: it slides along the last axis of `x`, and all
        leading axes are independent signals.
    bias : array_like, shape (O,), optional
        Added to every output channel.
    residual : array_like, shape of the result, optional
        Added to the result, before the activation.
    out : ndarray, of the result's shape and dtype, optional
        Where to write; shares no memory with `x` or `w`.
    **keywords
        Those of `conv2d`, with one entry per convolved axis.

    Returns
    -------
    ndarray, shape (N, O, OL)
        Without N or O where `x` or `w` are; ``OL = (D + before + after - dilation * (K - 1) - 1)
        // stride + 1``, where ``D = (L - 1) * input_dilation + 1``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv2d : The keywords, one by one.
    plan_conv1d : Decide once, call many times.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> ck.conv1d(np.array([0.0, 0, 3, 0, 0]), np.array([1.0, 2, 3]), padding="same")
    array([0., 9., 6., 3., 0.])
    >>> ck.conv1d(np.ones((1, 2, 6)), np.ones((4, 2, 3)), stride=2).shape
    (1, 4, 2)
    """
    return convolved(CONV[0], x, w, bias, residual, out, keywords)


@with_defaults_of(Options)
def conv2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    out: Any = None,
    **keywords: Unpack[Keywords],
) -> Any:
    """Cross-correlate images with a bank of filters, or with one plain filter.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W) or (C, H, W)
        Images; any (..., H, W) under a plain filter.
    w : array_like, shape (O, C // groups, KH, KW) or (KH, KW)
        Filters, not flipped: the convolution of neural networks, which signal processing calls
        correlation. Two axes make a plain filter: it slides along the last two axes of `x`, and
        all leading axes are independent images.
    bias : array_like, shape (O,), optional
        Added to every output channel.
    stride : int or (int, int), default 1
        Step between outputs, in elements.
    padding : int, (int, int), ((int, int), (int, int)), "valid", "same" or "full", default 0
        Elements added around x: on all sides, per axis, or before and after each axis. "same"
        makes ``ceil(size / stride)`` outputs; of an odd total the extra element goes after.
        "full" makes an output wherever the kernel meets an element.
    dilation : int or (int, int), default 1
        Step between the taps of w, in elements.
    input_dilation : int or (int, int), default 1
        Step at which the elements of x are spread, zeros between them, before it is padded.
    groups : int, default 1
        Channel groups convolved separately.
    padding_mode : str, ("constant", value) or a tuple of these per axis, default "zeros"
        Where padded elements come from: "zeros", "reflect" (the edge is not repeated),
        "symmetric" (it is), "replicate", "circular". Padding may be wider than x.
    activation : str or tuple, optional
        Applied last: "relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "gelu" (exact),
        "hardswish", ("clip", low, high) or ("leaky_relu", slope).
    residual : array_like, shape of the result, optional
        Added to the result, before the activation.
    layout : {"channels_first", "channels_last"}
        "channels_last" means x is (N, H, W, C) and so is the result; w keeps its form.
    out_dtype : dtype, optional
        Of the result. By default ``np.result_type(x, w)``; integers of up to 16 bits give int32,
        wider ones int64 (uint64 stays). A narrower integer type is rounded to and saturated.
    algorithm, backend : str, default "auto"
        Force a choice; a plan's `explain` tells what "auto" chose and why.
    accuracy : {"default", "strict", "fast"}
        Which algorithms may be taken: "strict" those with an error bound for every element,
        "fast" also those in reduced precision. Compiled kernels take numbers too small to be
        normal (below 1.2e-38 in float32) for zero, unless it is "strict": most CPUs need 100
        times as long for them.
    nan_policy : {"propagate", "omit"}
        "omit" takes NaN in x as missing: the sum over what is there, times the sum of all weights
        over the sum of those that saw data; NaN where none did. Padding counts as data.
    max_workspace : int, optional
        Bytes a call may use beside its arguments and its result; see `set_workspace_limit`.
    out : ndarray, of the result's shape and dtype, optional
        Where to write; shares no memory with `x` or `w`.

    Returns
    -------
    ndarray, shape (N, O, OH, OW)
        Without N or O where `x` or `w` are; ``OH = (D + before + after - dilation * (KH - 1) - 1)
        // stride + 1``, where ``D = (H - 1) * input_dilation + 1``. Of the library of `x` if that
        is not NumPy but speaks DLPack.

    Raises
    ------
    ShapeError
        If the arguments do not fit together, or the kernel is larger than the padded input.
    TypeError, ValueError
        If an argument is of the wrong kind, or names something that is not there.
    UnsupportedError
        If no algorithm takes the problem; the message has each one's reason.
    BackendUnavailableError
        If the backend, or the device that an array is on, cannot be used here.
    MemoryError
        If the result or the workspace does not fit.

    See Also
    --------
    plan_conv2d : Decide once, call many times.
    explain : What can compute a problem, and how fast.

    Notes
    -----
    The order is convolution, bias, residual, activation. Sums of float32 are within ``c * 2**-24 *
    sum(abs(x) * abs(w))`` of exact, where c is the `error_bound` of the algorithm (a plan has it);
    float16 and bfloat16 are summed in float32 or better. Integers are exact, whatever the
    algorithm; sums that pass 64 bits wrap as NumPy's do [1]_.

    References
    ----------
    .. [1] V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
       arXiv:1603.07285 (the sizes, in pictures).

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> edges = np.array([[[[-1, 0, 1]]]], dtype="f4")
    >>> ck.conv2d(np.arange(16, dtype="f4").reshape(1, 1, 4, 4), edges)[0, 0, 0]
    array([2., 2.], dtype=float32)

    A plain filter, over every image of a stack, back in bytes:

    >>> blur = np.full((3, 3), 1 / 9)
    >>> images = np.full((2, 5, 5), 200, dtype=np.uint8)
    >>> y = ck.conv2d(images, blur, padding="same", padding_mode="reflect", out_dtype=np.uint8)
    >>> y.shape, y.dtype, y.min()
    ((2, 5, 5), dtype('uint8'), np.uint8(200))
    """
    return convolved(CONV[1], x, w, bias, residual, out, keywords)


@with_defaults_of(Options)
def conv3d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    out: Any = None,
    **keywords: Unpack[Keywords],
) -> Any:
    """Cross-correlate volumes with a bank of filters, or with one plain filter.

    Parameters
    ----------
    x : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes; any (..., D, H, W) under a plain filter.
    w : array_like, shape (O, C // groups, KD, KH, KW) or (KD, KH, KW)
        Filters, not flipped: the convolution of neural networks, which signal processing calls
        correlation. Three axes make a plain filter: it slides along the last three axes of `x`,
        and all leading axes are independent volumes.
    bias : array_like, shape (O,), optional
        Added to every output channel.
    residual : array_like, shape of the result, optional
        Added to the result, before the activation.
    out : ndarray, of the result's shape and dtype, optional
        Where to write; shares no memory with `x` or `w`.
    **keywords
        Those of `conv2d`, with one entry per convolved axis.

    Returns
    -------
    ndarray, shape (N, O, OD, OH, OW)
        Without N or O where `x` or `w` are; the extents are as in `conv2d`.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv2d : The keywords, one by one.
    plan_conv3d : Decide once, call many times.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> ck.conv3d(np.ones((1, 2, 4, 4, 4)), np.ones((3, 2, 3, 3, 3)), padding=1).max()
    np.float64(54.0)
    """
    return convolved(CONV[2], x, w, bias, residual, out, keywords)


@with_defaults_of(Options)
def plan_conv1d(
    x_shape: Sequence[int],
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    dtype: DTypeLike | None = None,
    **keywords: Unpack[Keywords],
) -> Plan:
    """Decide a convolution of signals once, to be called many times.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of the signals to come, in any form that `conv1d` takes: (N, C, L) for one.
    w : array_like, shape (O, C // groups, K) or (K,)
        Filters; packed here, so that changing them later does not change the plan.
    bias, residual : array_like, optional
        Added by every call that brings none of its own.
    dtype : dtype, optional
        Of the signals to come; by default that of `w`.
    **keywords
        Those of `conv2d`, with one entry per convolved axis.

    Returns
    -------
    Plan
        Called with signals of that shape: ``plan(x)``, ``plan(x, bias=b, out=y)``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv1d : The same in one call.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> plan = ck.plan_conv1d((100,), np.ones(5))
    >>> plan(np.arange(100.0))[:3]
    array([10., 15., 20.])
    """
    return planned(CONV[0], x_shape, w, bias, residual, dtype, keywords)


@with_defaults_of(Options)
def plan_conv2d(
    x_shape: Sequence[int],
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    dtype: DTypeLike | None = None,
    **keywords: Unpack[Keywords],
) -> Plan:
    """Decide a convolution of images once, to be called many times.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of the images to come, in any form that `conv2d` takes: (N, C, H, W) for one.
    w : array_like, shape (O, C // groups, KH, KW) or (KH, KW)
        Filters; packed here, so that changing them later does not change the plan.
    bias, residual : array_like, optional
        Added by every call that brings none of its own.
    dtype : dtype, optional
        Of the images to come; by default that of `w`.
    **keywords
        Those of `conv2d`, with one entry per convolved axis.

    Returns
    -------
    Plan
        Called with images of that shape: ``plan(x)``, ``plan(x, bias=b, out=y)``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv2d : The same in one call.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> plan = ck.plan_conv2d((1, 3, 32, 32), np.ones((8, 3, 3, 3), "f4"), padding=1)
    >>> print(plan.problem)
    conv2d n1 c3 o8 i32x32 k3x3 p1x1 float32
    >>> y = np.empty((1, 8, 32, 32), "f4")
    >>> plan(np.ones((1, 3, 32, 32), "f4"), out=y)[0, 0, 5, 5]
    np.float32(27.0)
    """
    return planned(CONV[1], x_shape, w, bias, residual, dtype, keywords)


@with_defaults_of(Options)
def plan_conv3d(
    x_shape: Sequence[int],
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    dtype: DTypeLike | None = None,
    **keywords: Unpack[Keywords],
) -> Plan:
    """Decide a convolution of volumes once, to be called many times.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of the volumes to come, in any form that `conv3d` takes: (N, C, D, H, W) for one.
    w : array_like, shape (O, C // groups, KD, KH, KW) or (KD, KH, KW))
        Filters; packed here, so that changing them later does not change the plan.
    bias, residual : array_like, optional
        Added by every call that brings none of its own.
    dtype : dtype, optional
        Of the volumes to come; by default that of `w`.
    **keywords
        Those of `conv2d`, with one entry per convolved axis.

    Returns
    -------
    Plan
        Called with volumes of that shape: ``plan(x)``, ``plan(x, bias=b, out=y)``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv3d : The same in one call.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> plan = ck.plan_conv3d((1, 2, 4, 4, 4), np.ones((3, 2, 3, 3, 3)), activation="relu")
    >>> plan(-np.ones((1, 2, 4, 4, 4))).max()
    np.float64(0.0)
    """
    return planned(CONV[2], x_shape, w, bias, residual, dtype, keywords)
