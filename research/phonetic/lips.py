"""How the lips usually look in each class: what training asks the bottleneck for besides the class itself."""

import numpy as np
import torch
from torch import Tensor

from loquent.speech.articulation import LIP_SHAPES
from loquent.speech.phonetic_net import CLASSES
from research.phonetic.classes import IGNORED

SHAPES = np.array([LIP_SHAPES[name] for name in CLASSES], np.float32)
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
