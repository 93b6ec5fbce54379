"""The default kind lays log-mel and the phonetic bottleneck side by side."""

import numpy as np
import torch

from loquent.speech.kinds import PARTS, extract, speech_kind


def test_it_holds_both_kinds_unchanged() -> None:
    time = np.arange(16000) / 16000
    sound = (0.3 * np.sin(2 * np.pi * 220 * time) * np.sin(9 * time) ** 2).astype(np.float32)
    both = extract("mel_phonetic", sound)
    assert both.shape == (50, speech_kind("mel_phonetic").width)
    torch.testing.assert_close(both[:, :40], extract("log_mel", sound))
    torch.testing.assert_close(both[:, 40:], extract("phonetic", sound)[:, 22:])


def test_its_parts_and_its_delay_are_those_of_the_kinds_in_it() -> None:
    kind = speech_kind("mel_phonetic")
    assert PARTS[kind.name][0] == speech_kind("log_mel").width
    assert sum(PARTS[kind.name]) == kind.width
    assert kind.look_ahead_s == max(speech_kind(name).look_ahead_s for name in ("log_mel", "phonetic"))
