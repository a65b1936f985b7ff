"""Four channels of an EEG, smoothed by a low-pass filter and by Savitzky and Golay's.

The drop-ins of convkit.compat.signal are called as SciPy's functions are, with SciPy's result.
`python docs/gallery/eeg.py` draws gallery_eeg.png.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import scipy.signal
from drawing import options, save
from matplotlib.cbook import get_sample_data

from convkit.compat import signal

RATE = 80  # samples per second
CUTOFF = 5  # Hz


def low_pass(taps: int) -> np.ndarray:
    """Return a windowed sinc that lets pass what is slower than CUTOFF; its taps sum to 1."""
    t = np.arange(taps) - (taps - 1) / 2
    line = np.sinc(2 * CUTOFF / RATE * t) * np.hamming(taps)
    return line / line.sum()


def draw(eeg: np.ndarray, smooth: np.ndarray, fitted: np.ndarray) -> plt.Figure:
    """Draw every channel with its two smooth versions."""
    seconds = np.arange(len(eeg)) / RATE
    figure, axes = plt.subplots(4, figsize=(4.8, 6.4), dpi=160, sharex=True, layout="constrained")
    for channel, ax in enumerate(axes):
        ax.plot(seconds, eeg[:, channel], color="#bbbbbb", linewidth=1.2)
        ax.plot(seconds, smooth[:, channel], color="#0072b2", linewidth=1.8)
        ax.plot(seconds, fitted[:, channel], "--", color="#d55e00", linewidth=1.4)
        ax.set(xlim=(4, 7), yticks=[], ylabel=f"channel {channel + 1}")
        ax.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel("seconds")
    names = ["as recorded", "low-pass, 31 taps", "Savitzky-Golay, 11 taps"]
    figure.legend(axes[0].lines, names, loc="outside upper left", frameon=False)
    return figure


def main() -> None:
    """Smooth, compare, draw."""
    given = options(__doc__)

    eeg = np.fromfile(get_sample_data("eeg.dat", asfileobj=False)).reshape(800, 4)
    taps = low_pass(31)
    smooth = signal.convolve(eeg, taps[:, np.newaxis], mode="same")
    fitted = signal.savgol_filter(eeg, window_length=11, polyorder=3, axis=0)

    assert np.allclose(smooth, scipy.signal.convolve(eeg, taps[:, np.newaxis], mode="same"))
    assert np.allclose(fitted, scipy.signal.savgol_filter(eeg, 11, 3, axis=0))
    save(draw(eeg, smooth, fitted), given.folder / "gallery_eeg.png")


if __name__ == "__main__":
    main()
