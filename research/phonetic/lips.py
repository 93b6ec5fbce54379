"""How the lips usually look in each class: what training asks the bottleneck for besides the class itself."""

import numpy as np
import torch
from torch import Tensor

from loquent.speech.phonetic_net import CLASSES
from research.phonetic.classes import IGNORED

_SHAPES = {
    "silence": (0.06, 0.0), "bilabial": (0.0, 0.0), "labiodental": (0.12, 0.1), "dental": (0.32, 0.2), "t": (0.30, 0.2),
    "n": (0.32, 0.2), "l": (0.38, 0.2), "s": (0.22, 0.4), "sh": (0.25, -0.5), "r": (0.32, -0.2), "k": (0.38, 0.1),
    "h": (0.45, 0.1), "w": (0.10, -1.0), "j": (0.28, 0.5), "i": (0.32, 0.8), "ue": (0.28, -0.7), "u": (0.15, -0.9),
    "y": (0.32, 0.2), "e": (0.52, 0.6), "o": (0.48, -0.5), "schwa": (0.42, 0.1), "a": (0.90, 0.2),
}  # fmt: skip
"""Opening between the lips (0 closed, 1 wide) and spread of their corners (-1 rounded, 1 spread)."""
SHAPES = np.array([_SHAPES[name] for name in CLASSES], np.float32)
_SPREAD_STEPS = 1.6
"""Standard deviation of the smoothing in steps: lips begin a sound before it is heard and leave it late."""


def trajectories(labels: Tensor) -> Tensor:
    """Opening and spread [batch, 2, steps] of labels [batch, steps]; ignored stretches count as schwa."""
    known = torch.where(labels == IGNORED, CLASSES.index("schwa"), labels)
    shapes = torch.from_numpy(SHAPES)[known].transpose(1, 2)
    reach = 5
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / _SPREAD_STEPS) ** 2)
    kernel = (kernel / kernel.sum()).expand(2, 1, -1)
    padded = torch.nn.functional.pad(shapes, (reach, reach), mode="replicate")
    return torch.nn.functional.conv1d(padded, kernel, groups=2)


def expected_opening(posteriors: Tensor) -> Tensor:
    """Opening [steps] from class posteriors [steps, classes] by the table alone, smoothed likewise: no real lips used."""
    opening = (posteriors @ torch.from_numpy(SHAPES[:, :1])).T[None]
    reach = 5
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / _SPREAD_STEPS) ** 2)
    padded = torch.nn.functional.pad(opening, (reach, reach), mode="replicate")
    return torch.nn.functional.conv1d(padded, (kernel / kernel.sum())[None, None])[0, 0]
