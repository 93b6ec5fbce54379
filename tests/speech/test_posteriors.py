"""What the phonetic network heard is found again in every kind of features that holds it."""

import pytest
import torch

from loquent.actor.script import make_script
from loquent.actor.voice import speak
from loquent.speech.kinds import extract
from loquent.speech.phonetic_net import CLASSES
from loquent.speech.posteriors import posterior, posteriors


def test_the_bottleneck_determines_the_posteriors() -> None:
    voice = speak(make_script(2.0, seed=1))
    both, phonetic = extract("mel_phonetic", voice), extract("phonetic", voice)
    torch.testing.assert_close(posteriors(both), phonetic[:, : len(CLASSES)], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["silence", "bilabial", "a"])
def test_one_class_is_read_alike_from_all_kinds_that_tell(name: str) -> None:
    voice = speak(make_script(2.0, seed=1))
    phonetic = extract("phonetic", voice)
    wanted = phonetic[:, CLASSES.index(name)]
    for kind, features in (("phonetic", phonetic), ("mel_phonetic", extract("mel_phonetic", voice))):
        found = posterior(name, kind, features)
        assert found is not None
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert posterior(name, "log_mel", torch.zeros(80, 40)) is None
