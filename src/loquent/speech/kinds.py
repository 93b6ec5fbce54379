"""The kinds of speech features: what each is called, how fast, how wide and how far-seeing it is, and where its code lives."""

import importlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float
from torch import Tensor

from loquent.errors import InputError
from loquent.media.rates import SAMPLE_RATE_HZ


@dataclass(frozen=True)
class SpeechKind:
    """Facts about one kind of speech features; stored with the features and with every portrait that listens to them."""

    name: str
    """Identifies the kind everywhere."""
    rate_hz: int
    """Steps per second; step j describes the sound around j / rate_hz seconds."""
    width: int
    """Numbers per step."""
    look_ahead_s: float
    """How much sound after its own time a step needs: the least delay of a live portrait."""
    version: int = 1
    """Counted up when the same sound gives other numbers than before: what learned from the old ones cannot hear the new."""


class SpeechExtractor(Protocol):
    """What computes one kind of features."""

    @property
    def kind(self) -> SpeechKind:
        """Which kind it computes."""
        ...

    def extract(self, waveform: Float[np.ndarray, "samples"], sample_rate_hz: int) -> Float[Tensor, "steps width"]:
        """Features of a whole sound in [-1, 1]; ceil(seconds * rate_hz) steps."""
        ...


KINDS = {
    kind.name: kind
    for kind in (
        SpeechKind("log_mel", rate_hz=50, width=40, look_ahead_s=0.02),
        SpeechKind("phonetic", rate_hz=50, width=64, look_ahead_s=0.1975, version=3),
        SpeechKind("phonetic_causal", rate_hz=50, width=64, look_ahead_s=0.0775, version=3),
        SpeechKind("mel_phonetic", rate_hz=50, width=85, look_ahead_s=0.1975, version=4),
    )
}
"""Every kind there is, by name."""

PARTS = {"mel_phonetic": (40, 42, 3)}
"""Kinds that lay several descriptions of the same sound side by side, and how wide each is."""

TRANSFORMERS = "transformers:"
"""Kinds ``transformers:OWNER--NAME`` are computed by that model of the transformers hub, if it is on this machine."""

PRECOMPUTED = {
    kind.name: kind
    for kind in (
        SpeechKind("deepspeech", rate_hz=50, width=29, look_ahead_s=0.2),
        SpeechKind("wav2vec2_esperanto", rate_hz=50, width=44, look_ahead_s=0.2),
        SpeechKind("wav2vec2", rate_hz=50, width=32, look_ahead_s=0.2),
        SpeechKind("hubert_large", rate_hz=50, width=1024, look_ahead_s=0.2),
    )
}
"""Kinds of the original programs: read from their files, or computed by the same networks if these are in the model cache."""

EXTRACTORS = {
    "log_mel": "loquent.speech.log_mel:LogMel",
    "phonetic": "loquent.speech.phonetic:Phonetic",
    "phonetic_causal": "loquent.speech.phonetic:PhoneticCausal",
    "mel_phonetic": "loquent.speech.mel_phonetic:MelPhonetic",
    "deepspeech": "loquent.speech.deepspeech:DeepSpeech",
    "wav2vec2_esperanto": "loquent.speech.transformer:esperanto",
    "wav2vec2": "loquent.speech.transformer:base",
    "hubert_large": "loquent.speech.transformer:hubert_large",
}
"""Module and class (or function that makes one) that compute each kind, imported when first used."""


def speech_kind(name: str) -> SpeechKind:
    """Look up a kind.

    Raises:
        InputError: there is no such kind.
        DependencyError: it is that of a model of the transformers hub which is not on this machine.
    """
    if name.startswith(TRANSFORMERS):
        found: SpeechKind = _named("loquent.speech.transformer:any_kind")(name)
        return found
    if name in PRECOMPUTED:
        return PRECOMPUTED[name]
    if name not in KINDS:
        known = ", ".join([*sorted(KINDS | PRECOMPUTED), f"{TRANSFORMERS}OWNER--NAME"])
        raise InputError(f"There is no kind of speech features called {name!r}. There is: {known}.")
    return KINDS[name]


def extract(
    kind_name: str, waveform: Float[np.ndarray, "samples"], sample_rate_hz: int = SAMPLE_RATE_HZ
) -> Float[Tensor, "steps width"]:
    """Compute features of a whole sound; any sample rate is resampled to what the kind wants.

    Args:
        kind_name: a name in `KINDS` or `PRECOMPUTED`, or ``transformers:OWNER--NAME``.
        waveform: one channel in [-1, 1].
        sample_rate_hz: samples per second of `waveform`.

    Raises:
        InputError: there is no such kind, or the sound holds values that are not finite.
        DependencyError: its network or a package is not on this machine; the message says how to get it.
    """
    kind = speech_kind(kind_name)
    if sample_rate_hz <= 0:
        raise InputError(f"A sample rate must be positive; {sample_rate_hz} Hz was given.")
    if not np.isfinite(waveform).all():
        raise InputError("The sound holds values that are not numbers (NaN or infinite); read or record it again.")
    if kind.name.startswith(TRANSFORMERS):
        extractor: SpeechExtractor = _named("loquent.speech.transformer:any_model")(kind.name)
    else:
        extractor = _named(EXTRACTORS[kind.name])()
    return extractor.extract(waveform, sample_rate_hz)


def _named(place: str) -> Any:
    """What ``module:name`` says, imported now."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
