"""Convolution for NumPy arrays, on native SIMD kernels.

>>> import numpy as np, convkit as ck
>>> ck.conv1d(np.arange(6.0), np.array([1.0, 0.0, -1.0]))
array([-2., -2., -2., -2.])
"""

from __future__ import annotations

from convkit.config import show_config, version
from convkit.errors import BackendUnavailableError, ConvkitError, ShapeError, UnsupportedError
from convkit.functional import conv1d, conv2d, conv3d, plan_conv1d, plan_conv2d, plan_conv3d
from convkit.plan import Plan
from convkit.problem import ConvProblem
from convkit.selector import explain, set_workspace_limit
from convkit.signal import convolve, correlate, plan_convolve, plan_correlate
from convkit.streaming import StreamingConvolver
from convkit.threads import get_num_threads, set_num_threads, threads
from convkit.transposed import (
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    plan_conv_transpose1d,
    plan_conv_transpose2d,
    plan_conv_transpose3d,
)

__all__ = [
    "BackendUnavailableError",
    "ConvProblem",
    "ConvkitError",
    "Plan",
    "ShapeError",
    "StreamingConvolver",
    "UnsupportedError",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convolve",
    "correlate",
    "explain",
    "get_num_threads",
    "plan_conv1d",
    "plan_conv2d",
    "plan_conv3d",
    "plan_conv_transpose1d",
    "plan_conv_transpose2d",
    "plan_conv_transpose3d",
    "plan_convolve",
    "plan_correlate",
    "set_num_threads",
    "set_workspace_limit",
    "show_config",
    "threads",
]


def __getattr__(name: str) -> str:
    """Look the version up when it is asked for, which takes longer than importing convkit."""
    if name == "__version__":
        return version("convkit-native")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
