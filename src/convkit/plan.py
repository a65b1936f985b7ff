"""A decided convolution: algorithm chosen, weights packed, ready to be called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from convkit.algorithm import Algorithm, Array
from convkit.arguments import (
    Form,
    as_bias,
    as_out,
    as_residual,
    as_x,
    check_devices,
    empty,
    exporter,
    native,
)
from convkit.dtypes import real_dtype
from convkit.problem import ConvProblem
from convkit.selector import Explanation, explanation, full_name


class Plan:
    """A convolution decided once, to be called many times.

    Made by `plan_conv1d`, `plan_conv2d` and `plan_conv3d`. Weights, bias and residual given there
    are kept as they were: changing the arrays later does not change the plan. A plan may be called
    from several threads at once.

    Attributes
    ----------
    problem : ConvProblem
        What is computed.
    algorithm, backend : str
        What computes it: names of a module and of its folder in backends/.
    isa : str or None
        Instruction set in use, of compiled kernels.
    """

    __slots__ = (
        *("_algorithm", "_bias", "_form", "_prepared", "_quick", "_residual"),
        *("_x_dtype", "_x_shape", "_y_dtype", "_y_shape"),
        *("algorithm", "backend", "isa", "problem"),
    )

    def __init__(
        self,
        form: Form,
        algorithm: Algorithm,
        w: Array,
        bias: object = None,
        residual: object = None,
    ) -> None:
        self.problem: ConvProblem = form.problem
        self.algorithm = algorithm.name
        self.backend = algorithm.backend
        self._form = form
        self._algorithm = algorithm
        self._prepared = prepare(form, algorithm, w)
        self._bias = _copied(as_bias(bias, form))
        self._residual = _copied(as_residual(residual, form))
        self.isa: str | None = getattr(self._prepared, "isa", None)
        self._x_shape, self._x_dtype = form.x_shape, real_dtype(form.problem.dtype)
        self._y_shape, self._y_dtype = form.y_shape, real_dtype(form.problem.out_dtype)
        self._quick: Callable[[Array, Array], int] = decline
        if self._residual is None and form.is_direct and 0 not in form.y_shape:
            self._quick = algorithm.quick(form.problem, self._prepared, self._bias) or decline

    def __call__(self, x: Any, *, bias: Any = None, residual: Any = None, out: Any = None) -> Any:
        """Convolve `x`.

        Parameters
        ----------
        x : array_like
            Of the shape planned for, and of its dtype or one that it holds exactly.
        bias : array_like, shape (O,), optional
            Instead of the one planned with.
        residual : array_like, of the result's shape, optional
            Instead of the one planned with.
        out : ndarray, of the result's shape and dtype, optional
            Where to write; shares no memory with `x`.

        Returns
        -------
        ndarray
            `out`, or a new array; of the library of `x` if that is not NumPy.

        Raises
        ------
        ShapeError, TypeError, ValueError
            If an argument is not of the shape, dtype or kind planned for.
        """
        # Nothing but what cannot be left out: this is the time of a call beside its kernel's.
        if (
            bias is residual is None
            and type(x) is ndarray
            and x.shape == self._x_shape
            and x.dtype is self._x_dtype
        ):
            if out is None:
                try:
                    y = np.empty(self._y_shape, self._y_dtype)
                except MemoryError:
                    return self._general(x, bias, residual, out)  # says it in words
                if self._quick(x, y) == 0:
                    return y
            elif (
                type(out) is ndarray
                and out.shape == self._y_shape
                and out.dtype is self._y_dtype
                and self._quick(x, out) == 0
            ):
                return out
        return self._general(x, bias, residual, out)

    def _general(self, x: Any, bias: Any, residual: Any, out: Any) -> Any:
        """Call with anything that may be passed."""
        form = self._form
        check_devices(x=x, bias=bias, residual=residual, out=out)
        export = exporter(x)
        array = as_x(x, form)
        y = execute(
            form,
            self._algorithm,
            self._prepared,
            array,
            self._bias if bias is None else as_bias(bias, form),
            self._residual if residual is None else as_residual(residual, form),
            None if out is None else as_out(out, form, x=array),
        )
        if out is not None:
            return out
        return y if export is None else export(y)

    @property
    def workspace_bytes(self) -> int:
        """Bytes a call needs beside its arguments, its result and the packed weights."""
        return self._algorithm.workspace_bytes(self.problem)

    @property
    def error_bound(self) -> float:
        """The c of |error| <= c * u * sum(|x| * |w|), u being the unit roundoff of the dtype."""
        return self._algorithm.error_bound(self.problem)

    def explain(self) -> Explanation:
        """Return every candidate of the plan's problem, and which was chosen."""
        return explanation(self.problem, self._algorithm)

    def __repr__(self) -> str:
        isa = f" ({self.isa})" if self.isa else ""
        return f"<Plan {self.problem}: {full_name(self._algorithm)}{isa}>"

    def _repr_html_(self) -> str:
        """Show the plan in a notebook."""
        from html import escape  # nobody else needs it

        rows = {
            "problem": str(self.problem),
            "algorithm": full_name(self._algorithm),
            "isa": self.isa or "",
            "workspace": f"{self.workspace_bytes} bytes",
            "error bound": f"{self.error_bound:.3g}",
        }
        cells = (f"<tr><th>{k}</th><td>{escape(v)}</td></tr>" for k, v in rows.items() if v)
        return f"<table>{''.join(cells)}</table>"


def decline(*arrays: Array | None) -> int:
    """Stand for a quick function where there is none."""
    return 1


def prepare(form: Form, algorithm: Algorithm, w: Array) -> Any:
    """Return `w`, as the caller has it, as `algorithm` wants it."""
    dtype = real_dtype(form.problem.weight_dtype)
    return algorithm.prepare(form.problem, form.w_view(native(w, dtype)))


def execute(
    form: Form,
    algorithm: Algorithm,
    prepared: Any,
    x: Array,
    bias: Array | None,
    residual: Array | None,
    out: Array | None,
) -> Array:
    """Run `algorithm` on the caller's arrays, which were checked before."""
    p = form.problem
    y = empty(form.y_shape, real_dtype(p.out_dtype)) if out is None else out
    if y.size == 0:
        return y
    view = form.y_view(y)
    # Kernels write to aligned memory of the right strides, and see ranges, not elements: arrays
    # that lie between each other's rows are theirs to refuse.
    reads = [a for a in (x, bias, residual) if a is not None]
    is_apart = not any(np.may_share_memory(y, array) for array in reads)
    is_fit = is_apart and y.flags.aligned and np.may_share_memory(view, y)
    target = view if is_fit else np.empty(view.shape, view.dtype)
    added = None if residual is None else form.y_view(residual)
    algorithm.run(p, prepared, form.x_view(native(x, real_dtype(p.dtype))), bias, added, target)
    if not is_fit:
        form.store(target, y)
    return y


def _copied(array: Array | None) -> Array | None:
    return None if array is None else array.copy()
