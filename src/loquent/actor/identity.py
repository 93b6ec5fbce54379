"""Who the actor is: proportions, colours and voice, drawn from a seed."""

from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]
"""Linear reflectance of red, green and blue, each in [0, 1]."""

_SKINS: tuple[Colour, ...] = ((0.58, 0.33, 0.225), (0.34, 0.175, 0.105), (0.66, 0.42, 0.31), (0.47, 0.25, 0.15))
_HAIRS: tuple[Colour, ...] = ((0.060, 0.027, 0.012), (0.012, 0.009, 0.008), (0.20, 0.068, 0.022), (0.022, 0.014, 0.009))
_EYES: tuple[Colour, ...] = ((0.055, 0.105, 0.12), (0.070, 0.033, 0.014), (0.075, 0.105, 0.045), (0.085, 0.045, 0.018))
_CLOTHES: tuple[Colour, ...] = ((0.045, 0.105, 0.17), (0.30, 0.09, 0.06), (0.06, 0.14, 0.09), (0.20, 0.19, 0.18))
_WALLS: tuple[Colour, ...] = ((0.30, 0.27, 0.215), (0.20, 0.27, 0.32), (0.24, 0.29, 0.25), (0.33, 0.24, 0.18))


@dataclass(frozen=True)
class Identity:
    """One invented person. Lengths are factors of the average face."""

    skin: Colour
    """Skin away from blood-rich places."""
    hair: Colour
    """Hair in the mass."""
    iris: Colour
    """Middle of the iris."""
    clothes: Colour
    """The pullover."""
    wall: Colour
    """The room behind."""
    jaw_width: float
    """Width of the lower face."""
    nose_length: float
    """Height of the nose."""
    cheek_fullness: float
    """Roundness of the cheeks."""
    lip_fullness: float
    """Height of the lips' red."""
    pitch_hz: float
    """Middle of the voice's range."""
    formant_scale: float
    """Resonances relative to an adult man's."""


def make_identity(seed: int) -> Identity:
    """The person of this seed; neighbouring seeds differ in skin, hair, eyes, clothes, room and voice."""
    pick, vary = seed % 4, np.random.default_rng([seed, 11])
    return Identity(
        skin=_SKINS[pick],
        hair=_HAIRS[pick],
        iris=_EYES[pick],
        clothes=_CLOTHES[pick],
        wall=_WALLS[pick],
        jaw_width=float(vary.uniform(0.96, 1.04)),
        nose_length=float(vary.uniform(0.96, 1.04)),
        cheek_fullness=float(vary.uniform(0.97, 1.04)),
        lip_fullness=float(vary.uniform(0.95, 1.15)),
        pitch_hz=(118.0, 196.0, 172.0, 104.0)[pick],
        formant_scale=(1.0, 1.15, 1.12, 0.97)[pick],
    )
