"""conv_transpose1d, conv_transpose2d, conv_transpose3d, and the plans of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

from convkit.arguments import TransposedKeywords, TransposedOptions, transposed
from convkit.functional import Kind, convolved, planned, with_defaults_of
from convkit.plan import Plan

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

TRANSPOSED = tuple(
    Kind(f"conv_transpose{rank}d", rank, TransposedOptions, transposed) for rank in (1, 2, 3)
)


@with_defaults_of(TransposedOptions)
def conv_transpose1d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    out: Any = None,
    **keywords: Unpack[TransposedKeywords],
) -> Any:
    """Transposed cross-correlation of signals: the way back of a strided `conv1d`, in size.

    Every element of `x` adds its multiple of the filter to the result, `stride` elements apart:
    upsampling by filters, and the gradient of `conv1d` with regard to its input.

    Parameters
    ----------
    x : array_like, shape (N, C, L) or (C, L)
        Signals; any (..., L) under a plain filter.
    w : array_like, shape (C, O // groups, K) or (K,)
        Filters, as those of the `conv1d` that would lead from the result to `x`.
    bias : array_like, shape (O,), optional
        Added to every output channel.
    residual : array_like, shape of the result, optional
        Added to the result, before the activation.
    out : ndarray, of the result's shape and dtype, optional
        Where to write; shares no memory with `x` or `w`.
    **keywords
        Those of `conv_transpose2d`, with one entry per axis.

    Returns
    -------
    ndarray, shape (N, O, OL)
        Without N or O where `x` or `w` are; ``OL = (L - 1) * stride - before - after +
        dilation * (K - 1) + 1 + output_padding``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv1d : The way there.
    plan_conv_transpose1d : Decide once, call many times.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> ck.conv_transpose1d(np.array([1.0, 2, 3]), np.array([1.0, 1, 1]), stride=2)
    array([1., 1., 3., 2., 5., 3., 3.])
    """
    return convolved(TRANSPOSED[0], x, w, bias, residual, out, keywords)


@with_defaults_of(TransposedOptions)
def conv_transpose2d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    out: Any = None,
    **keywords: Unpack[TransposedKeywords],
) -> Any:
    """Transposed cross-correlation of images: the way back of a strided `conv2d`, in size.

    Every element of `x` adds its multiple of the filter to the result, `stride` elements apart:
    upsampling by filters, and the gradient of `conv2d` with regard to its input.

    Parameters
    ----------
    x : array_like, shape (N, C, H, W) or (C, H, W)
        Images; any (..., H, W) under a plain filter.
    w : array_like, shape (C, O // groups, KH, KW) or (KH, KW)
        Filters, as those of the `conv2d` that would lead from the result to `x`.
    bias : array_like, shape (O,), optional
        Added to every output channel.
    stride : int or (int, int), default 1
        Step between the elements of x in the result.
    padding : int, (int, int) or ((int, int), (int, int)), default 0
        What `conv2d` would have added around the result, and is left out of it: at most
        ``dilation * (K - 1)`` on a side.
    output_padding : int or (int, int), default 0
        Rows and columns more after the others; less than stride or dilation.
    output_size : int or (int, int), optional
        Extent of the result, instead of `output_padding`: a strided convolution maps several to
        the same.
    dilation, groups, activation, layout, out_dtype, algorithm, backend, accuracy, max_workspace
        As in `conv2d`.
    residual : array_like, shape of the result, optional
        Added to the result, before the activation.
    out : ndarray, of the result's shape and dtype, optional
        Where to write; shares no memory with `x` or `w`.

    Returns
    -------
    ndarray, shape (N, O, OH, OW)
        Without N or O where `x` or `w` are; ``OH = (H - 1) * stride - before - after +
        dilation * (KH - 1) + 1 + output_padding``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv2d : The way there.
    plan_conv_transpose2d : Decide once, call many times.

    Notes
    -----
    No zeros are multiplied: the outputs of each phase of the stride are a convolution with a part
    of the taps [1]_.

    References
    ----------
    .. [1] V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
       arXiv:1603.07285, chapter 4.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> x, w = np.ones((1, 8, 16, 16), "f4"), np.ones((8, 4, 2, 2), "f4")
    >>> ck.conv_transpose2d(x, w, stride=2).shape
    (1, 4, 32, 32)
    >>> ck.conv_transpose2d(x, w, stride=2, output_size=33).shape
    (1, 4, 33, 33)
    """
    return convolved(TRANSPOSED[1], x, w, bias, residual, out, keywords)


@with_defaults_of(TransposedOptions)
def conv_transpose3d(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    out: Any = None,
    **keywords: Unpack[TransposedKeywords],
) -> Any:
    """Transposed cross-correlation of volumes: the way back of a strided `conv3d`, in size.

    Every element of `x` adds its multiple of the filter to the result, `stride` elements apart:
    upsampling by filters, and the gradient of `conv3d` with regard to its input.

    Parameters
    ----------
    x : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        Volumes; any (..., D, H, W) under a plain filter.
    w : array_like, shape (C, O // groups, KD, KH, KW) or (KD, KH, KW)
        Filters, as those of the `conv3d` that would lead from the result to `x`.
    bias : array_like, shape (O,), optional
        Added to every output channel.
    residual : array_like, shape of the result, optional
        Added to the result, before the activation.
    out : ndarray, of the result's shape and dtype, optional
        Where to write; shares no memory with `x` or `w`.
    **keywords
        Those of `conv_transpose2d`, with one entry per axis.

    Returns
    -------
    ndarray, shape (N, O, OD, OH, OW)
        Without N or O where `x` or `w` are; ``OD = (D - 1) * stride - before - after +
        dilation * (KD - 1) + 1 + output_padding``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv3d : The way there.
    plan_conv_transpose3d : Decide once, call many times.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> ck.conv_transpose3d(np.ones((1, 2, 3, 3, 3)), np.ones((2, 3, 2, 2, 2)), stride=2).shape
    (1, 3, 6, 6, 6)
    """
    return convolved(TRANSPOSED[2], x, w, bias, residual, out, keywords)


@with_defaults_of(TransposedOptions)
def plan_conv_transpose1d(
    x_shape: Sequence[int],
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    dtype: DTypeLike | None = None,
    **keywords: Unpack[TransposedKeywords],
) -> Plan:
    """Decide a transposed convolution of signals once, to be called many times.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of what is to come, in any form that `conv_transpose1d` takes.
    w : array_like, shape (C, O // groups, K) or (K,)
        Filters; packed here, so that changing them later does not change the plan.
    bias, residual : array_like, optional
        Added by every call that brings none of its own.
    dtype : dtype, optional
        Of what is to come; by default that of `w`.
    **keywords
        Those of `conv_transpose2d`, with one entry per axis.

    Returns
    -------
    Plan
        Called with arrays of that shape: ``plan(x)``, ``plan(x, bias=b, out=y)``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv_transpose1d : The same in one call.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> plan = ck.plan_conv_transpose1d((3,), np.array([1.0, 1, 1]), stride=2)
    >>> plan(np.array([1.0, 2, 3]))
    array([1., 1., 3., 2., 5., 3., 3.])
    """
    return planned(TRANSPOSED[0], x_shape, w, bias, residual, dtype, keywords)


@with_defaults_of(TransposedOptions)
def plan_conv_transpose2d(
    x_shape: Sequence[int],
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    dtype: DTypeLike | None = None,
    **keywords: Unpack[TransposedKeywords],
) -> Plan:
    """Decide a transposed convolution of images once, to be called many times.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of what is to come, in any form that `conv_transpose2d` takes.
    w : array_like, shape (C, O // groups, KH, KW) or (KH, KW)
        Filters; packed here, so that changing them later does not change the plan.
    bias, residual : array_like, optional
        Added by every call that brings none of its own.
    dtype : dtype, optional
        Of what is to come; by default that of `w`.
    **keywords
        Those of `conv_transpose2d`, with one entry per axis.

    Returns
    -------
    Plan
        Called with arrays of that shape: ``plan(x)``, ``plan(x, bias=b, out=y)``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv_transpose2d : The same in one call.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> plan = ck.plan_conv_transpose2d((1, 8, 16, 16), np.ones((8, 4, 2, 2), "f4"), stride=2)
    >>> print(plan.problem)
    conv2d n1 c8 o4 i16x16 k2x2 u2x2 p1x1 float32
    """
    return planned(TRANSPOSED[1], x_shape, w, bias, residual, dtype, keywords)


@with_defaults_of(TransposedOptions)
def plan_conv_transpose3d(
    x_shape: Sequence[int],
    w: Any,
    bias: Any = None,
    *,
    residual: Any = None,
    dtype: DTypeLike | None = None,
    **keywords: Unpack[TransposedKeywords],
) -> Plan:
    """Decide a transposed convolution of volumes once, to be called many times.

    Parameters
    ----------
    x_shape : sequence of int
        Shape of what is to come, in any form that `conv_transpose3d` takes.
    w : array_like, shape (C, O // groups, KD, KH, KW) or (KD, KH, KW)
        Filters; packed here, so that changing them later does not change the plan.
    bias, residual : array_like, optional
        Added by every call that brings none of its own.
    dtype : dtype, optional
        Of what is to come; by default that of `w`.
    **keywords
        Those of `conv_transpose2d`, with one entry per axis.

    Returns
    -------
    Plan
        Called with arrays of that shape: ``plan(x)``, ``plan(x, bias=b, out=y)``.

    Raises
    ------
    ShapeError, TypeError, ValueError, UnsupportedError, BackendUnavailableError, MemoryError
        As `conv2d` does.

    See Also
    --------
    conv_transpose3d : The same in one call.

    Examples
    --------
    >>> import numpy as np, convkit as ck
    >>> plan = ck.plan_conv_transpose3d((1, 2, 3, 3, 3), np.ones((2, 3, 2, 2, 2)), stride=2)
    >>> plan(np.ones((1, 2, 3, 3, 3))).shape
    (1, 3, 6, 6, 6)
    """
    return planned(TRANSPOSED[2], x_shape, w, bias, residual, dtype, keywords)
