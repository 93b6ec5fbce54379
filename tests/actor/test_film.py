"""The film: an ordinary mp4 with sound, and the truth beside it."""

import numpy as np
import pytest

from loquent.actor.film import film, film_voice
from loquent.actor.scene import Actor
from loquent.actor.script import make_script
from loquent.media.audio import read_waveform
from loquent.media.video import read_frames


def test_a_film_shows_the_script_with_its_sound_and_its_truth(tmp_path):
    film(tmp_path / "a.mp4", duration_s=1.6, size=96, seed=2, truth=tmp_path / "truth.npz")
    actor, script = Actor(96, seed=2), make_script(1.6, seed=2)
    frames = list(read_frames(tmp_path / "a.mp4"))
    assert len(frames) == 40
    drawn = actor.render(script, 33)
    assert np.abs(frames[33].image.astype(int) - drawn.image).mean() < 6  # what the codec costs
    truth = np.load(tmp_path / "truth.npz")
    assert truth["world_from_camera"].shape == (40, 4, 4)
    assert np.array_equal(truth["matte"][33], drawn.matte)
    assert np.array_equal(truth["world_from_camera"][33], drawn.world_from_camera)
    assert truth["blink"].shape == (40, 2)
    assert truth["lip_opening"][33] == actor.lips(script.expression(33))[0]
    assert truth["phone_end_s"][-1] == 1.6
    sound = read_waveform(tmp_path / "a.mp4")
    assert abs(len(sound) - 1.6 * 16000) < 1500
    assert np.sqrt(np.mean(sound[: int(0.2 * 16000)] ** 2)) < 0.01 < np.sqrt(np.mean(sound[8000:20000] ** 2))


def test_another_performance_has_the_same_voice_and_other_words(tmp_path):
    film_voice(tmp_path / "drive.wav", 2.0, seed=2)
    sound, own = read_waveform(tmp_path / "drive.wav"), read_waveform(tmp_path / "drive.wav")
    assert len(sound) == 32000
    assert np.array_equal(sound, own)
    assert make_script(2.0, 1002).spoken != make_script(2.0, 2).spoken


def test_a_film_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(self, script, i):
        raise KeyboardInterrupt

    monkeypatch.setattr(Actor, "render", fail)
    with pytest.raises(KeyboardInterrupt):
        film(tmp_path / "a.mp4", duration_s=1.0, size=64)
    assert list(tmp_path.iterdir()) == []
