"""The list of steps follows the settings."""

import pytest

from loquent.config import PrepareConfig
from loquent.errors import InputError
from loquent.prepare.steps import prepare_steps


@pytest.mark.parametrize("kind", ["log_mel", "hubert_large"])
def test_the_clip_holds_the_speech_features_that_were_asked_for(kind: str) -> None:
    steps = prepare_steps(PrepareConfig(speech_kind=kind))
    features = (f"speech/{kind}.safetensors",)
    assert features in [step.outputs for step in steps]
    assert set(features) <= set(steps[-1].inputs)


def test_unknown_speech_features_are_refused_before_anything_is_done() -> None:
    with pytest.raises(InputError, match=r"'whale_song'.*log_mel"):
        prepare_steps(PrepareConfig(speech_kind="whale_song"))
