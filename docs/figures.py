"""The figures of pictures.md: `python docs/figures.py [folder]` writes them to docs/pictures/.

Every number in them is computed by convkit. They are drawn for the width of a phone: 768 pixels,
no text below 10 points at 4.8 inches.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from gallery.drawing import PICTURES, save
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

import convkit as ck
from convkit.compat import ndimage

WIDTH, DPI = 4.8, 160
INK, GREY, PAPER = "#222222", "#777777", "#f4f4f4"
# Okabe and Ito's colours, which differ to colour-blind eyes as well; light ones lie under digits.
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
SKY, YELLOW = "#b8dff5", "#f7eea0"
TAPS = (SKY, YELLOW, "#f6c9a8", "#a9dfcd")

plt.rcParams.update({"font.size": 11, "font.family": "DejaVu Sans", "text.color": INK})
plt.rcParams.update({"axes.edgecolor": GREY, "xtick.color": INK, "ytick.color": INK})


# --- rows of cells --------------------------------------------------------------------------


def sheet(columns: float, rows: float) -> tuple[Figure, Axes]:
    """Return a page on which a cell is one unit, row 0 on top."""
    figure = plt.figure(figsize=(WIDTH, WIDTH * rows / columns), dpi=DPI)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, columns), ylim=(rows, 0), aspect="equal")
    ax.axis("off")
    return figure, ax


def cell(
    ax: Axes, column: float, row: float, value: object, colour: str = SKY, *, solid: bool = True
) -> None:
    """Draw one element; what is not there, such as padding, has a dashed edge."""
    edge = {"edgecolor": INK, "linewidth": 1.0} if solid else {"edgecolor": GREY, "linestyle": ":"}
    ax.add_patch(Rectangle((column + 0.04, row + 0.04), 0.92, 0.92, facecolor=colour, **edge))
    ax.text(column + 0.5, row + 0.53, str(value), ha="center", va="center")


def cells(ax: Axes, column: float, row: float, values: Sequence[object], colour: str = SKY) -> None:
    """Draw elements that stand side by side."""
    for i, value in enumerate(values):
        cell(ax, column + i, row, value, colour)


def note(ax: Axes, column: float, row: float, text: str, **style: object) -> None:
    """Write a line that starts at `column` and is centred on `row`."""
    ax.text(column, row + 0.53, text, **{"ha": "left", "va": "center", **style})


def frame(ax: Axes, column: float, row: float, width: float, colour: str = RED) -> None:
    """Draw the outline of a filter that lies on a row."""
    box = FancyBboxPatch(
        (column + 0.02, row - 0.06),
        width - 0.04,
        1.12,
        boxstyle="round,pad=0,rounding_size=0.2",
        facecolor="none",
        edgecolor=colour,
        linewidth=2.6,
        zorder=3,
    )
    ax.add_patch(box)


# --- the figures ----------------------------------------------------------------------------


def sizes() -> Figure:
    """Draw what full, same and valid keep."""
    x, w = np.arange(1, 7), np.ones(3, int)
    figure, ax = sheet(11.2, 16.4)
    left = 2.7
    note(ax, 0.2, 0.1, "w = [1, 1, 1], at its first and its last place")
    for top, padding in zip((1.4, 6.6, 11.8), ("valid", "same", "full"), strict=True):
        pads = {"valid": 0, "same": 1, "full": 2}[padding]
        y = ck.conv1d(x, w, padding=padding)
        note(
            ax, 0.2, top, f'padding="{padding}":  {len(x)} inputs, {len(y)} outputs', weight="bold"
        )
        note(ax, 0.2, top + 1.3, "x")
        note(ax, 0.2, top + 3.1, "y")
        cells(ax, left, top + 1.3, x)
        for i in range(pads):
            cell(ax, left - 1 - i, top + 1.3, 0, "white", solid=False)
            cell(ax, left + len(x) + i, top + 1.3, 0, "white", solid=False)
        first = left - pads
        frame(ax, first, top + 1.3, len(w))
        frame(ax, first + len(y) - 1, top + 1.3, len(w), BLUE)
        cells(ax, first + 1, top + 3.1, y, PAPER)
        for at, colour in ((first + 1.5, RED), (first + len(y) + 0.5, BLUE)):
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.8}
            ax.annotate("", (at, top + 3.1), (at, top + 2.36), arrowprops=arrow)
    return figure


def steps() -> Figure:
    """Draw where the taps lie with stride, dilation and input dilation."""
    w = np.ones(3, int)
    cases = (
        ("stride=2: the filter takes steps of 2", np.arange(1, 8), {"stride": 2}),
        ("dilation=2: its taps stand 2 apart", np.arange(1, 8), {"dilation": 2}),
        ("input_dilation=2: the inputs do", np.arange(1, 5), {"input_dilation": 2}),
    )
    figure, ax = sheet(11.2, 3 * 2.6 + 3 + 3 + 5 + 0.9)
    top = 0.0
    for title, x, keywords in cases:
        y = ck.conv1d(x, w, **keywords)
        spread = keywords.get("input_dilation", 1)
        note(ax, 0.2, top, title, weight="bold")
        note(ax, 0.2, top + 1.2, "x")
        for i in range(spread * (len(x) - 1) + 1):
            is_input = i % spread == 0
            value = x[i // spread] if is_input else 0
            cell(ax, 1.5 + i, top + 1.2, value, SKY if is_input else "white", solid=is_input)
        note(ax, 9.6, top + 1.2, "y")
        for out, total in enumerate(y):
            row = top + 2.45 + out
            for tap in range(len(w)):
                at = out * keywords.get("stride", 1) + tap * keywords.get("dilation", 1)
                cell(ax, 1.5 + at, row, "w", YELLOW)
            cell(ax, 9.3, row, total, PAPER)
        top += 3.1 + len(y)
    return figure


def padding() -> Figure:
    """Draw what each padding mode puts beyond the edge."""
    modes = ("zeros", "reflect", "symmetric", "replicate", "circular", ("constant", 9))
    x = np.arange(1, 6)
    colours = dict(
        zip(range(1, 6), ("#dceef8", "#b8dff5", "#86c5ea", "#f6d38b", ORANGE), strict=True)
    )
    figure, ax = sheet(11.4, 6 * 2.25 + 0.1)
    for i, mode in enumerate(modes):
        row = 2.25 * i
        y = ck.conv1d(x, [1], padding=3, padding_mode=mode)
        said = mode if isinstance(mode, tuple) else f'"{mode}"'
        note(ax, 0.2, row, str(said).replace("'", '"'), weight="bold")
        for at, value in enumerate(y):
            inside = 3 <= at < 8
            cell(ax, 0.2 + at, row + 1, value, colours.get(value, "white"), solid=inside)
        frame(ax, 3.2, row + 1, 5, INK)
    return figure


R = """
11110
10001
11110
10100
10010
"""


def padding_image() -> Figure:
    """Draw an image continued by each padding mode."""
    letter = np.array([[int(c) for c in line] for line in R.split()])
    image = np.pad(np.kron(letter, np.ones((3, 3))), 2)
    image = image * 0.6 + np.linspace(0, 0.4, image.shape[1])
    modes = ("zeros", "reflect", "symmetric", "replicate", "circular", ("constant", 1.0))
    figure, axes = plt.subplots(3, 2, figsize=(WIDTH, 7.6), dpi=DPI)
    pad, size = 12, len(image)
    for ax, mode in zip(axes.flat, modes, strict=True):
        shown = ck.conv2d(image, [[1.0]], padding=pad, padding_mode=mode)
        ax.imshow(shown, cmap="cividis", vmin=0, vmax=1)
        corner = (pad - 0.5, pad - 0.5)
        ax.add_patch(Rectangle(corner, size, size, fill=False, edgecolor="white", linewidth=2.5))
        ax.add_patch(Rectangle(corner, size, size, fill=False, edgecolor=RED, linewidth=1.5))
        said = mode if isinstance(mode, tuple) else f'"{mode}"'
        ax.set_title(str(said).replace("'", '"'), fontsize=11)
        ax.axis("off")
    figure.subplots_adjust(0.02, 0.01, 0.98, 0.95, wspace=0.05, hspace=0.14)
    return figure


def flip() -> Figure:
    """Draw what convolution and correlation make of an impulse."""
    x, v = np.array([0, 0, 0, 1, 0, 0, 0]), np.array([1, 2, 3])
    figure, ax = sheet(11.2, 10.4)
    colours = {0: "white", **dict(zip(v.tolist(), TAPS, strict=False))}
    rows = (
        ("an impulse, and a filter", x, {1: SKY, 0: "white"}),
        ('ck.convolve(x, v, "same")', ck.convolve(x, v, "same"), colours),
        ('ck.correlate(x, v, "same")', ck.correlate(x, v, "same"), colours),
        ('ck.conv1d(x, v, padding="same")', ck.conv1d(x, v, padding="same"), colours),
    )
    for i, (title, values, tint) in enumerate(rows):
        row = 2.6 * i
        note(ax, 0.2, row, title, weight="bold")
        for at, value in enumerate(values.tolist()):
            cell(ax, 0.2 + at, row + 1.1, value, tint[value])
        said = ("", "the filter as it is", "the filter reversed", "reversed, too")[i]
        words = {"fontsize": 10, "color": GREY}
        note(ax, 7.5, row + 1.1, said.replace("the filter ", "the filter\n"), **words)
    for at, tap in enumerate(v.tolist()):
        cell(ax, 7.9 + at, 1.1, tap, colours[tap])
    return figure


def centre() -> Figure:
    """Draw which inputs an output of an even filter is made of, by the function's name."""
    letters = "abcd"
    size, at = 9, 4
    impulses = np.eye(size)

    def taps(function: Callable[..., np.ndarray]) -> list[str]:
        """Name the tap with which each input enters output `at`."""
        weights = [function(impulse, np.arange(1.0, 5.0))[at] for impulse in impulses]
        return [letters[round(w) - 1] if w else "" for w in weights]

    rows = (
        ('ck.convolve(x, v, "same")', lambda x, v: ck.convolve(x, v, "same")),
        ('ck.correlate(x, v, "same")', lambda x, v: ck.correlate(x, v, "same")),
        ('ck.conv1d(x, v, padding="same")', lambda x, v: ck.conv1d(x, v, padding="same")),
        ("ndimage.correlate1d(x, v)", lambda x, v: ndimage.correlate1d(x, v, mode="constant")),
        (
            "ndimage.correlate1d(x, v, origin=-1)",
            lambda x, v: ndimage.correlate1d(x, v, mode="constant", origin=-1),
        ),
        ("ndimage.convolve1d(x, v)", lambda x, v: ndimage.convolve1d(x, v, mode="constant")),
    )
    height = 2.3 * len(rows) + 2.9
    figure, ax = sheet(11.2, height)
    note(ax, 0.2, 0.2, "v")
    for i, letter in enumerate(letters):
        cell(ax, 1.1 + i, 0.2, letter, TAPS[i])
    note(ax, 5.7, 0.2, "which x make y[i]:")
    ax.axvspan(1.1 + at, 2.1 + at, 0, 1 - 1.7 / height, color="#e8e8e8", zorder=0)
    for column in range(size):
        said = f"i{column - at:+d}" if column != at else "i"
        ax.text(1.6 + column, 2.25, said, ha="center", va="center", fontsize=10)
    for i, (title, function) in enumerate(rows):
        row = 2.8 + 2.3 * i
        note(ax, 0.2, row, title, weight="bold")
        for column, letter in enumerate(taps(function)):
            colour = TAPS[letters.index(letter)] if letter else "white"
            cell(ax, 1.1 + column, row + 1, letter, colour, solid=bool(letter))
    return figure


