"""Something to say in many languages: words drawn by how often they are used, in sentences with pauses."""

from functools import lru_cache

import numpy as np

N_WORDS = 6000
_PINYIN_INITIALS = "b p m f d t n l g k h j q x zh ch sh r z c s"
_INITIALS = _PINYIN_INITIALS.split()
_PINYIN_FINALS = "a o e ai ei ao ou an en ang eng ong i ia ie iao iu ian in iang ing u ua uo ui uan un uang"
_FINALS = _PINYIN_FINALS.split()


@lru_cache
def words(language: str) -> list[str]:
    """The commonest words, commonest first; Chinese as pinyin, Telugu as written syllables, both made up."""
    if language == "pinyin":
        rng = np.random.default_rng(1)
        return [_made_up(rng, _INITIALS, _FINALS, "12345", 2) for _ in range(N_WORDS)]
    if language == "te":
        rng = np.random.default_rng(2)
        consonants, signs = [chr(c) for c in range(0x0C15, 0x0C29)] + list("పఫబభమయరలవశసహ"), [*"ాిీుూెేైొోౌ", ""]
        return [_made_up(rng, consonants, signs, "", 3) for _ in range(N_WORDS)]
    from wordfreq import top_n_list  # here: only making a corpus needs it, and it is not installed with the package

    return [word for word in top_n_list(language, N_WORDS) if not any(sign.isdigit() for sign in word)]


def sentence(language: str, rng: np.random.Generator) -> str:
    """Some words with a comma now and then and a full stop or a question mark."""
    known = words(language)
    chance = 1 / (np.arange(len(known)) + 10.0) ** 0.6
    chosen = rng.choice(len(known), size=rng.integers(3, 13), p=chance / chance.sum())
    text = ""
    for place, number in enumerate(chosen):
        text += ("" if place == 0 else ", " if rng.random() < 0.12 else " ") + known[number]
    return text + ("?" if rng.random() < 0.15 else ".")


def _made_up(rng: np.random.Generator, onsets: list[str], ends: list[str], tones: str, longest: int) -> str:
    syllables = []
    for _ in range(rng.integers(1, longest + 1)):
        tone = rng.choice(list(tones)) if tones else ""
        syllables.append(rng.choice(onsets) + rng.choice(ends) + tone)
    return "".join(syllables)
