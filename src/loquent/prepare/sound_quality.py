"""How good a recording of speech is: loudness, clipping, pauses, noise between the words."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

_BLOCK = 320
"""Samples per block: 20 ms at 16 kHz."""
_SILENCE_DB = -70.0
"""Blocks below this count as digital silence: they say nothing about the noise of the room."""


@dataclass(frozen=True)
class SoundQuality:
    """Figures of a recording; levels in decibels below full scale."""

    speech_level_db: float
    """Mean power of the blocks that are speech."""
    noise_level_db: float
    """Level of the quietest tenth of the recording."""
    pause_share: float
    """Share of the time without speech."""
    clipped_share: float
    """Share of the samples that sit at full scale in runs of three or more."""

    @property
    def speech_over_noise_db(self) -> float:
        """How far speech stands out of the room."""
        return self.speech_level_db - self.noise_level_db


def measure_sound(waveform: Float[np.ndarray, "samples"]) -> SoundQuality:
    """Measure a recording of speech at 16 kHz in [-1, 1]; silence gives a speech level of -120 dB."""
    n_blocks = len(waveform) // _BLOCK
    if n_blocks == 0:
        return SoundQuality(-120.0, -120.0, 1.0, 0.0)
    blocks = waveform[: n_blocks * _BLOCK].reshape(n_blocks, _BLOCK).astype(np.float64)
    level_db = 10 * np.log10(np.square(blocks).mean(axis=1) + 1e-12)
    loud_db = float(np.percentile(level_db, 95))
    if loud_db < _SILENCE_DB:
        return SoundQuality(-120.0, -120.0, 1.0, 0.0)
    room_db = float(np.percentile(level_db[level_db > _SILENCE_DB], 10))
    # Speech falls by some 25 dB between its loud vowels and its soft consonants; pauses lie below that, or near the room.
    is_speech = level_db > max(loud_db - 25.0, room_db + 0.35 * (loud_db - room_db))
    if not is_speech.any():  # an even hum
        is_speech = level_db >= loud_db
    speech_db = float(10 * np.log10(np.mean(10 ** (level_db[is_speech] / 10))))
    # Pauses shorter than 0.2 s belong to fluent speech.
    heard = np.convolve(is_speech, np.ones(11), "same") > 0
    return SoundQuality(speech_db, room_db, float(1 - heard.mean()), _clipped_share(waveform))


def _clipped_share(waveform: Float[np.ndarray, "samples"]) -> float:
    """Samples in runs of three or more near the largest value that occurs, if that is close to full scale."""
    at_top = np.abs(waveform) > 0.985
    runs = at_top[:-2] & at_top[1:-1] & at_top[2:]
    return float(runs.sum()) / max(1, len(waveform))