def separable() -> Figure:
    """Draw a filter that is an outer product, and what each way costs."""
    line = np.array([1, 4, 6, 4, 1])
    both = np.outer(line, line)
    image = np.random.default_rng(0).integers(0, 255, (40, 40))
    in_two = ck.conv2d(ck.conv2d(image, line[:, None]), line[None])
    assert np.array_equal(ck.conv2d(image, both), in_two)

    figure, ax = sheet(11.2, 17.4)
    note(ax, 0.2, 0, "25 products for each output ...", weight="bold")
    tints = dict(
        zip(
            sorted({*both.flat}),
            ("#eef7fc", "#d5ebf7", SKY, "#9bd0ee", "#7cc0e6", "#5fb1df"),
            strict=True,
        )
    )
    for i, row in enumerate(both.tolist()):
        for j, value in enumerate(row):
            cell(ax, 4.2 + j, 3.1 + i, value, tints[value])
    for i, value in enumerate(line.tolist()):
        cell(ax, 2.2, 3.1 + i, value, YELLOW)
        cell(ax, 4.2 + i, 1.5, value, YELLOW)
    note(ax, 9.5, 4.9, "= column\n   x row", fontsize=10)
    note(ax, 0.2, 8.3, "... or 5 down the columns and 5 along the rows", weight="bold")

    sizes = np.array([3, 5, 9, 17, 33, 65])
    chart = figure.add_axes((0.18, 0.085, 0.79, 0.36))
    dense = [ck.plan_conv2d((100, 100), np.ones((k, k))).problem for k in sizes]
    column = [ck.plan_conv2d((100, 100), np.ones((k, 1))).problem for k in sizes]
    chart.loglog(sizes, [p.macs / np.prod(p.out_size) for p in dense], "o-", color=RED)
    chart.loglog(sizes, [2 * p.macs / np.prod(p.out_size) for p in column], "s-", color=BLUE)
    chart.set_xticks(sizes, [str(k) for k in sizes])
    chart.minorticks_off()
    chart.set(xlabel="taps on a side", ylabel="products for an output")
    chart.set_yticks([10, 100, 1000], ["10", "100", "1000"])
    chart.text(13, 420, "all at once: k x k", color=RED, ha="right")
    chart.text(14, 15, "axis by axis: 2 k", color=BLUE)
    chart.spines[["top", "right"]].set_visible(False)
    return figure


