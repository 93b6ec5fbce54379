"""The voice: silent in pauses, resonant where it should be, in step with the lips."""

import numpy as np
import pytest

from loquent.actor.phones import PHONES
from loquent.actor.script import make_script
from loquent.actor.voice import speak


@pytest.fixture(scope="module")
def spoken():
    script = make_script(16.0, seed=0)
    return script, speak(script)


def _middle(sound, item, rate=16000):
    quarter = (item.end_s - item.start_s) / 4
    return sound[int((item.start_s + quarter) * rate) : int((item.end_s - quarter) * rate)]


def test_length_range_and_repeatability(spoken):
    script, sound = spoken
    assert sound.dtype == np.float32
    assert sound.shape == (16 * 16000,)
    assert 0.3 < np.abs(sound).max() < 1.0
    assert np.array_equal(sound, speak(script))
    assert speak(script, 22050).shape == (16 * 22050,)


def test_pauses_are_silent_and_vowels_are_not(spoken):
    script, sound = spoken
    pauses = [
        np.sqrt(np.mean(_middle(sound, s) ** 2)) for s in script.spoken if s.phone == "_" and s.end_s - s.start_s > 0.2
    ]
    vowels = [np.sqrt(np.mean(_middle(sound, s) ** 2)) for s in script.spoken if s.phone in "aeiou"]
    assert len(pauses) > 2
    assert max(pauses) < 1e-3
    assert min(vowels) > 0.03


def test_fricatives_are_brighter_than_vowels(spoken):
    script, sound = spoken

    def centroid(phones):
        values = []
        for item in script.spoken:
            if item.phone in phones:
                piece = _middle(sound, item)
                power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2
                values.append((power * np.fft.rfftfreq(len(piece), 1 / 16000)).sum() / power.sum())
        return np.median(values)

    assert centroid("s") > 4000 > 1500 > centroid("aeiou")


def test_a_vowel_resonates_at_its_formants():
    """The strongest band of a stressed "a" lies about its first two resonances, of an "i" below 450 Hz."""
    script = make_script(60.0, seed=0)
    sound = speak(script)
    for phone, low, high in (("a", 450, 1500), ("i", 90, 450)):
        power = np.zeros(2048)
        for item in script.spoken:
            if item.phone == phone and item.stress == 1.0:
                power += np.abs(np.fft.rfft(_middle(sound, item), 4095)) ** 2
        hz = np.arange(2048) * 16000 / 4095
        assert power[(hz > low) & (hz < high)].sum() > 0.6 * power[hz > 60].sum(), phone
        assert low < PHONES[phone].formants_hz[0] < high


def test_the_mouth_opens_with_the_sound(spoken):
    script, sound = spoken
    loudness = np.sqrt(np.mean(sound.reshape(script.n_frames, -1).astype(float) ** 2, axis=1))
    loudness = np.convolve(loudness, np.ones(3) / 3, mode="same")
    assert np.corrcoef(loudness, script.shapes[:, 0])[0, 1] > 0.5


def test_people_have_voices_of_their_own():
    """The commonest period of seed 0's voice is longer than that of seed 1's."""

    def pitch(seed):
        script = make_script(8.0, seed)
        sound, found = speak(script).astype(float), []
        for item in script.spoken:
            if item.phone in "aeo" and item.end_s - item.start_s > 0.09:
                piece = _middle(sound, item)
                match = np.correlate(piece, piece, "full")[len(piece) - 1 :]
                found.append(16000 / (45 + np.argmax(match[45:230])))
        return np.median(found)

    assert 85 < pitch(0) < 150 < pitch(1) < 270
