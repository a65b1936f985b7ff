"""Errors a caller may want to catch.

::

    ConvkitError
     +-- ShapeError                also a ValueError: the arguments do not fit together
     +-- UnsupportedError          also a NotImplementedError: no algorithm takes this problem
     +-- BackendUnavailableError   also a RuntimeError: a backend or device cannot be used here

A wrong kind of argument (a float as stride, an array of strings) is a plain TypeError, a wrong
value that is no matter of shapes (an unknown padding mode) a plain ValueError, and an array that
cannot fit any memory a MemoryError.
"""

from __future__ import annotations

__all__ = ["BackendUnavailableError", "ConvkitError", "ShapeError", "UnsupportedError"]


class ConvkitError(Exception):
    """Base class of the errors that convkit defines."""


class ShapeError(ConvkitError, ValueError):
    """The arguments do not fit together."""


class UnsupportedError(ConvkitError, NotImplementedError):
    """No algorithm takes this problem; the message says why each one refused."""


class BackendUnavailableError(ConvkitError, RuntimeError):
    """A backend or device cannot be used here; the message says what is missing."""
