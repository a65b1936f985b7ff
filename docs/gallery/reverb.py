"""Speech in a large room: a filter of 1.5 seconds at 48 kHz, 72,000 taps.

`python docs/gallery/reverb.py` draws gallery_reverb.png and prints how long each way took.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import scipy.signal
from drawing import options, save

import convkit as ck

RATE = 48_000  # samples per second
BLOCK = 256  # samples that a sound card hands over at a time: 5.3 ms
# The first three resonances of a mouth, in Hz, as it says a, e, i, o, u.
VOWELS = (
    (800, 1200, 2500),
    (400, 2000, 2600),
    (280, 2300, 3000),
    (450, 800, 2600),
    (320, 800, 2300),
)


def speech(seconds: float) -> np.ndarray:
    """Return vowels, four in three seconds: pulses of a throat, which ring in a mouth."""
    t = np.arange(int(seconds * RATE)) / RATE
    pitch = 110 + 25 * np.sin(2 * np.pi * t / 2.2)  # Hz
    pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0).astype("f4")
    syllable = (t / 0.75).astype(int)
    loudness = np.sin(np.pi * np.clip((t / 0.75 % 1) / 0.6, 0, 1)) ** 0.5
    ring = np.arange(int(0.03 * RATE)) / RATE
    voice = np.zeros_like(pulses)
    for i, formants in enumerate(VOWELS):
        mouth = sum(np.sin(2 * np.pi * f * ring) * np.exp(-90 * ring) for f in formants)
        said = pulses * loudness * (syllable % len(VOWELS) == i)
        voice += ck.convolve(said.astype("f4"), mouth.astype("f4"))[: len(t)]
    return voice / np.abs(voice).max()


def room(seconds: float) -> np.ndarray:
    """Return the impulse response of a hall: the sound itself, then echoes that fade by 60 dB."""
    t = np.arange(int(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(t))
    echoes = 0.02 * noise * 10 ** (-3 * t / seconds)
    echoes[: RATE // 50] = 0  # the nearest wall is 3 metres away
    echoes[0] = 1
    return echoes.astype("f4")


def milliseconds(work: Callable[[], object]) -> float:
    """Return the least time of five that `work` took."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def live(dry: np.ndarray, hall: np.ndarray) -> np.ndarray:
    """Return the sound in the hall, made block by block as it is spoken."""
    stream = ck.StreamingConvolver(hall, block=BLOCK)
    pieces = [stream.push(dry[i : i + BLOCK]) for i in range(0, len(dry), BLOCK)]
    return np.concatenate([*pieces, stream.flush()])


def draw(dry: np.ndarray, wet: np.ndarray) -> plt.Figure:
    """Draw what sounds when, before and after."""
    figure, axes = plt.subplots(2, figsize=(4.8, 4.8), dpi=130, sharex=True, layout="constrained")
    for ax, sound, title in zip(axes, (dry, wet), ("as spoken", "in the hall"), strict=True):
        start = sound[: 3 * RATE]
        ax.specgram(start, NFFT=4096, Fs=RATE, noverlap=3072, vmin=-115, vmax=-35, cmap="cividis")
        ax.set(ylim=(0, 4000), ylabel="Hz", title=title)
    axes[1].set_xlabel("seconds")
    return figure


def main() -> None:
    """Filter, compare, draw."""
    given = options(__doc__)

    dry, hall = speech(4.0 if given.quick else 60.0), room(0.5 if given.quick else 1.5)
    plan = ck.plan_convolve(dry.shape, hall)
    wet = plan(dry)
    expected = scipy.signal.oaconvolve(dry, hall)
    for result in (wet, live(dry, hall)):
        assert np.allclose(result, expected, rtol=0, atol=1e-5 * np.abs(expected).max())

    print(f"{len(dry) / RATE:.0f} s of sound, {len(hall)} taps, {plan.algorithm}")
    print(f"convkit, {ck.get_num_threads()} threads     {milliseconds(lambda: plan(dry)):7.1f} ms")
    with ck.threads(1):
        print(f"convkit, 1 thread      {milliseconds(lambda: plan(dry)):7.1f} ms")
    scipys = milliseconds(lambda: scipy.signal.oaconvolve(dry, hall))
    print(f"SciPy's oaconvolve     {scipys:7.1f} ms")
    blocks = -(-len(dry) // BLOCK)
    each = 1e3 * milliseconds(lambda: live(dry, hall)) / blocks
    print(f"live: {each:.0f} us for each block of {1e6 * BLOCK / RATE:.0f} us")
    save(draw(dry, wet), given.folder / "gallery_reverb.png")


if __name__ == "__main__":
    main()
