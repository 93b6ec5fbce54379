"""How anybody's lips would look under a sound: the usual shape of each class, shared between neighbouring sounds."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loquent.speech.articulation import LIP_SHAPES, VOWELS
from loquent.speech.phonetic_net import CLASSES

SHAPES = np.array([LIP_SHAPES[name] for name in CLASSES], np.float32)
"""Opening and spread of each class."""
_CLAIMS = {"bilabial": 5.0, "labiodental": 5.0, "w": 5.0, "silence": 0.5, **dict.fromkeys(VOWELS, 1.0)}
DOMINANCE = np.array([_CLAIMS.get(name, 0.3) for name in CLASSES], np.float32)
"""How much of the lips' shape each class claims against its neighbours: most where the lips make the sound, least where the
tongue does and leaves them to the vowels."""
_SPREAD_STEPS = 1.6
"""Standard deviation of the smoothing in steps of 0.02 s: lips begin a sound before it is heard and leave it late."""
_REACH_STEPS = 5


def lip_claims(posteriors: Float[Tensor, "*batch steps classes"]) -> Float[Tensor, "*batch steps 3"]:
    """What the sounds heard at each step ask of anybody's lips: opening times claim, spread times claim, and the claim itself,
    which is how much of the lips these sounds need (5 for a bilabial, 1 for a vowel).

    Each class asks for its usual shape with its dominance (Cohen and Massaro 1993), in proportion to its probability.
    """
    claims = posteriors * torch.from_numpy(DOMINANCE)
    return torch.cat([claims @ torch.from_numpy(SHAPES), claims.sum(dim=-1, keepdim=True)], dim=-1)


def usual_lips(posteriors: Float[Tensor, "batch steps classes"]) -> Float[Tensor, "batch 2 steps"]:
    """Opening (0 closed, 1 wide) and spread (-1 rounded, 1 spread) under class probabilities at 50 Hz, by tables alone.

    Neighbouring sounds share the lips by what they claim: the mean of their usual shapes around a step, weighted by
    `DOMINANCE`. Only the course means something, not the size, which differs from person to person.
    """
    curves = _blurred(lip_claims(posteriors).transpose(1, 2))
    return curves[:, :2] / curves[:, 2:]


def _blurred(curves: Float[Tensor, "batch curves steps"]) -> Float[Tensor, "batch curves steps"]:
    """Curves as lips glide along them."""
    n_curves = curves.shape[1]
    kernel = torch.exp(-0.5 * (torch.arange(-_REACH_STEPS, _REACH_STEPS + 1) / _SPREAD_STEPS) ** 2)
    kernel = (kernel / kernel.sum()).expand(n_curves, 1, -1)
    padded = torch.nn.functional.pad(curves, (_REACH_STEPS, _REACH_STEPS), mode="replicate")
    return torch.nn.functional.conv1d(padded, kernel, groups=n_curves)
