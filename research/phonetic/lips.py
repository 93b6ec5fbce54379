"""How the lips usually look in each class: what training asks the bottleneck for besides the class, and what to expect of lips
where none were seen."""

import numpy as np
import torch
from torch import Tensor

from loquent.speech.articulation import LIP_SHAPES, VOWELS
from loquent.speech.phonetic_net import CLASSES
from research.phonetic.classes import IGNORED

SHAPES = np.array([LIP_SHAPES[name] for name in CLASSES], np.float32)
_CLAIMS = {"bilabial": 5.0, "labiodental": 5.0, "w": 5.0, "silence": 0.5, **dict.fromkeys(VOWELS, 1.0)}
DOMINANCE = np.array([_CLAIMS.get(name, 0.3) for name in CLASSES], np.float32)
"""How much of the lips' shape each class claims against its neighbours: most where the lips make the sound, least where the
tongue does and leaves them to the vowels."""
_SPREAD_STEPS = 1.6
"""Standard deviation of the smoothing in steps: lips begin a sound before it is heard and leave it late."""


def trajectories(labels: Tensor) -> Tensor:
    """Opening and spread [batch, 2, steps] of labels [batch, steps]; ignored stretches count as schwa."""
    known = torch.where(labels == IGNORED, CLASSES.index("schwa"), labels)
    return _shared(torch.nn.functional.one_hot(known, len(CLASSES)).float())


def expected_opening(posteriors: Tensor) -> Tensor:
    """Opening [steps] from class posteriors [steps, classes] by tables alone: no real lips used."""
    return _shared(posteriors[None])[0, 0]


def _shared(posteriors: Tensor) -> Tensor:
    """Opening and spread [batch, 2, steps] of class posteriors [batch, steps, classes].

    Neighbouring sounds share the lips by their dominance (Cohen and Massaro 1993): the mean of their usual shapes around a
    step, weighted by `DOMINANCE`.
    """
    claims = posteriors * torch.from_numpy(DOMINANCE)
    wanted = (claims @ torch.from_numpy(SHAPES)).transpose(1, 2)
    curves = _blurred(torch.cat([wanted, claims.sum(dim=2)[:, None]], dim=1))
    return curves[:, :2] / curves[:, 2:]


def _blurred(curves: Tensor) -> Tensor:
    """Curves [batch, curves, steps] as lips glide along them."""
    n_curves, reach = curves.shape[1], 5
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / _SPREAD_STEPS) ** 2)
    kernel = (kernel / kernel.sum()).expand(n_curves, 1, -1)
    padded = torch.nn.functional.pad(curves, (reach, reach), mode="replicate")
    return torch.nn.functional.conv1d(padded, kernel, groups=n_curves)
