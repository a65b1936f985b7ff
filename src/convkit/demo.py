"""What convkit does, on real data: `python -m convkit.demo` prints a table and draws demo.png.

The images and signals are those that ship inside the wheels of scikit-image and matplotlib.
Every result is checked against the float64 reference before it is timed, beside the fastest
of SciPy's (for layers: NumPy's) ways to compute the same; nothing in the table is canned.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import convkit as ck

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array: TypeAlias = NDArray[Any]
Way: TypeAlias = Callable[[], Array]

SECONDS_PER_CASE = 1.2
SAMPLE_SECONDS = 0.005  # long enough for the clock; shorter calls are repeated within a sample
LEAST_ROUNDS = 3
DISPARITIES = 32  # pixels by which the nearest object may move between the two eyes
ORIENTATIONS = 12


# --- data -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Data:
    """What is convolved: images of shape (..., height, width) in [0, 1], a terrain, a signal."""

    photo: Array  # (3, 512, 512)
    retina: Array  # (3, 1411, 1411)
    left: Array  # (500, 741), what a left eye sees
    right: Array
    terrain: Array  # (344, 403), metres
    eeg: Array  # (4, 800)

    def cropped(self, size: int) -> Data:
        """Return the same with no axis longer than `size`."""
        return Data(**{name: array[..., :size, :size] for name, array in vars(self).items()})


def load() -> Data:
    """Return the data that ships inside the wheels of scikit-image and matplotlib."""
    from matplotlib.cbook import get_sample_data
    from skimage import data

    images: Any = data  # untyped, and loaded lazily

    def planes(image: Array) -> Array:
        return np.ascontiguousarray(np.moveaxis(image, -1, 0), dtype="f4") / np.float32(255)

    def grey(image: Array) -> Array:
        return np.asarray(image.mean(axis=-1) / 255, dtype="f4")

    left, right, _ = images.stereo_motorcycle()
    terrain = np.load(get_sample_data("jacksboro_fault_dem.npz", asfileobj=False))
    eeg = np.fromfile(get_sample_data("eeg.dat", asfileobj=False)).reshape(-1, 4)
    return Data(
        planes(images.astronaut()),
        planes(images.retina()),
        grey(left),
        grey(right),
        terrain["elevation"].astype("f8"),
        np.ascontiguousarray(eeg.T, dtype="f4"),
    )


# --- filters --------------------------------------------------------------------------------

SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype="f4")
EMBOSS = np.array([[-2, -1, 0], [-1, 0, 1], [0, 1, 2]], dtype="f4")


def gaussian(size: int, sigma: float, dtype: str = "f4") -> Array:
    """Return a Gaussian of `size` x `size` taps that sum to 1."""
    line = np.exp(-0.5 * (np.arange(size) - size // 2) ** 2 / sigma**2)
    return np.asarray(np.outer(line, line) / line.sum() ** 2, dtype=dtype)


def disc(size: int) -> Array:
    """Return the mean over a disc."""
    row, column = np.mgrid[:size, :size] - size // 2
    inside = row**2 + column**2 <= (size // 2 + 0.3) ** 2
    return np.asarray(inside / inside.sum(), dtype="f4")


def line_detectors(size: int, count: int, sigma: float) -> Array:
    """Return filters, shape (count, 1, size, size), for dark lines of `count` directions."""
    row, column = np.mgrid[:size, :size] - size // 2
    angle = np.pi * np.arange(count)[:, None, None] / count
    across = row * np.cos(angle) - column * np.sin(angle)
    along = row * np.sin(angle) + column * np.cos(angle)
    window = np.exp(-0.5 * (along / (2.2 * sigma)) ** 2)
    lines = (across**2 / sigma**2 - 1) * np.exp(-0.5 * across**2 / sigma**2) * window
    lines -= lines.mean(axis=(1, 2), keepdims=True)
    return np.asarray(lines / np.abs(lines).sum(axis=(1, 2), keepdims=True), dtype="f4")[:, None]


# --- cases ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One convolution and the other ways to compute it."""

    name: str
    x: Array
    w: Array
    rank: int = 2
    options: Mapping[str, Any] = field(
        default_factory=lambda: {"padding": "same", "padding_mode": "reflect"}
    )

    def compute(self, **more: Any) -> Array:
        """Return convkit's answer."""
        convolve = {1: ck.conv1d, 2: ck.conv2d}[self.rank]
        y: Array = convolve(self.x, self.w, **self.options, **more)
        return y

    def reference(self) -> Array:
        """Return the answer of the reference: sums of products in float64."""
        return self.as_float64(self.x, self.w).compute(backend="numpy")

    def magnitude(self) -> Array:
        """Return the sum of the |x| |w| of every output, in which its error is measured."""
        return self.as_float64(np.abs(self.x), np.abs(self.w)).compute()

    def as_float64(self, x: Array, w: Array) -> Case:
        """Return this case with other numbers."""
        return Case(self.name, x.astype("f8"), w.astype("f8"), self.rank, self.options)

    def plan(self) -> ck.Plan:
        """Return the plan that a call of this case would make."""
        make = {1: ck.plan_conv1d, 2: ck.plan_conv2d}[self.rank]
        return make(self.x.shape, self.w, dtype=self.x.dtype, **self.options)

    def others(self) -> dict[str, Way]:
        """Return what a user of SciPy or NumPy would write instead, by name."""
        if self.w.ndim == self.rank:
            return filter_ways(self.x, self.w)
        return layer_ways(self.x, self.w, **self.options)


