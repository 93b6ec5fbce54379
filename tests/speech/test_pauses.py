"""Where nobody speaks: in silence and in noise of any level, but not between words."""

import numpy as np
import pytest
import torch
from torch import Tensor

from loquent.actor.script import make_script
from loquent.actor.voice import speak
from loquent.speech.kinds import extract
from loquent.speech.pauses import RAMP_STEPS, SILENT_SINCE, SILENT_UNTIL, SURE, resting
from loquent.speech.phonetic_net import CLASSES

RATE_HZ = 16000


def everywhere(features: Tensor, kind: str = "mel_phonetic") -> Tensor:
    return resting(kind, features, torch.arange(len(features)))


@pytest.mark.parametrize("level", [0.0, 1e-4, 1e-2])
def test_three_seconds_of_silence_or_noise_are_rest(level: float) -> None:
    noise = (level * np.random.default_rng(0).standard_normal(3 * RATE_HZ)).astype(np.float32)
    assert everywhere(extract("mel_phonetic", noise)).min() > 0.8


def test_lips_rest_after_the_last_word_and_not_between_words() -> None:
    voice = speak(make_script(4.0, seed=3))
    loud = np.flatnonzero(np.abs(voice) > 0.02 * np.abs(voice).max())
    voice = voice[loud[0] : loud[-1]]
    share = everywhere(extract("mel_phonetic", np.concatenate([voice, np.zeros(3 * RATE_HZ, np.float32)])))
    n_spoken = 50 * len(voice) // RATE_HZ
    assert share[: n_spoken - 10].max() < 0.2
    assert share[n_spoken + 60 :].min() > 0.7
    assert share.diff().abs().max() < 0.1, "lips close smoothly"


def test_a_step_rests_where_all_around_is_surely_silent() -> None:
    """Against loops over the definition, with silence made up."""
    silence = torch.rand(330, generator=torch.Generator().manual_seed(0)) * 0.3 + 0.6
    silence[100:130] = silence[180:200] = 0.1  # speech; then a pause of a second, more speech, and silence
    features = torch.zeros(330, len(CLASSES))
    features[:, CLASSES.index("silence")] = silence

    def mean_around(values: list[float]) -> list[float]:
        reach = range(-RAMP_STEPS, RAMP_STEPS + 1)
        return [sum(values[min(max(j + k, 0), 329)] for k in reach) / len(reach) for j in range(330)]

    sure = [min(max((mean - SURE[0]) / (SURE[1] - SURE[0]), 0.0), 1.0) for mean in mean_around(silence.tolist())]
    shares = [
        sum(min(sure[max(0, j - SILENT_SINCE) : j + until + 1]) for until in SILENT_UNTIL) / len(SILENT_UNTIL)
        for j in range(330)
    ]
    wanted = torch.tensor(mean_around(shares))
    found = everywhere(features, "phonetic")
    torch.testing.assert_close(found, wanted)
    assert found[115] == 0
    assert found[140:168].min() > 0.95, "lips are closed in a pause of a second"
    assert 0.3 < found[130] < 0.7, "half of it as the last word ends"
    assert found[120] < 0.05, "and not before"
    assert found[173:180].diff().max() < 0, "they part before the next word"
    assert found[180] < 0.5
    assert found[190] < 0.05, "and are free as it goes on"
    assert found[0] > 0.8
    some = torch.tensor([152, 70, 160])
    torch.testing.assert_close(resting("phonetic", features, some), wanted[some])


def test_features_that_do_not_tell_never_rest() -> None:
    assert everywhere(torch.zeros(80, 40), "log_mel").tolist() == [0.0] * 80
    assert everywhere(torch.zeros(0, 85)).shape == (0,)