def overlap_save() -> Figure:
    """Draw a signal filtered block by block, each block with the end of the one before."""
    rng = np.random.default_rng(3)
    n, k, n_fft = 168, 25, 80
    hop = n_fft - (k - 1)
    t = np.arange(n)
    x = np.sin(t / 9) + np.sin(t / 23) + 0.25 * rng.standard_normal(n)
    v = np.hanning(k + 2)[1:-1]
    v /= v.sum()
    padded = np.pad(x, (k - 1, 0))
    whole = ck.convolve(x, v)[:n]

    figure, axes = plt.subplots(5, 1, figsize=(WIDTH, 7.4), dpi=DPI, sharex=True)
    span = (-k - 1, n + 1)
    axes[0].plot(t, x, color=INK, linewidth=1)
    axes[0].set_title("x, and the blocks it is cut into", fontsize=11, loc="left")
    for i, colour in enumerate((BLUE, ORANGE, GREEN)):
        start = i * hop
        at = np.arange(start, start + n_fft) - (k - 1)
        block = padded[start : start + n_fft]
        # A product of spectra wraps around: it is a circular convolution of the block.
        wrapped = np.roll(ck.convolve(block, v, "same", boundary="circular"), (k - 1) // 2)
        good = slice(k - 1, None)
        assert np.allclose(wrapped[good], whole[at[good]])
        bar = -2.75 - 0.55 * i
        axes[0].plot(at[[0, -1]], [bar, bar], color=colour, linewidth=5, solid_capstyle="butt")
        ax = axes[1 + i]
        ax.axvspan(at[0], at[k - 1], color="#e4e4e4")
        ax.plot(at[:k], wrapped[:k], color=RED, linewidth=1.5, linestyle=":")
        ax.plot(at[good], wrapped[good], color=colour, linewidth=2)
        said = f"block {i + 1}: {n_fft} in, spectrum times spectrum, {hop} out"
        ax.set_title(said, fontsize=11, loc="left")
        axes[4].plot(at[good], wrapped[good], color=colour, linewidth=2.5)
    axes[1].text(4, -1.6, "wrapped around: dropped", va="center", fontsize=10, color=RED)
    axes[4].set_title("the pieces, side by side, are y", fontsize=11, loc="left")
    for ax in axes:
        ax.set(xlim=span, ylim=(-2.6, 2.6))
        ax.axis("off")
    axes[0].set_ylim(-4.2, 2.6)
    figure.subplots_adjust(0.02, 0.01, 0.98, 0.96, hspace=0.28)
    return figure


FIGURES = (sizes, steps, padding, padding_image, flip, centre, separable, overlap_save)


def main() -> None:
    """Draw every figure."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    for figure in FIGURES:
        save(figure(), folder / f"{figure.__name__}.png")


if __name__ == "__main__":
    main()
