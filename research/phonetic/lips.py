"""How the lips usually look in each class: what training asks the bottleneck for besides the class."""

import torch
from torch import Tensor

from loquent.speech.phonetic_net import CLASSES
from loquent.speech.usual_lips import usual_lips
from research.phonetic.classes import IGNORED


def trajectories(labels: Tensor) -> Tensor:
    """Opening and spread [batch, 2, steps] of labels [batch, steps]; ignored stretches count as schwa."""
    known = torch.where(labels == IGNORED, CLASSES.index("schwa"), labels)
    return usual_lips(torch.nn.functional.one_hot(known, len(CLASSES)).float())
