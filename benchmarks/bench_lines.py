"""asv benchmarks of plans and calls; a regression is named by a line anyone can rerun."""

from __future__ import annotations

import numpy as np
from arguments import arrays, call, plan
from problems import SETS

import convkit as ck


class Lines:
    """Run on every line of one set."""

    param_names = ("problem",)
    timeout = 120

    def setup(self, line: str) -> None:
        self.problem = ck.ConvProblem.parse(line)
        self.x, self.w = arrays(self.problem)
        self.plan = plan(self.problem, self.x, self.w)
        self.out = np.empty_like(self.plan(self.x))

    def time_plan(self, line: str) -> None:
        self.plan(self.x, out=self.out)

    def time_call(self, line: str) -> None:
        call(self.problem, self.x, self.w)

    def peakmem_plan(self, line: str) -> None:
        self.plan(self.x, out=self.out)


class Resnet(Lines):
    params = SETS["resnet"]


class Mobilenet(Lines):
    params = SETS["mobilenet"]


class Image(Lines):
    params = SETS["image"]


class Signal(Lines):
    params = SETS["signal"]


class LongSignal(Lines):
    params = SETS["long_signal"]


class LargeFilter(Lines):
    params = SETS["large_filter"]


class Separable(Lines):
    params = SETS["separable"]


class Bytes(Lines):
    params = SETS["bytes"]


class Volume(Lines):
    params = SETS["volume"]
