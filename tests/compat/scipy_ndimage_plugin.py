"""A pytest plugin that puts the drop-ins in the place of SciPy's filters, before tests are read.

Run by test_ndimage.py in a process of its own: `pytest -p scipy_ndimage_plugin --pyargs
scipy.ndimage.tests.test_filters`. Tests of other functions are deselected. At the end it writes to
$CONVKIT_REPORT how often each drop-in was called and how each test ended. With $CONVKIT_PLANT only
the tests of `PLANTED` run, in each of which one drop-in is wrong by one.
"""

from __future__ import annotations

import functools
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from scipy._lib import _array_api

from convkit.compat import ndimage as drop_ins

ORIGINALS = {name: getattr(scipy.ndimage, name) for name in drop_ins.__all__}
# Functions of scipy.ndimage that convkit has no drop-in for, and tests of nothing else.
OTHERS = {
    function
    for name in scipy.ndimage.__all__
    if callable(function := getattr(scipy.ndimage, name)) and name not in ORIGINALS
}
OTHER_TESTS = {
    "generic_filter": ("test_generic_filter01", "test_generic_filter_axes", "test_ticket_701"),
    "generic_filter1d": ("test_generic_filter1d01",),
    "generic filters": ("test_valid_origins1",),
    "maximum_filter": (
        *(f"test_maximum_filter{i:02}" for i in range(1, 10)),
        "test_footprint_all_zeros",
    ),
    "minimum_filter": (
        *(f"test_minimum_filter{i:02}" for i in range(1, 10)),
        "test_minimum_filter05_overlap",
    ),
    "minimum and maximum filters": (
        *("test_minmaximum_filter1d", "test_minmax_filter", "test_minmax_nonseparable_axes"),
        *("test_gh_22250", "test_gh_22333"),
    ),
    "rank_filter": (
        *(f"test_rank{i:02}" for i in range(1, 20)),
        *("test_rank06_overlap", "test_rank_filter_noninteger_rank"),
        *("test_gh_22586_crash_property", "test_gh_23075", "test_gh_23075_constant"),
    ),
    "median_filter": (
        *("test_median_filter", "test_median_filter_lim2", "test_byte_order_median"),
        "test_size_footprint_both_set",
    ),
    "vectorized_filter": (
        *("test_against_generic_filter", "test_dtype_batch_memory", "test_mode_valid"),
        *("test_input_validation", "test_zero_size", "test_edge_cases"),
        *("test_gh23046_feature", "test_gh23046_fix"),
    ),
    "private functions": ("test_gaussian_kernel1d",),
}
OTHER_NAMES = {name for names in OTHER_TESTS.values() for name in names}

PLANTED = {
    "test_extend05": "correlate",
    "test_correlate05": "convolve",
    "test_extend01": "correlate1d",
    "test_correlate06": "convolve1d",
    "test_gauss01": "gaussian_filter",
    "test_orders_gauss": "gaussian_filter1d",
    "test_uniform04": "uniform_filter",
    "test_uniform01": "uniform_filter1d",
    "test_multiple_modes_prewitt": "prewitt",
    "test_multiple_modes_sobel": "sobel",
    "test_multiple_modes_laplace": "laplace",
    "test_multiple_modes_gaussian_laplace": "gaussian_laplace",
    "test_multiple_modes_gaussian_gradient_magnitude": "gaussian_gradient_magnitude",
    "test_generic_laplace01": "generic_laplace",
    "test_generic_gradient_magnitude01": "generic_gradient_magnitude",
}
IS_PLANTED = bool(os.environ.get("CONVKIT_PLANT"))

calls: Counter[str] = Counter()
outcomes: dict[str, str] = {}
wrong: set[str] = set()


def counted(name: str) -> Any:
    """Return the drop-in of that name, counting its calls, and wrong where it is to be."""
    function = getattr(drop_ins, name)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        calls[name] += 1
        y = function(*args, **kwargs)
        if name in wrong:
            y[...] = np.add(y, 1).astype(y.dtype)
        return y

    return call


for name, original in ORIGINALS.items():
    patched = counted(name)
    _array_api.xp_capabilities_table[patched] = _array_api.xp_capabilities_table[original]
    setattr(scipy.ndimage, name, patched)


def is_of_others(item: Any) -> bool:
    """Whether a test, or the function that a parametrized test is run with, is not ours."""
    values = item.callspec.params.values() if hasattr(item, "callspec") else ()
    functions = [value for value in values if callable(value)]
    return item.originalname in OTHER_NAMES or any(f in OTHERS for f in functions)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Keep the tests of patched functions."""
    items[:] = [item for item in items if not is_of_others(item)]
    if IS_PLANTED:
        items[:] = [item for item in items if item.originalname in PLANTED]


def pytest_runtest_setup(item: Any) -> None:
    """Make one drop-in wrong."""
    wrong.clear()
    if IS_PLANTED:
        wrong.add(PLANTED[item.originalname])


def pytest_runtest_logreport(report: Any) -> None:
    """Note how a test ended."""
    if report.when == "call" or report.outcome != "passed":
        outcomes[report.nodeid] = report.outcome


def pytest_sessionfinish() -> None:
    """Write the report."""
    report = {"calls": calls, "outcomes": outcomes}
    Path(os.environ["CONVKIT_REPORT"]).write_text(json.dumps(report))
