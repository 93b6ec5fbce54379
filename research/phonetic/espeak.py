"""Speech from espeak-ng with the time of every phone, through its library (an event for each phone, named in IPA)."""

import ctypes
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from scipy.signal import resample_poly

from loquent.speech.articulation import classes_of_ipa
from research.phonetic import text
from research.phonetic.speech import Utterance, utterance

LANGUAGES = {
    "en-us": "en", "en": "en", "en-gb-scotland": "en", "en-029": "en", "de": "de", "fr": "fr", "es": "es", "es-419": "es",
    "it": "it", "pt": "pt", "pt-br": "pt", "nl": "nl", "da": "da", "nb": "nb", "fi": "fi", "is": "is", "pl": "pl", "cs": "cs",
    "sk": "sk", "sl": "sl", "hr": "sh", "ro": "ro", "bg": "bg", "ru": "ru", "uk": "uk", "lt": "lt", "lv": "lv", "ca": "ca",
    "mk": "mk", "fa": "fa", "hi": "hi", "bn": "bn", "ur": "ur", "ms": "ms", "vi": "vi", "ko": "ko", "cmn-latn-pinyin": "pinyin",
}  # fmt: skip
"""espeak voices to train on, and the language of their text."""
UNSEEN_LANGUAGES = {"el": "el", "hu": "hu", "id": "id", "sv": "sv", "tr": "tr", "ta": "ta"}
"""Kept out of training."""
_VARIANTS_LIST = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 klatt4 whisper whisperf croak Alicia Andrea "
    "Andy Annie Denis Diogo Gene Hugo Jacky Lee Marco Mario Michael Mike Nguyen RicishayMax Storm Tweaky "
    "anikaRobot steph linda belinda adam david edward max rob travis victor zac ed pablo paul sandro norbert "
    "robert michel grandma grandpa kaukovalta john iven iven2 quincy pedro "
)
VARIANTS = _VARIANTS_LIST.split()
"""Ways of speaking that any of its languages can take; those of robots and demons are left out."""

_SYNCHRONOUS_RETRIEVAL, _PHONEME_EVENTS_IPA, _UTF8, _POSITION_CHARACTER = 2, 3, 1, 1
_END, _PHONEME = 0, 7
_RATE, _PITCH, _RANGE, _WORD_GAP = 1, 3, 4, 7


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("pointer", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int), ("identifier", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int), ("sample", ctypes.c_int), ("user", ctypes.c_void_p), ("id", _Name),
    )  # fmt: skip


class Espeak:
    """The library, initialised once in a process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self._rate_hz = self._library.espeak_Initialize(_SYNCHRONOUS_RETRIEVAL, 0, None, _PHONEME_EVENTS_IPA)
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
        self._callback = signature(self._receive)  # kept, or Python would free it
        self._library.espeak_SetSynthCallback(self._callback)
        self._sound: list[np.ndarray] = []
        self._phones: list[tuple[int, str]] = []

    def say(self, voice: str, sentence: str, rng: np.random.Generator) -> Utterance | None:
        """Speak with random rate, pitch and liveliness; None where the voice does not exist or says nothing."""
        limits = ((_RATE, 110, 260), (_PITCH, 10, 95), (_RANGE, 20, 100), (_WORD_GAP, 0, 3))
        spoken = self.speak(voice, sentence, {name: int(rng.integers(low, high)) for name, low, high in limits})
        if spoken is None:
            return None
        waveform, phones = spoken
        return utterance(waveform, [(start, end, classes(name)) for start, end, name in phones])

    def speak(
        self, voice: str, sentence: str, settings: Mapping[int, int] = MappingProxyType({})
    ) -> tuple[np.ndarray, list[tuple[float, float, str]]] | None:
        """Samples at 16 kHz and the phones as (start, end, name in IPA, empty for silence), spoken with espeak's parameters
        `settings`; None where the voice does not exist or says nothing.
        """
        self._sound, self._phones = [], []
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            return None
        for parameter, value in settings.items():
            self._library.espeak_SetParameter(parameter, value, 0)
        data = sentence.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        if not self._sound or not self._phones:
            return None
        waveform = np.concatenate(self._sound).astype(np.float64) / 32768
        ends = [sample for sample, _ in self._phones[1:]] + [len(waveform)]
        phones = [
            (sample / self._rate_hz, end / self._rate_hz, name)
            for (sample, name), end in zip(self._phones, ends, strict=True)
            if not name.startswith("(")
        ]
        return resample_poly(waveform, 320, 441).astype(np.float32), phones

    def _receive(
        self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        if count > 0:
            self._sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        place = 0
        while events[place].type != _END:
            if events[place].type == _PHONEME:
                name = events[place].id.string.decode("utf8", "ignore")
                self._phones.append((events[place].sample, name))
            place += 1
        return 0


def classes(name: str) -> list[str]:
    """The classes of a phone as espeak names it."""
    return classes_of_ipa(name) if name else ["silence"]


@lru_cache(maxsize=1)
def engine() -> Espeak:
    """The library, initialised when it is first needed."""
    return Espeak()


def random_utterance(languages: dict[str, str], rng: np.random.Generator) -> Utterance | None:
    """A random sentence in a random one of the languages and voices."""
    voice = rng.choice(list(languages))
    variant = rng.choice(VARIANTS) if rng.random() < 0.9 else ""
    return engine().say(f"{voice}+{variant}" if variant else voice, text.sentence(languages[voice], rng), rng)
