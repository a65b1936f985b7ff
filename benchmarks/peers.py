"""Time problem lines beside SciPy and PyTorch: `python benchmarks/peers.py resnet --threads 1`.

Medians of runs taken in turns. PyTorch runs on as many threads as convkit; SciPy uses one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from arguments import Array, arrays, plan
from problems import SETS

import convkit as ck
from convkit.demo import cpu_name, medians

# What numpy.pad and scipy.ndimage call each padding mode.
NUMPY_MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
}
SCIPY_MODES = {
    "zeros": "constant",
    "reflect": "mirror",
    "symmetric": "reflect",
    "replicate": "nearest",
    "circular": "wrap",
}


def scipy_way(problem: ck.ConvProblem, x: Array, w: Array) -> Callable[[], Array] | None:
    """Return how SciPy computes a filter of one channel, if the line is one."""
    if (
        problem.reduction * problem.groups != np.prod(problem.kernel_size)
        or problem.out_channels > 1
    ):
        return None
    if problem.out_size != problem.in_size or problem.boundary[0] not in SCIPY_MODES:
        return None
    try:
        from scipy import ndimage
    except ImportError:
        return None
    mode = SCIPY_MODES[str(problem.boundary[0])]
    if problem.macs > 1e9:
        return lambda: padded_convolution(problem, x, w)
    return lambda: ndimage.correlate(x, w, mode=mode)


def padded_convolution(problem: ck.ConvProblem, x: Array, w: Array) -> Array:
    """Return SciPy's way for large filters: pad, then transform block by block."""
    from scipy import signal

    mode = NUMPY_MODES[str(problem.boundary[0])]
    padded = np.pad(x, [(0, 0), (0, 0), *problem.padding], mode)
    flipped = np.flip(w, tuple(range(2, w.ndim)))
    return signal.oaconvolve(padded, flipped, "valid", axes=tuple(range(2, w.ndim)))


def torch_way(problem: ck.ConvProblem, x: Array, w: Array) -> Callable[[], Array] | None:
    """Return how PyTorch computes the line, padding included."""
    try:
        import torch
    except ImportError:
        return None
    if problem.macs > 1e11 or problem.dtype != problem.out_dtype or problem.dtype[0] == "u":
        return None
    torch.set_num_threads(ck.get_num_threads())
    function = getattr(torch.nn.functional, f"conv{problem.rank}d")
    a, b = torch.from_numpy(x), torch.from_numpy(w)
    before = tuple(before for before, _ in problem.padding)
    zeros = set(problem.boundary) == {"zeros"} and all(b == a for b, a in problem.padding)
    options = {"stride": problem.stride, "dilation": problem.dilation, "groups": problem.groups}
    if zeros:
        return lambda: function(a, b, padding=before, **options).numpy()
    mode = NUMPY_MODES[str(problem.boundary[0])]
    edges = [(0, 0), (0, 0), *problem.padding]
    return lambda: function(torch.from_numpy(np.pad(x, edges, mode)), b, **options).numpy()


def main() -> None:
    """Print a line of times per problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="+", help=f"problem lines, or sets: {', '.join(SETS)}")
    parser.add_argument("--threads", type=int, default=ck.get_num_threads())
    parser.add_argument("--seconds", type=float, default=1.0, help="to measure for, per line")
    options = parser.parse_args()
    ck.set_num_threads(options.threads)
    print(f"{cpu_name()}, {options.threads} threads, convkit {ck.__version__}")
    print(f"{'ms: convkit':>12}{'scipy':>10}{'torch':>10}{'ratio':>8}{'GFLOP/s':>9}")
    for line in (line for name in options.what for line in SETS.get(name, (name,))):
        problem = ck.ConvProblem.parse(line)
        x, w = arrays(problem)
        planned = plan(problem, x, w)
        out = planned(x)
        ways = {"convkit": lambda p=planned, x=x, out=out: p(x, out=out)}
        for name, way in (("scipy", scipy_way), ("torch", torch_way)):
            found = way(problem, x, w)
            if found is not None:
                np.testing.assert_allclose(found(), out, rtol=1e-3, atol=1e-3 * np.abs(out).max())
                ways[name] = found
        times = medians(ways, options.seconds)
        peers = {name: time for name, time in times.items() if name != "convkit"}
        columns = "".join(
            f"{1e3 * peers[name]:>10.3f}" if name in peers else f"{'':>10}"
            for name in ("scipy", "torch")
        )
        ratio = f"{min(peers.values()) / times['convkit']:.2f}" if peers else ""
        speed = 2e-9 * problem.macs / times["convkit"]
        print(
            f"{1e3 * times['convkit']:>12.3f}{columns}{ratio:>8}{speed:>9.1f}  {line}", flush=True
        )


if __name__ == "__main__":
    main()
