"""Lips meet where a p, b or m is heard, and nowhere else."""

import pytest
import torch
from torch import Tensor

from loquent.actor.phones import LABIALS
from loquent.actor.script import make_script
from loquent.actor.voice import speak
from loquent.speech.closures import GLIDE, LEAD_STEPS, SURE, meeting
from loquent.speech.kinds import extract
from loquent.speech.phonetic_net import CLASSES

BILABIAL = CLASSES.index("bilabial")


def everywhere(features: Tensor, kind: str = "phonetic") -> Tensor:
    return meeting(kind, features, torch.arange(len(features)))


def test_lips_meet_as_far_as_a_bilabial_is_sure() -> None:
    """Against a loop over the definition, with posteriors made up."""
    features = torch.zeros(61, len(CLASSES) + 42)
    features[:, BILABIAL] = torch.rand(61, generator=torch.Generator().manual_seed(0))
    features[20:30, BILABIAL] = 0.9
    features[40:50, BILABIAL] = 0.1
    sure = [min(max((p - SURE[0]) / (SURE[1] - SURE[0]), 0.0), 1.0) for p in features[:, BILABIAL].tolist()]
    padded = [0.0, *sure, 0.0, 0.0, 0.0]
    wanted = torch.tensor([sum(w * padded[j + LEAD_STEPS + k] for k, w in enumerate(GLIDE)) for j in range(61)])
    found = everywhere(features)
    torch.testing.assert_close(found, wanted)
    assert found[19:27].tolist() == [1.0] * 8, "0.04 s before they are heard"
    assert found[39:47].tolist() == [0.0] * 8
    some = torch.tensor([30, 0, 60, 19])
    torch.testing.assert_close(meeting("phonetic", features, some), wanted[some])
    assert meeting("phonetic", features, torch.tensor([60])).tolist() == [0.0], "nothing is heard after the end"


def test_features_that_do_not_tell_never_close_lips() -> None:
    assert everywhere(torch.ones(80, 40), "log_mel").tolist() == [0.0] * 80
    assert everywhere(torch.zeros(0, 85), "mel_phonetic").shape == (0,)


@pytest.mark.parametrize("kind", ["mel_phonetic", "phonetic_causal"])
def test_the_actors_bilabials_are_met_and_his_open_vowels_are_not(kind: str) -> None:
    script = make_script(8.0, seed=3)
    met = everywhere(extract(kind, speak(script)), kind)

    def during(phones: tuple[str, ...], around: int) -> list[Tensor]:
        spoken = [item for item in script.spoken if item.phone in phones]
        return [met[int(50 * item.start_s) - around : int(50 * item.end_s) + 1 + around] for item in spoken]

    bilabials = [float(moment.max()) for moment in during(LABIALS, 1)]
    others = [float(moment.mean()) for moment in during(("a", "e", "i", "o", "s"), 0)]
    assert len(bilabials) >= 8
    assert len(others) >= 8
    assert sum(bilabials) / len(bilabials) > 0.75
    assert sum(others) / len(others) < 0.1
