"""The articulatory classes, and which class each synthesiser's phones belong to.

A class groups sounds that look alike on the lips and sound alike; they are few enough to hold in any language.
"""

from loquent.speech.phonetic_net import CLASSES

IGNORED = 255
"""Label of stretches whose phone is not in the tables; they carry no loss and no score."""

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

IPA_CLASS = {sign: name for name, signs in _IPA.items() for sign in signs.split()}
VOWELS = frozenset(("i", "ue", "u", "y", "e", "o", "schwa", "a"))
STOPS = frozenset(("bilabial", "t", "k"))
_FRICATIVES = frozenset(("s", "sh", "labiodental", "h"))

_SIGNS = {
    "radio": {
        "bilabial": "p b m em", "labiodental": "f v", "dental": "th dh", "t": "t d dx", "n": "n nx en", "l": "l el",
        "s": "s z", "sh": "sh zh ch jh", "r": "r axr er", "k": "k g ng", "h": "hh hv", "w": "w", "j": "y", "i": "ih iy",
        "u": "uh uw", "e": "eh", "o": "ao", "schwa": "ax", "a": "aa ae ah",
        "e i": "ey", "a i": "ay", "o i": "oy", "a u": "aw", "o u": "ow",
    },
    "czech": {
        "bilabial": "p b m", "labiodental": "f v", "t": "t d", "n": "n n~", "l": "l", "s": "s z c dz", "sh": "s~ z~ c~ dz~",
        "r": "r r~ r~*", "k": "k g n* t~ d~", "h": "h ch", "j": "j", "i": "i i:", "u": "u u:",
        "e": "e e:", "o": "o o:", "a": "a a:",
    },
    "finnish": {
        "bilabial": "p b m p: b: m:", "labiodental": "f v f: v:", "dental": "T T: D:", "t": "t d t: d:", "n": "n n:",
        "l": "l L l: L:",
        "s": "s s: z:", "sh": "S S: Z:", "r": "r r:", "k": "k g N k: g: N:", "h": "h h:", "w": "w w:", "j": "j j:", "i": "i i:",
        "ue": "y y: 7 7:", "u": "u u:", "e": "e e:", "o": "o o:", "schwa": "@ @:", "a": "a a: & &:",
    },
    "indic": {
        "bilabial": "p b m bh", "labiodental": "f v", "t": "T D td tth ddh th dh", "n": "n N", "l": "l L", "s": "s",
        "sh": "sh ch j zh", "r": "r R", "k": "k g kh gh", "h": "h x", "w": "w", "j": "y", "i": "ih iy", "u": "uh uw",
        "e": "eh ee", "o": "oh oo", "schwa": "a @", "a": "aa", "a i": "ay", "a u": "aw",
    },
    "italian": {
        "bilabial": "p b m", "labiodental": "f v nf", "t": "t d", "n": "n J", "l": "l L", "s": "s z ts dz", "sh": "S Z tS dZ",
        "r": "r", "k": "k g ng", "w": "w", "j": "j", "i": "i i1", "u": "u u1 U", "e": "e e1 E E1", "o": "o o1 O O1",
        "a": "a a1",
    },
    "russian": {
        "bilabial": "p pp b bb m mm", "labiodental": "f ff v vv", "t": "t tt d dd", "n": "n nn", "l": "l ll",
        "s": "s ss z zz c",
        "sh": "sh sch zh ch", "r": "r rr", "k": "k kk g gg", "h": "h hh", "j": "j", "i": "ii i", "y": "yy y", "u": "uu u ur",
        "e": "ee e", "o": "oo", "schwa": "ae ay", "a": "aa a",
    },
    "catalan": {
        "bilabial": "p b m", "labiodental": "f v", "t": "t d", "n": "n J", "l": "l L", "s": "s z", "sh": "S Z", "r": "r rr",
        "k": "k g", "w": "w", "j": "j", "i": "i i1", "u": "u u1", "e": "e e1 E E1", "o": "o o1 O O1", "schwa": "ax",
        "a": "a a1",
    },
}  # fmt: skip
SIGN_CLASSES = {
    kind: {sign: names.split() for names, signs in table.items() for sign in signs.split()}
    for kind, table in _SIGNS.items()
}
"""Classes of each phone of festival's and flite's phone sets; a diphthong has two."""


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


def index(name: str) -> int:
    """The class's place in the posteriors."""
    return CLASSES.index(name)
