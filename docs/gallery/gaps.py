"""A day of temperatures with gaps: three ways to smooth what is not all there.

`python docs/gallery/gaps.py` draws gallery_gaps.png and prints how many values each way loses.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import scipy.signal
from drawing import options, save

import convkit as ck


def telemetry(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `count` temperatures of a day: the true ones, and what was received of them."""
    rng = np.random.default_rng(1)
    hours = np.linspace(0, 24, count)
    true = 14 - 6 * np.cos(2 * np.pi * (hours - 3) / 24) + 0.8 * np.sin(hours)
    received = true + 0.7 * rng.standard_normal(count)
    received[rng.random(count) < 0.01] = np.nan  # single values
    for begin, minutes in ((5.0, 12), (9.5, 35), (17.2, 20)):  # the sender was out of reach
        received[(hours >= begin) & (hours < begin + minutes / 60)] = np.nan
    return true, received


def draw(x: np.ndarray, ways: dict[str, np.ndarray]) -> plt.Figure:
    """Draw what was received and what each way makes of it."""
    hours = np.linspace(0, 24, len(x))
    figure, axes = plt.subplots(
        len(ways), 1, figsize=(4.8, 6.4), dpi=160, sharex=True, sharey=True, layout="constrained"
    )
    for ax, (title, y) in zip(axes, ways.items(), strict=True):
        ax.fill_between(hours, 5, 24, where=np.isnan(x), color="#f3d9c4", linewidth=0)
        ax.plot(hours, x, ".", color="#bbbbbb", markersize=1.5)
        ax.plot(hours, y, color="#0072b2", linewidth=2)
        ax.set_title(title, loc="left", fontsize=11)
        ax.set(xlim=(0, 24), ylim=(5, 24), ylabel="°C")
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1].set(xlabel="hour", xticks=range(0, 25, 6))
    return figure


def main() -> None:
    """Smooth, count what is lost, draw."""
    given = options(__doc__)

    true, x = telemetry(720 if given.quick else 1440)
    window = np.hanning(47)[1:-1]
    window /= window.sum()
    spoilt = ck.convolve(x, window, "same", boundary="reflect")
    filled = ck.convolve(x, window, "same", boundary="reflect", nan_policy="omit")
    by_fft = scipy.signal.oaconvolve(x, window, "same")

    # What "omit" means: sums over what is there, divided by the taps that met it.
    is_there = ~np.isnan(x)
    sums = ck.convolve(np.where(is_there, x, 0), window, "same", boundary="reflect")
    met = ck.convolve(is_there.astype(float), window, "same", boundary="reflect")
    assert np.allclose(filled, sums / met)
    middle = slice(22, -22)  # beyond the edges SciPy has zeros, not the reflection
    reached = np.convolve(np.isnan(x), np.ones(45), "same") > 0
    assert np.array_equal(np.isnan(spoilt)[middle], reached[middle])

    ways = {
        "NaN spreads (the default)": spoilt,
        'nan_policy="omit"': filled,
        "scipy.signal.oaconvolve": by_fft,
    }
    lost = {name: np.isnan(y).mean() for name, y in ways.items()}
    for name, share in lost.items():
        print(f"{name:26s} {share:6.1%} missing")
    print(f"largest error within a gap: {np.abs(filled - true)[~is_there].max():.2f} degrees")
    figure = draw(x, {f"{name}: {lost[name]:.0%} missing": y for name, y in ways.items()})
    save(figure, given.folder / "gallery_gaps.png")


if __name__ == "__main__":
    main()
