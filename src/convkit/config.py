"""What this installation is made of."""

from __future__ import annotations

from convkit import registry, selector
from convkit.errors import BackendUnavailableError
from convkit.threads import get_num_threads

# What a report about a wrong or slow result needs to name.
LIBRARIES = ("convkit-native", "numpy", "scipy", "numba", "pyfftw", "ml_dtypes")


def show_config() -> None:
    """Print versions, instruction set, threads, backends and caches.

    It is what a bug report should contain. All backends are imported, to see which can be.

    Examples
    --------
    >>> import convkit as ck
    >>> ck.show_config()  # doctest: +ELLIPSIS
    convkit-native ...
    """
    import platform  # here, as importlib.metadata below: they would double the import time

    limit = selector.workspace_limit()
    rows = {
        **{name: version(name) for name in LIBRARIES},
        "python": f"{platform.python_version()} on {platform.machine()} ({platform.system()})",
        "threads": str(get_num_threads()),
        **{f"backend {name}": _state(name) for name in registry.backend_names()},
        "workspace limit": "none" if limit == selector.NO_LIMIT else f"{limit} bytes",
        "remembered decisions": str(len(selector.remembered)),
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))


def version(distribution: str) -> str:
    """Return the version of what is installed under that name."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def _state(backend: str) -> str:
    """Return the algorithms of a backend, or why there are none."""
    try:
        names = ", ".join(a.name for a in registry.algorithms(backend))
    except BackendUnavailableError as error:
        return f"unavailable: {error}"
    if backend != "native":
        return names
    from convkit.backends.native import isa

    return f"{names} ({isa()})"
