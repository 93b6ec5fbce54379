"""Log-mel energies: the speech features that need no download and no training.

Step j is the spectrum of the 40 ms around j / 50 s under a Hann window, in bands evenly spaced on the mel scale
(Stevens, Volkmann and Newman 1937, in O'Shaughnessy's formula), on a natural logarithmic scale with a floor, and
shifted and scaled by two fixed numbers, so that speech has mean about 0 and variance about 1. How loud a file is does
not matter: it is first brought to a common speech level (`speech_gain`).
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loquent.media.audio import resample
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.speech.kinds import SpeechKind, speech_kind

HOP = 320
WINDOW = 640
FFT_SIZE = 1024
LOWEST_HZ, HIGHEST_HZ = 60.0, 7600.0

SPEECH_LEVEL = 0.06
"""Root mean square to which speech is brought, about -24 dB below full scale."""
QUIETEST_LEVEL = 10 ** (-65 / 20)
"""Blocks below this root mean square never count as speech."""
SPEECH_RANGE = 10 ** (-15 / 20)
"""Blocks within 15 dB of the loud ones count as speech."""
MOST_GAIN = 10 ** (30 / 20)
"""The level is changed by at most 30 dB, so that the noise of a silent file is not blown up into speech."""

POWER_FLOOR = 1e-9
"""Added to the mean square in a band: about 65 dB below speech. Digital silence gives exactly this."""
MEAN, SCALE = -15.5, 3.5
"""Fixed shift and scale of the logarithm."""


class LogMel:
    """Computes the kind ``"log_mel"``."""

    @property
    def kind(self) -> SpeechKind:
        """Which kind it computes."""
        return speech_kind("log_mel")

    def extract(self, waveform: Float[np.ndarray, "samples"], sample_rate_hz: int) -> Float[Tensor, "steps width"]:
        """Features of a whole sound in [-1, 1], brought to a common loudness; ceil(seconds * 50) steps."""
        if sample_rate_hz != SAMPLE_RATE_HZ:
            waveform = resample(waveform.astype(np.float32), sample_rate_hz, SAMPLE_RATE_HZ)
        stream = LogMelStream(gain=speech_gain(waveform))
        return torch.cat([stream.push(waveform), stream.finish()])


class LogMelStream:
    """Features of a sound that arrives in chunks of any size; the same numbers as for the whole sound with the same gain."""

    def __init__(self, *, gain: float = 1.0):
        """`gain` multiplies the sound; `speech_gain` of some seconds of it is a good one."""
        self._gain = gain
        self._waiting = torch.zeros(WINDOW // 2)  # the sound from half a window before the next step on
        self._n_samples = 0
        self._n_steps = 0

    def push(self, chunk: Float[np.ndarray, "samples"]) -> Float[Tensor, "steps width"]:
        """Add samples at 16 kHz; returns the steps whose window is now complete, perhaps none."""
        self._n_samples += chunk.size
        fresh = torch.from_numpy(np.ascontiguousarray(chunk, np.float32)) * self._gain
        self._waiting = torch.cat([self._waiting, fresh])
        return self._ready(max(0, (self._waiting.numel() - WINDOW) // HOP + 1))

    def finish(self) -> Float[Tensor, "steps width"]:
        """The last steps, as if silence followed."""
        n_left = -(-self._n_samples // HOP) - self._n_steps
        missing = (n_left - 1) * HOP + WINDOW - self._waiting.numel()
        self._waiting = torch.cat([self._waiting, torch.zeros(max(0, missing))])
        return self._ready(n_left)

    def _ready(self, n_steps: int) -> Float[Tensor, "steps width"]:
        if n_steps == 0:
            return torch.zeros(0, speech_kind("log_mel").width)
        windows = self._waiting.unfold(0, WINDOW, HOP)[:n_steps]
        self._waiting = self._waiting[n_steps * HOP :]
        self._n_steps += n_steps
        return log_energies(windows)


def speech_gain(waveform: Float[np.ndarray, "samples"]) -> float:
    """The factor that brings the speech in a sound to the common level.

    The level of speech is the root mean square over its blocks of 40 ms that are within 15 dB of the loud ones (90th
    percentile of all that are not silent) and not much above them: pauses, however long, and single knocks or clicks do
    not move it. A file without any sound is left as it is.
    """
    n_blocks = waveform.size // WINDOW
    blocks = waveform[: n_blocks * WINDOW].reshape(n_blocks, WINDOW) if n_blocks else waveform[None]
    levels = np.sqrt(np.mean(blocks.astype(np.float64) ** 2, axis=1)) if waveform.size else np.zeros(1)
    audible = levels[levels > QUIETEST_LEVEL]
    if audible.size == 0:
        return 1.0
    loud = float(np.percentile(audible, 90))
    speech = audible[(audible > loud * SPEECH_RANGE) & (audible < loud * 2)]
    level = float(np.sqrt(np.mean(speech**2)))
    return float(np.clip(SPEECH_LEVEL / level, 1 / MOST_GAIN, MOST_GAIN))


def log_energies(windows: Float[Tensor, "steps samples"]) -> Float[Tensor, "steps width"]:
    """Log-mel energies of each stretch of sound, shifted and scaled; at most `FFT_SIZE` samples at 16 kHz."""
    n_samples = windows.shape[1]
    fft_size = 1 << (n_samples - 1).bit_length()
    window = torch.hann_window(n_samples)
    spectrum = torch.fft.rfft(windows * window, fft_size)
    # Divided so that the sum over all bins (both halves) is the mean square of the windowed sound.
    power = spectrum.abs().square() * (2 / (fft_size * window.square().sum()))
    return (torch.log(power @ mel_bands(fft_size) + POWER_FLOOR) - MEAN) / SCALE


@lru_cache(maxsize=2)
def mel_bands(fft_size: int = FFT_SIZE) -> Float[Tensor, "bins width"]:
    """Weights of triangular bands, evenly spaced and of even width on the mel scale, each with its peak at 1."""
    n_bands = speech_kind("log_mel").width
    edges = _hertz(np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), n_bands + 2))
    bins = np.arange(fft_size // 2 + 1)[:, None] * SAMPLE_RATE_HZ / fft_size
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    return 700 * (10 ** (mel / 2595) - 1)


__all__ = ["LogMel", "LogMelStream", "log_energies", "mel_bands", "speech_gain"]
