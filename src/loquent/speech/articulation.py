"""Phones as the lips show them: which articulatory class of `phonetic_net` each belongs to, and how lips usually look in it.

A class groups sounds that look alike on the lips and sound alike; they are few enough to hold in any language.
"""

from types import MappingProxyType

_IPA = {
    "bilabial": "p b m ɓ ʙ ɱ",
    "labiodental": "f v ʋ ⱱ β ɸ",
    "dental": "θ ð",
    "t": "t d ʈ ɖ ɗ ɾ ɽ",
    "n": "n ɲ ɳ",
    "l": "l ɫ ɭ ʎ ɬ ɮ ʟ ɺ",
    "s": "s z",
    "sh": "ʃ ʒ ɕ ʑ ʂ ʐ",
    "r": "r ɹ ɻ ʀ ɚ ɝ",
    "k": "k g ɡ ŋ q ɢ c ɟ ɴ ʄ ɠ",
    "h": "h ɦ x ɣ χ ʁ ç ʝ ʔ ħ ʕ ɰ",
    "w": "w ʍ ɥ",
    "j": "j",
    "i": "i ɪ",
    "ue": "y ʏ ø œ ɶ ɵ",
    "u": "u ʊ ʉ",
    "y": "ɨ ɯ",
    "e": "e ɛ ε",
    "o": "o ɔ ɒ",
    "schwa": "ə ɜ ɘ ɤ ɐ",
    "a": "a æ ɑ ʌ",
}  # fmt: skip
IPA_CLASS = MappingProxyType({sign: name for name, signs in _IPA.items() for sign in signs.split()})
"""The class of each sign of the International Phonetic Alphabet."""
VOWELS = frozenset(("i", "ue", "u", "y", "e", "o", "schwa", "a"))
STOPS = frozenset(("bilabial", "t", "k"))
_FRICATIVES = frozenset(("s", "sh", "labiodental", "h"))
OPEN_VOWELS = frozenset(("a",))
CLOSE_VOWELS = frozenset(("i", "ue", "u", "y"))

_ARPABET = {
    "bilabial": "p b m em", "labiodental": "f v", "dental": "th dh", "t": "t d dx", "n": "n nx en", "l": "l el",
    "s": "s z", "sh": "sh zh ch jh", "r": "r axr er", "k": "k g ng", "h": "hh hv", "w": "w", "j": "y", "i": "ih iy",
    "u": "uh uw", "e": "eh", "o": "ao", "schwa": "ax", "a": "aa ae ah",
    "e i": "ey", "a i": "ay", "o i": "oy", "a u": "aw", "o u": "ow",
}  # fmt: skip
ARPABET_CLASSES = MappingProxyType(
    {sign: tuple(names.split()) for names, signs in _ARPABET.items() for sign in signs.split()}
)
"""Classes of each phone of ARPAbet, in small letters and without digits of stress; a diphthong has two."""

LIP_SHAPES = {
    "silence": (0.06, 0.0), "bilabial": (0.0, 0.0), "labiodental": (0.12, 0.1), "dental": (0.32, 0.2), "t": (0.30, 0.2),
    "n": (0.32, 0.2), "l": (0.38, 0.2), "s": (0.22, 0.4), "sh": (0.25, -0.5), "r": (0.32, -0.2), "k": (0.38, 0.1),
    "h": (0.45, 0.1), "w": (0.10, -1.0), "j": (0.28, 0.5), "i": (0.32, 0.8), "ue": (0.28, -0.7), "u": (0.15, -0.9),
    "y": (0.32, 0.2), "e": (0.52, 0.6), "o": (0.48, -0.5), "schwa": (0.42, 0.1), "a": (0.90, 0.2),
}  # fmt: skip
"""Opening between the lips (0 closed, 1 wide) and spread of their corners (-1 rounded, 1 spread) in each class."""


def classes_of_ipa(name: str) -> list[str]:
    """Classes one phone name runs through: one, or several for diphthongs; [] where it is not known.

    An affricate counts as its fricative; marks of length, stress and colour are passed over.
    """
    if name == "ʲ":
        return ["j"]
    found = [IPA_CLASS[sign] for sign in name if sign in IPA_CLASS]
    merged: list[str] = []
    for item in found:
        if merged and item in _FRICATIVES and merged[-1] in STOPS:
            merged[-1] = item
        elif not merged or merged[-1] != item:
            merged.append(item)
    return merged
