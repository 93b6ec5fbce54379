"""The sounds the actor can make: how each is spoken (a formant synthesiser's targets) and how it looks (the lips' targets)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phone:
    """One speech sound. Formants are an adult man's, in hertz; amplitudes are linear."""

    duration_s: float
    """Usual length when unstressed."""
    formants_hz: tuple[int, int, int]
    """Resonances it aims at; those of stops and fricatives colour their neighbours."""
    voice: float = 0.0
    """Strength of the voice."""
    breath: float = 0.0
    """Strength of noise made at the larynx."""
    hiss: float = 0.0
    """Strength of noise made in the mouth, before the release for fricatives, at it for stops."""
    hiss_hz: int = 3000
    """Middle of that noise."""
    hiss_width_hz: int = 1500
    """Width of that noise."""
    is_stop: bool = False
    """Closed, then released in its last third."""
    is_nasal: bool = False
    """The sound leaves by the nose: higher resonances are damped."""
    jaw: float = 0.0
    part: float = 0.0
    spread: float = 0.0
    protrude: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    tongue: float = 0.0
    hold: float = 1.0
    """How strongly it imposes its lip shape on its neighbours."""


PHONES: dict[str, Phone] = {
    "a": Phone(0.115, (740, 1180, 2550), voice=1.0, jaw=0.80, part=0.45, spread=0.10),
    "e": Phone(0.100, (510, 1860, 2550), voice=0.95, jaw=0.42, part=0.45, spread=0.55),
    "i": Phone(0.095, (295, 2250, 2950), voice=0.85, jaw=0.16, part=0.42, spread=0.90, tongue=0.6),
    "o": Phone(0.110, (480, 850, 2450), voice=1.0, jaw=0.45, part=0.28, spread=-0.62, protrude=0.70),
    "u": Phone(0.100, (320, 780, 2300), voice=0.85, jaw=0.15, part=0.22, spread=-0.95, protrude=1.0),
    "@": Phone(0.065, (510, 1450, 2450), voice=0.80, jaw=0.26, part=0.32, hold=0.5),
    "p": Phone(0.105, (300, 800, 2200), hiss=0.45, hiss_hz=900, hiss_width_hz=900, breath=0.30,
          is_stop=True, press=0.75, hold=5.0),
    "b": Phone(0.085, (250, 800, 2200), voice=0.16, hiss=0.25, hiss_hz=800, hiss_width_hz=800,
          is_stop=True, press=0.65, hold=5.0),
    "m": Phone(0.080, (265, 1100, 2200), voice=0.50, is_nasal=True, press=0.55, hold=5.0),
    "t": Phone(0.090, (330, 1750, 2650), hiss=0.55, hiss_hz=4200, hiss_width_hz=2200, breath=0.22,
          is_stop=True, jaw=0.10, part=0.26, tongue=1.0, hold=0.8),
    "d": Phone(0.070, (280, 1750, 2650), voice=0.16, hiss=0.30, hiss_hz=3800, hiss_width_hz=2000,
          is_stop=True, jaw=0.13, part=0.26, tongue=1.0, hold=0.7),
    "n": Phone(0.070, (270, 1600, 2500), voice=0.50, is_nasal=True, jaw=0.14, part=0.26, tongue=1.0, hold=0.6),
    "k": Phone(0.095, (320, 1900, 2300), hiss=0.45, hiss_hz=1900, hiss_width_hz=900, breath=0.28,
          is_stop=True, jaw=0.20, part=0.30, hold=0.4),
    "g": Phone(0.075, (280, 1900, 2300), voice=0.16, hiss=0.28, hiss_hz=1800, hiss_width_hz=900,
          is_stop=True, jaw=0.22, part=0.30, hold=0.4),
    "f": Phone(0.095, (320, 1200, 2200), hiss=0.16, hiss_hz=5000, hiss_width_hz=4500,
          jaw=0.06, part=0.16, tuck=1.0, hold=3.0),
    "v": Phone(0.070, (300, 1200, 2200), voice=0.40, hiss=0.08, hiss_hz=4600, hiss_width_hz=4200,
          jaw=0.07, part=0.16, tuck=0.9, hold=3.0),
    "s": Phone(0.105, (320, 1650, 2600), hiss=0.50, hiss_hz=5600, hiss_width_hz=1700,
          jaw=0.05, part=0.36, spread=0.35, tongue=0.8, hold=1.6),
    "z": Phone(0.080, (300, 1650, 2600), voice=0.38, hiss=0.26, hiss_hz=5400, hiss_width_hz=1700,
          jaw=0.06, part=0.36, spread=0.30, tongue=0.8, hold=1.6),
    "S": Phone(0.110, (330, 1800, 2500), hiss=0.55, hiss_hz=3000, hiss_width_hz=1500,
          jaw=0.10, part=0.40, spread=-0.55, protrude=0.9, hold=1.6),
    "h": Phone(0.060, (500, 1450, 2450), breath=0.42, jaw=0.30, part=0.30, hold=0.15),
    "l": Phone(0.065, (350, 1150, 2700), voice=0.70, jaw=0.28, part=0.34, tongue=1.0, hold=0.5),
    "r": Phone(0.070, (350, 1200, 1650), voice=0.70, jaw=0.18, part=0.28, spread=-0.35, protrude=0.45, hold=0.9),
    "w": Phone(0.070, (310, 700, 2250), voice=0.70, jaw=0.08, part=0.14, spread=-1.0, protrude=1.0, hold=2.0),
    "j": Phone(0.060, (290, 2200, 2900), voice=0.70, jaw=0.14, part=0.40, spread=0.70, tongue=0.7, hold=0.9),
    "_": Phone(0.400, (500, 1450, 2450), hold=0.8),
}  # fmt: skip
"""Every sound by its sign; "_" is silence with the lips at rest, "@" the murmured vowel, "S" the sound of sh."""

VOWELS = ("a", "e", "i", "o", "u")
LABIALS = ("p", "b", "m")
ONSETS = tuple("pbmtdnkgfvszShlrwj")
CODAS = ("", "", "", "n", "m", "s", "l", "t", "p", "r")