def filter_ways(x: Array, w: Array) -> dict[str, Way]:
    """Return SciPy's ways to correlate the last axes of x with w, mirrored at the edges."""
    from scipy import ndimage, signal

    axes = tuple(range(-w.ndim, 0))
    taps = w.reshape((1,) * (x.ndim - w.ndim) + w.shape)
    edges = [(n // 2, n // 2) for n in taps.shape]

    def fft() -> Array:
        padded = np.pad(x, edges, mode="reflect")
        return np.asarray(signal.oaconvolve(padded, np.flip(taps), mode="valid", axes=axes))

    ways: dict[str, Way] = {
        "ndimage.correlate": lambda: np.asarray(ndimage.correlate(x, taps, mode="mirror")),
        "signal.oaconvolve": fft,
    }
    if w.ndim == 1:
        ways["ndimage.correlate1d"] = lambda: np.asarray(ndimage.correlate1d(x, w, mode="mirror"))
    elif np.linalg.matrix_rank(w) == 1:
        column = w[:, np.abs(w).sum(axis=0).argmax()]
        row = w[np.abs(column).argmax()] / column[np.abs(column).argmax()]

        def separable() -> Array:
            rows = ndimage.correlate1d(x, row, axis=-1, mode="mirror")
            return np.asarray(ndimage.correlate1d(rows, column, axis=-2, mode="mirror"))

        ways["two correlate1d"] = separable
    return ways


def layer_ways(x: Array, w: Array, stride: int, padding: int) -> dict[str, Way]:
    """Return NumPy's and SciPy's ways to compute a layer: x is (1, C, H, W), w is (O, C, *k)."""
    from scipy import signal

    edges = [(0, 0), (0, 0), (padding, padding), (padding, padding)]

    def matrix() -> Array:
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, edges), w.shape[2:], axis=(2, 3)
        )[:, :, ::stride, ::stride]
        return np.moveaxis(np.tensordot(windows, w, axes=((1, 4, 5), (1, 2, 3))), -1, 1)

    def fft() -> Array:
        taps = w[:, :, ::-1, ::-1]
        full = signal.oaconvolve(np.pad(x, edges), taps, mode="valid", axes=(2, 3))
        return np.asarray(full.sum(axis=1)[None, :, ::stride, ::stride])

    return {"NumPy windows @ w": matrix, "signal.oaconvolve": fft}


