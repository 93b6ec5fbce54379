"""Which articulatory class each synthesiser's phones belong to."""

from loquent.speech.articulation import ARPABET_CLASSES
from loquent.speech.phonetic_net import CLASSES

IGNORED = 255
"""Label of stretches whose phone is not in the tables; they carry no loss and no score."""

_SIGNS = {
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
    "radio": {sign: list(names) for sign, names in ARPABET_CLASSES.items()},
    **{
        kind: {sign: names.split() for names, signs in table.items() for sign in signs.split()}
        for kind, table in _SIGNS.items()
    },
}
"""Classes of each phone of festival's and flite's phone sets; a diphthong has two."""


def index(name: str) -> int:
    """The class's place in the posteriors."""
    return CLASSES.index(name)
