"""Which frames are silent, and how open the mouth is in them."""

import numpy as np
import pytest

from loquent.evaluation.silence import opening_in_silence, silent_frames

RATE_HZ, FPS = 16000, 25.0


def test_frames_well_inside_a_pause_are_silent() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 3 * RATE_HZ).astype(np.float32)
    sound[RATE_HZ : 2 * RATE_HZ] *= 0.01  # -40 dB from 1 s to 2 s
    silent = np.flatnonzero(silent_frames(sound, RATE_HZ, np.arange(75), FPS))
    times = silent / FPS
    assert times.min() == pytest.approx(1.1, abs=0.05)
    assert times.max() == pytest.approx(1.9, abs=0.05)
    assert len(silent) == silent[-1] - silent[0] + 1


def test_a_pause_of_little_contrast_and_frames_beyond_the_sound_are_not_silence() -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ).astype(np.float32)
    sound[RATE_HZ:] *= 0.2  # -14 dB
    assert not silent_frames(sound, RATE_HZ, np.arange(200), FPS).any()
    assert not silent_frames(np.zeros(0, np.float32), RATE_HZ, np.arange(5), FPS).any()


def test_digital_silence_is_silence() -> None:
    assert silent_frames(np.zeros(RATE_HZ, np.float32), RATE_HZ, np.arange(5, 20), FPS).all()


def test_the_opening_is_the_mean_over_silent_frames_with_a_face() -> None:
    opening = np.array([0.9, 0.1, 0.2, np.nan, 0.3, 0.1, 0.3])
    is_silent = np.array([False, True, True, True, True, True, True])
    assert opening_in_silence(opening, is_silent) == pytest.approx(0.2)
    is_silent[1] = False
    assert opening_in_silence(opening, is_silent) is None