def cases(data: Data) -> dict[str, Case]:
    """Return what is computed, checked and timed."""
    rng = np.random.default_rng(0)
    photo = data.photo.mean(axis=0)
    left, right = (
        ck.conv2d(eye, gaussian(5, 1.0), stride=2, padding="same", padding_mode="reflect")
        for eye in (data.left, data.right)
    )
    shifted = np.stack([np.roll(right, shift, axis=1) for shift in range(DISPARITIES)])
    green = data.retina[None, 1:2, ::3, ::3].copy()
    first_layer = rng.standard_normal((64, 3, 7, 7), dtype="f4")
    features = rng.standard_normal((1, 64, *np.minimum(56, data.photo.shape[1:])), dtype="f4")
    layer = rng.standard_normal((64, 64, 3, 3), dtype="f4")
    size = 13
    return {
        "edges": Case("edges: Sobel 3x3", photo, SOBEL),
        "emboss": Case("emboss: 3x3", photo, EMBOSS),
        "blur": Case("blur: Gaussian 17x17, RGB", data.photo, gaussian(17, 3.0)),
        "terrain": Case("terrain: Gaussian 9x9, float64", data.terrain, gaussian(9, 1.2, "f8")),
        "stereo": Case(f"stereo: disc 9x9, {DISPARITIES} planes", np.abs(shifted - left), disc(9)),
        "eeg": Case(
            "EEG: 25 taps, 4 channels", data.eeg, np.hanning(27)[1:-1].astype("f4") / 13, 1
        ),
        "vessels": Case(
            f"vessels: layer 1 to {ORIENTATIONS}, {size}x{size}",
            green,
            line_detectors(size, ORIENTATIONS, 1.7),
            options={"stride": 1, "padding": size // 2},
        ),
        "stem": Case(
            "layer 3 to 64, 7x7, stride 2",
            data.photo[None],
            first_layer,
            options={"stride": 2, "padding": 3},
        ),
        "layer": Case("layer 64 to 64, 3x3", features, layer, options={"stride": 1, "padding": 1}),
    }


# --- checking and timing --------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """A case, checked and timed."""

    case: Case
    y: Array
    error: float  # largest |y - reference| / sum(|x| |w|)
    bound: float  # what convkit promises of it
    threads: tuple[int, ...]
    seconds: tuple[float, ...]  # of convkit, per entry of threads
    other: str
    other_seconds: float

    @property
    def ratios(self) -> tuple[float, ...]:
        """How many times faster convkit is, per entry of threads."""
        return tuple(self.other_seconds / seconds for seconds in self.seconds)


def check(case: Case) -> tuple[Array, Array, float, float]:
    """Return convkit's answer, the reference's, the largest error and its bound."""
    y = case.compute()
    reference = case.reference()
    magnitude = case.magnitude()
    unit = float(np.finfo(y.dtype).eps) / 2
    error = np.abs(y - reference) / np.maximum(magnitude, np.finfo(y.dtype).tiny)
    bound = case.plan().error_bound * unit
    return y, reference, float(error.max()), bound + bound * (y.dtype == reference.dtype)


def medians(
    ways: Mapping[str, Way],
    seconds: float = SECONDS_PER_CASE,
    threads: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """Return the median seconds of each way, measured in turns so that all meet the same noise.

    `threads` names the ways that are to run on another number of threads than is set.
    """
    counts = {name: ck.get_num_threads() for name in ways} | dict(threads or {})
    repeats = {}
    for name, way in ways.items():
        elapsed(way, 1, counts[name])
        repeats[name] = max(1, int(SAMPLE_SECONDS / elapsed(way, 1, counts[name])))
    samples: dict[str, list[float]] = {name: [] for name in ways}
    end = time.perf_counter() + seconds
    rounds = 0
    while time.perf_counter() < end or rounds < LEAST_ROUNDS:
        for name, way in ways.items():
            samples[name].append(elapsed(way, repeats[name], counts[name]))
        rounds += 1
    return {name: median(times) for name, times in samples.items()}


def elapsed(way: Way, repeats: int, threads: int) -> float:
    """Return the seconds of one call, as the mean of a few."""
    with ck.threads(threads):
        start = time.perf_counter()
        for _ in range(repeats):
            way()
        return (time.perf_counter() - start) / repeats


def measure(case: Case, seconds: float = SECONDS_PER_CASE) -> Result:
    """Check a case, find the fastest other way, and time both in turns."""
    y, reference, error, bound = check(case)
    others = case.others()
    other = fastest(others, reference)
    threads = {f"convkit on {plural(n)}": n for n in sorted({1, ck.get_num_threads()})}
    times = medians(
        {**dict.fromkeys(threads, case.compute), other: others[other]}, seconds, threads
    )
    own = tuple(times[name] for name in threads)
    return Result(case, y, error, bound, tuple(threads.values()), own, other, times[other])


def fastest(ways: Mapping[str, Way], expected: Array) -> str:
    """Return the name of the fastest way, having made sure that all compute `expected`."""
    first = {}
    for name, way in ways.items():
        start = time.perf_counter()
        y = way()
        first[name] = time.perf_counter() - start
        if not np.allclose(y, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max()):
            raise AssertionError(f"{name} computes something else")
    close = [name for name in ways if first[name] < 3 * min(first.values())]
    return min(close, key=lambda name: elapsed(ways[name], 1, ck.get_num_threads()))


# --- the table ------------------------------------------------------------------------------


def cpu_name() -> str:
    """Return the name of this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def machine() -> str:
    """Return two lines: what convkit runs on, and which versions were measured."""
    import scipy

    isa = ck.plan_conv2d((8, 8), SOBEL).isa
    return (
        f"{cpu_name()}, ISA {isa}, {plural(ck.get_num_threads())}\n"
        f"convkit {ck.__version__}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, SciPy {scipy.__version__}"
    )


def plural(threads: int) -> str:
    """Return a count of threads in words."""
    return f"{threads} thread{'s' * (threads > 1)}"


def header(threads: tuple[int, ...]) -> str:
    """Return the heading of the table."""
    columns = "".join(f"{plural(count):>10}" for count in threads)
    wide = 10 * len(threads)
    return (
        f"{'':<32}{'convkit, ms':>{wide}}{'SciPy':>10}{'':<21}{'times faster':>{wide}}"
        f"{'largest':>9}{'its':>9}\n"
        f"{'':<32}{columns}{'ms':>10}  {'by':<19}{columns}{'error':>9}{'bound':>9}"
    )


def row(result: Result) -> str:
    """Return a line of the table."""
    times = "".join(f"{1e3 * seconds:>10.3f}" for seconds in result.seconds)
    ratios = "".join(f"{ratio:>10.1f}" for ratio in result.ratios)
    verdict = "" if result.error <= result.bound else "   WRONG"
    return (
        f"{result.case.name:<32}{times}{1e3 * result.other_seconds:>10.3f}  {result.other:<19}"
        f"{ratios}{result.error:>9.1e}{result.bound:>9.1e}{verdict}"
    )


NOTES = """
Medians of runs taken in turns, just now. "SciPy" is the fastest of its ways to the same result,
on the one thread it uses; "NumPy windows @ w" is a matrix product on all cores. An error is
relative to sum(|x| |w|) of its output and was found against the float64 reference."""


# --- the picture ----------------------------------------------------------------------------

INK, FAINT, ACCENT, PALE = "#1c2330", "#8a93a3", "#0b7285", "#9ad1d4"


Panel: TypeAlias = "Callable[[Axes, Data, Mapping[str, Result]], None]"


def photograph(axes: Axes, data: Data, results: Mapping[str, Result]) -> None:
    """Show what is filtered."""
    axes.imshow(np.moveaxis(data.photo, 0, -1))


def blur(axes: Axes, data: Data, results: Mapping[str, Result]) -> None:
    """Show the photograph blurred."""
    axes.imshow(np.moveaxis(results["blur"].y, 0, -1).clip(0, 1))


def edges(axes: Axes, data: Data, results: Mapping[str, Result]) -> None:
    """Show the strength of edges as brightness, their direction as hue."""
    from matplotlib.colors import hsv_to_rgb

    across = results["edges"].y
    down = ck.conv2d(results["edges"].case.x, SOBEL.T, padding="same", padding_mode="reflect")
    strength = np.hypot(across, down)
    hue = (np.arctan2(down, across) / (2 * np.pi)) % 1
    value = (strength / np.quantile(strength, 0.985)).clip(0, 1) ** 0.8
    axes.imshow(hsv_to_rgb(np.stack([hue, np.full_like(hue, 0.55), value], axis=-1)))


def emboss(axes: Axes, data: Data, results: Mapping[str, Result]) -> None:
    """Show the photograph as a relief."""
    axes.imshow(results["emboss"].y, cmap="gray", vmin=-1.1, vmax=1.1)


def terrain(axes: Axes, data: Data, results: Mapping[str, Result]) -> None:
    """Show the smoothed elevation, lit from the north-west."""
    import matplotlib as mpl

    height = results["terrain"].y
    slope = SOBEL.astype("f8") / (8 * 30)  # metres a metre: the grid is of about 30 m
    east = ck.conv2d(height, slope, padding="same", padding_mode="replicate")
    south = ck.conv2d(height, slope.T, padding="same", padding_mode="replicate")
    light = (1 + 1.6 * (east + south)) / np.sqrt(1 + 2.5 * (east**2 + south**2))
    span = (height - height.min()) / np.ptp(height)
    colours = mpl.colormaps["gist_earth"](0.28 + 0.62 * span)[..., :3]
    axes.imshow((colours * light[..., None]).clip(0, 1))


def vessels(axes: Axes, data: Data, results: Mapping[str, Result]) -> None:
    """Show the largest answer of all line detectors inside the eye."""
    answer = results["vessels"].y[0].max(axis=0)
    red = data.retina[0, ::3, ::3]
    inside = ck.conv2d(red, disc(21), padding="same", padding_mode="replicate") > 0.3
    answer = np.where(inside, answer, 0)
    axes.imshow(answer, cmap="inferno", vmin=0, vmax=np.quantile(answer, 0.995))


def stereo(axes: Axes, data: Data, results: Mapping[str, Result]) -> None:
    """Show at which shift the two views agree best: the nearer, the larger."""
    import matplotlib as mpl

    shift = results["stereo"].y.argmin(axis=0)
    colours = mpl.colormaps["turbo"](shift / DISPARITIES)[..., :3]
    axes.imshow(colours * (0.3 + 0.7 * data.left[::2, ::2, None]))


def eeg(axes: Axes, data: Data, results: Mapping[str, Result]) -> None:
    """Show the raw channels and the smoothed ones on top."""
    offset = 0.6 * np.ptp(data.eeg, axis=-1).max() * np.arange(len(data.eeg))[:, None]
    centred = -data.eeg.mean(axis=-1, keepdims=True) - offset
    axes.plot((data.eeg + centred).T, color=FAINT, linewidth=0.4)
    axes.plot((results["eeg"].y + centred).T, color=ACCENT, linewidth=1.4)
    axes.margins(x=0)


PANELS: tuple[tuple[str, str, Panel], ...] = (
    ("Photograph", "512 x 512, RGB", photograph),
    ("Blur", "Gaussian, 17 x 17 taps", blur),
    ("Edges", "Sobel, 3 x 3; hue is direction", edges),
    ("Emboss", "3 x 3 taps", emboss),
    ("Terrain", "elevation smoothed, shaded from north-west", terrain),
    ("Vessels of a retina", "12 filters of 13 x 13, the largest answer", vessels),
    ("Depth from two eyes", "32 shifts, each compared over a disc", stereo),
    ("Brain waves", "EEG, 25-tap Hann window", eeg),
)

# Of the figure, in inches.
WIDTH, MARGIN, GAP, TITLE, LABELS, BAR_ROW = 12.0, 0.35, 0.3, 0.62, 2.5, 0.3
COLUMNS = 4
SIDE = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS


def draw(data: Data, results: Mapping[str, Result]) -> Figure:
    """Return the figure: what was computed above, how fast below."""
    from matplotlib.figure import Figure

    rows = len(PANELS) // COLUMNS
    bars = BAR_ROW * len(results)
    total = rows * (SIDE + TITLE) + TITLE + bars + 1.5 * MARGIN
    figure = Figure(figsize=(WIDTH, total), facecolor="white")

    def frame(left: float, top: float, width: float, height: float) -> Axes:
        box = (left / WIDTH, 1 - (top + height) / total, width / WIDTH, height / total)
        axes = figure.add_axes(box, xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return axes

    for index, (title, note, panel) in enumerate(PANELS):
        row, column = divmod(index, COLUMNS)
        left = MARGIN + column * (SIDE + GAP)
        axes = frame(left, (row + 1) * TITLE + row * SIDE, SIDE, SIDE)
        panel(axes, data, results)
        entitle(axes, title, note)
        for image in axes.images:
            crop_to_square(axes, *image.get_size())
    top = rows * (SIDE + TITLE) + TITLE + MARGIN / 2
    axes = frame(LABELS, top, WIDTH - LABELS - 2 * MARGIN, bars)
    speed_ups(axes, results)
    note = f"SciPy's fastest way to the same result · {machine().splitlines()[0]}"
    entitle(axes, "Times faster than SciPy", note, left=(MARGIN - LABELS) * 72)
    return figure


def entitle(axes: Axes, title: str, note: str, left: float = 0) -> None:
    """Write a title and a note above `axes`, `left` points from its edge."""
    bold: dict[str, Any] = {"fontsize": 11, "fontweight": "bold", "color": INK}
    faint: dict[str, Any] = {"fontsize": 8, "color": FAINT}
    for text, height, style in ((title, 19, bold), (note, 6, faint)):
        axes.annotate(text, (0, 1), (left, height), "axes fraction", "offset points", **style)


def crop_to_square(axes: Axes, rows: int, columns: int) -> None:
    """Show the largest square in the middle of an image."""
    side = min(rows, columns)
    axes.set_xlim((columns - side) / 2 - 0.5, (columns + side) / 2 - 0.5)
    axes.set_ylim((rows + side) / 2 - 0.5, (rows - side) / 2 - 0.5)


def speed_ups(axes: Axes, results: Mapping[str, Result]) -> None:
    """Draw how many times faster than SciPy each case was, per number of threads."""
    shown = list(results.values())
    threads = shown[0].threads
    height = 0.76 / len(threads)
    for index, count in enumerate(threads):
        places = [place + (index - (len(threads) - 1) / 2) * height for place in range(len(shown))]
        ratios = [result.ratios[index] for result in shown]
        bars = axes.barh(
            places,
            ratios,
            height,
            color=ACCENT if count == threads[-1] else PALE,
            label=f"convkit on {plural(count)}",
        )
        axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=7, color=INK)
    axes.axvline(1, color=INK, linewidth=0.8)
    axes.text(1, len(shown) - 0.4, "SciPy", fontsize=7, color=INK, ha="center", va="top")
    axes.set_xscale("log")
    axes.set_xticks([], minor=True)
    axes.set_xticks([])
    axes.set_yticks(range(len(shown)), [result.case.name for result in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.tick_params(length=0, labelsize=8, labelcolor=INK)
    axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower right")


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; return 1 if a result is further from the reference than its bound."""
    parser = argparse.ArgumentParser(prog="python -m convkit.demo", description=__doc__)
    parser.add_argument("--picture", type=Path, default=Path("demo.png"), help="where to draw to")
    picture: Path = parser.parse_args(arguments).picture

    print(f"{machine()}\n")
    data = load()
    results: dict[str, Result] = {}
    for name, case in cases(data).items():
        results[name] = measure(case)
        if len(results) == 1:
            print(header(results[name].threads))
        print(row(results[name]), flush=True)
    print(NOTES)
    draw(data, results).savefig(picture, dpi=130)
    print(f"\nPicture: {picture}")
    wrong = [result.case.name for result in results.values() if result.error > result.bound]
    if wrong:
        print(f"Errors beyond their bound: {', '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
