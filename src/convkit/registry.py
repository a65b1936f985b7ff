"""Finds the algorithms: every module of every folder of backends/ holds one."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from convkit import backends
from convkit.algorithm import Algorithm
from convkit.errors import BackendUnavailableError


@cache
def backend_names() -> tuple[str, ...]:
    """Names of the backend folders; listing them imports none."""
    return tuple(m.name for m in pkgutil.iter_modules(backends.__path__) if m.ispkg)


@cache
def algorithms(backend: str) -> tuple[Algorithm, ...]:
    """Return the algorithms of `backend`, importing it on first use.

    Raises
    ------
    BackendUnavailableError
        If this installation or this machine does not have it.
    """
    if backend not in backend_names():
        raise BackendUnavailableError(
            f"backend={backend!r} is not part of this installation, which has "
            f"{', '.join(backend_names())}"
        )
    package = importlib.import_module(f"{backends.__name__}.{backend}")
    modules = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    public = (m.name for m in modules if not m.name.rpartition(".")[2].startswith("_"))
    return tuple(importlib.import_module(name).ALGORITHM for name in public)
