"""The default kind lays log-mel, the phonetic bottleneck and what the phones ask of lips side by side."""

import numpy as np
import torch

from loquent.speech.kinds import PARTS, extract, speech_kind
from loquent.speech.phonetic_net import CLASSES, NECK_WIDTH
from loquent.speech.usual_lips import lip_claims


def test_it_holds_both_kinds_unchanged_and_the_claims() -> None:
    time = np.arange(16000) / 16000
    sound = (0.3 * np.sin(2 * np.pi * 220 * time) * np.sin(9 * time) ** 2).astype(np.float32)
    features = extract("mel_phonetic", sound)
    assert features.shape == (50, speech_kind("mel_phonetic").width)
    spectra, neck, claims = features.split(PARTS["mel_phonetic"], dim=1)
    phones = extract("phonetic", sound)
    torch.testing.assert_close(spectra, extract("log_mel", sound))
    torch.testing.assert_close(neck, phones[:, 22:])
    torch.testing.assert_close(claims, lip_claims(phones[:, :22]))


def test_its_parts_and_its_delay_are_those_of_the_kinds_in_it() -> None:
    kind = speech_kind("mel_phonetic")
    assert PARTS[kind.name] == (
        speech_kind("log_mel").width,
        NECK_WIDTH,
        lip_claims(torch.zeros(1, len(CLASSES))).shape[1],
    )
    assert sum(PARTS[kind.name]) == kind.width
    assert kind.look_ahead_s == max(speech_kind(name).look_ahead_s for name in ("log_mel", "phonetic"))
