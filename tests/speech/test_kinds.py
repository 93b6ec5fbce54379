import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from loquent.errors import DependencyError, InputError
from loquent.pretrained import CACHE_VARIABLE
from loquent.speech.kinds import EXTRACTORS, KINDS, PRECOMPUTED, SpeechKind, extract, speech_kind


def test_every_kind_has_an_extractor_that_keeps_its_promise() -> None:
    assert KINDS.keys() | PRECOMPUTED.keys() == EXTRACTORS.keys()
    for name, kind in KINDS.items():
        assert speech_kind(name) is kind
        assert kind.name == name
        features = extract(name, np.zeros(16000, np.float32))
        assert features.shape == (kind.rate_hz, kind.width)


def test_an_unknown_kind_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError, match=r"'whale_song'.*log_mel"):
        speech_kind("whale_song")
    with pytest.raises(InputError, match="log_mel"):
        extract("whale_song", np.zeros(10, np.float32))


def test_a_kind_of_the_original_programs_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    for name in PRECOMPUTED:
        assert speech_kind(name).rate_hz == 50
        with pytest.raises(DependencyError, match=str(tmp_path)):
            extract(name, np.zeros(10, np.float32))


def test_kinds_are_frozen_values() -> None:
    assert SpeechKind("a", 50, 3, 0.1) == SpeechKind("a", 50, 3, 0.1)
    with pytest.raises(AttributeError):
        speech_kind("log_mel").width = 3  # type: ignore[misc]


def test_bad_sound_is_refused() -> None:
    with pytest.raises(InputError, match="not numbers"):
        extract("log_mel", np.array([0.0, np.nan], np.float32))
    with pytest.raises(InputError, match="positive"):
        extract("log_mel", np.zeros(10, np.float32), 0)


def test_looking_up_a_kind_loads_no_extractor() -> None:
    code = "import sys, loquent.speech.kinds as k; k.speech_kind('log_mel'); sys.exit('loquent.speech.log_mel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
