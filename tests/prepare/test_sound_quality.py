"""Levels, pauses and clipping of sounds made for the purpose."""

import numpy as np
import pytest
from jaxtyping import Float32

from loquent.prepare.sound_quality import measure_sound


def tone(seconds: float, level_db: float) -> Float32[np.ndarray, "samples"]:
    time_s = np.arange(int(seconds * 16000)) / 16000
    return (np.sqrt(2) * 10 ** (level_db / 20) * np.sin(2 * np.pi * 200 * time_s)).astype(np.float32)


def talk(pause: float, room_db: float = -60.0) -> Float32[np.ndarray, "samples"]:
    """Ten seconds; the first `pause` of each second is room, the rest a voice of -20 dB."""
    voice, rng = tone(10, -20.0), np.random.default_rng(0)
    second = np.arange(len(voice)) % 16000 / 16000
    room = 10 ** (room_db / 20) * rng.normal(size=len(voice))
    return (np.where(second < pause, 0, voice) + room).astype(np.float32)


def test_levels() -> None:
    quality = measure_sound(talk(0.5))
    assert quality.speech_level_db == pytest.approx(-20, abs=0.5)
    assert quality.noise_level_db == pytest.approx(-60, abs=1)
    assert quality.speech_over_noise_db == pytest.approx(40, abs=1.5)


@pytest.mark.parametrize("room_db", [-60.0, -45.0, -35.0])
def test_pauses_are_found_in_quiet_and_noisy_rooms(room_db: float) -> None:
    # Of each pause the 0.1 s next to speech belong to fluent speech.
    assert measure_sound(talk(0.6, room_db)).pause_share == pytest.approx(0.4, abs=0.05)
    assert measure_sound(talk(0.1, room_db)).pause_share < 0.02


def test_silence() -> None:
    for silence in (np.zeros(16000, np.float32), np.zeros(10, np.float32), np.full(16000, 1e-5, np.float32)):
        quality = measure_sound(silence)
        assert quality.speech_level_db == -120.0
        assert quality.pause_share == 1.0


def test_digital_silence_does_not_count_as_a_quiet_room() -> None:
    waveform = talk(0.5, room_db=-40.0)
    waveform[:80000] = 0
    assert measure_sound(waveform).noise_level_db == pytest.approx(-40, abs=1.5)


def test_even_hum_is_measured() -> None:
    assert measure_sound(tone(2, -30.0)).speech_level_db == pytest.approx(-30, abs=0.5)


def test_clipping() -> None:
    loud = tone(2, 0.0)
    assert measure_sound(np.clip(loud, -1, 1)).clipped_share > 0.2
    assert measure_sound(0.68 * loud).clipped_share == 0.0
