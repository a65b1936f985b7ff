"""A hundred megapixels through a filter of 101 x 101 taps, with little memory beside the image.

`python docs/gallery/megapixels.py` draws gallery_megapixels.png and prints time and memory.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from drawing import options, save
from scipy.ndimage import correlate

import convkit as ck

MB = 1e6


def city(size: int) -> np.ndarray:
    """Return a night sky of single lights, shape (size, size): one tile, many times."""
    rng = np.random.default_rng(2)
    tile = np.zeros((500, 500), "f4")
    rows, columns = rng.integers(0, 500, (2, 60))
    tile[rows, columns] = rng.lognormal(0, 1, 60)
    image = np.empty((size, size), "f4")
    for row in range(0, size, 500):
        for column in range(0, size, 500):
            image[row : row + 500, column : column + 500] = np.rot90(tile, rng.integers(4))
    return image


def aperture(size: int) -> np.ndarray:
    """Return what a lens makes of a point when out of focus: the hexagon of its blades."""
    row, column = np.mgrid[:size, :size] - size // 2
    distance = np.max(
        [np.abs(row * np.cos(a) + column * np.sin(a)) for a in np.pi / 3 * np.arange(3)], axis=0
    )
    inside = distance < 0.43 * size
    return (inside / inside.sum()).astype("f4")


def peak_memory() -> float:
    """Return the most memory that this process has held, in bytes, as Linux tells it."""
    # Not getrusage: a child of a large process begins with what its parent held.
    status = Path("/proc/self/status").read_text()
    return 1024.0 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


def draw(sharp: np.ndarray, blurred: np.ndarray) -> plt.Figure:
    """Draw a corner, before and after."""
    figure, axes = plt.subplots(1, 2, figsize=(4.8, 2.7), dpi=160, layout="constrained")
    spread = ck.conv2d(sharp, np.ones((7, 7), "f4"), padding="same")  # a pixel is too small to see
    for ax, image, title in zip(axes, (spread, blurred), ("in focus", "out of focus"), strict=True):
        ax.imshow(image, cmap="inferno", vmin=0, vmax=np.quantile(image, 0.997))
        ax.set_title(title, fontsize=11)
        ax.axis("off")
    return figure


def main() -> None:
    """Filter, measure, compare a part, draw a corner."""
    given = options(__doc__)

    image, lens = city(2500 if given.quick else 10_000), aperture(101)
    out = np.zeros_like(image)
    out += 1  # touch it, so that what follows is not counted as the filter's
    plan = ck.plan_convolve(image.shape, lens, "same", boundary="reflect")

    before = peak_memory()
    start = time.perf_counter()
    plan(image, out=out)
    seconds = time.perf_counter() - start
    grown = peak_memory() - before

    pixels = image.size / 1e6
    print(f"{pixels:.0f} megapixels, {image.nbytes / MB:.0f} MB, 101 x 101 taps: {plan.algorithm}")
    print(f"{seconds:.2f} s, {1e9 * seconds / image.size:.1f} ns a pixel")
    print(f"workspace {plan.workspace_bytes / MB:.1f} MB, memory grew by {grown / MB:.1f} MB")
    assert grown < plan.workspace_bytes + 8 * MB

    part = correlate(image[:300, :300], lens[::-1, ::-1], mode="mirror")[:240, :240]
    assert np.allclose(out[:240, :240], part, rtol=0, atol=1e-5 * part.max())
    save(draw(image[:600, :600], out[:600, :600]), given.folder / "gallery_megapixels.png")


if __name__ == "__main__":
    main()
