"""Mel-frequency cepstral coefficients as the package python_speech_features computes them and published networks expect.

25 ms windows without a window function every 10 ms, pre-emphasis 0.97, 512-point spectrum, 26 triangular bands from 0 Hz to
half the sample rate, orthonormal cosine transform, lifter 22, and the first coefficient replaced by the logarithm of the
window's energy.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.fft import dct

from loquent.media.rates import SAMPLE_RATE_HZ

HOP, WINDOW, FFT_SIZE = 160, 400, 512
N_BANDS, LIFTER, PRE_EMPHASIS = 26, 22, 0.97
_BLOCK = 4096
"""Windows whose spectra are in memory at a time."""


def mfcc(samples: Float[np.ndarray, "samples"], n_coefficients: int) -> Float[np.ndarray, "steps coefficients"]:
    """Coefficients at 100 Hz; step j covers the 25 ms from j / 100 s on, the last is padded with zeros.

    Args:
        samples: one channel at 16 kHz on the scale of 16-bit integers, -32768 to 32767.
        n_coefficients: how many are kept, at most 26.
    """
    n_steps = 1 + max(0, math.ceil((samples.size - WINDOW) / HOP))
    flattened = np.zeros((n_steps - 1) * HOP + WINDOW)
    flattened[: samples.size] = samples
    flattened[1 : samples.size] -= PRE_EMPHASIS * samples[:-1]
    windows = np.lib.stride_tricks.sliding_window_view(flattened, WINDOW)[::HOP]
    blocks = [_coefficients(windows[start : start + _BLOCK], n_coefficients) for start in range(0, n_steps, _BLOCK)]
    return np.concatenate(blocks)


def _coefficients(
    windows: Float[np.ndarray, "steps 400"], n_coefficients: int
) -> Float[np.ndarray, "steps coefficients"]:
    power = np.square(np.abs(np.fft.rfft(windows, FFT_SIZE))) / FFT_SIZE
    smallest = np.finfo(float).eps  # stands for zero, which has no logarithm
    energy, bands = power.sum(axis=1), power @ _bands().T
    logarithms = np.log(np.where(bands == 0, smallest, bands))
    lifted = dct(logarithms, type=2, axis=1, norm="ortho")[:, :n_coefficients]
    lifted = lifted * (1 + LIFTER / 2 * np.sin(np.pi * np.arange(n_coefficients) / LIFTER))
    lifted[:, 0] = np.log(np.where(energy == 0, smallest, energy))
    return np.asarray(lifted)


@lru_cache(maxsize=1)
def _bands() -> Float[np.ndarray, "26 257"]:
    """Triangles between bins that are evenly spaced on the mel scale."""
    highest_mel = 2595 * np.log10(1 + SAMPLE_RATE_HZ / 2 / 700)
    hertz = 700 * (10 ** (np.linspace(0, highest_mel, N_BANDS + 2) / 2595) - 1)
    corners = np.floor((FFT_SIZE + 1) * hertz / SAMPLE_RATE_HZ)
    bins = np.arange(FFT_SIZE // 2 + 1)
    low, middle, high = (corners[k : k + N_BANDS, None] for k in range(3))
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return np.where(bins < middle, rising, falling).clip(0)
