"""What the phonetic network makes of a sound, read from whichever speech features hold it."""

import torch
from jaxtyping import Float
from torch import Tensor

from loquent.speech.kinds import PARTS
from loquent.speech.phonetic import phonetic_net
from loquent.speech.phonetic_net import CLASSES

PHONETIC_KINDS = ("phonetic", "phonetic_causal", "mel_phonetic")
"""Kinds of features that hold what the phonetic network heard."""


@torch.no_grad()
def posteriors(features: Float[Tensor, "steps width"]) -> Float[Tensor, "steps classes"]:
    """Probabilities of `CLASSES` from features of the kind ``"mel_phonetic"``, whose bottleneck determines them."""
    _, neck, _ = torch.split(features.to(torch.float32), list(PARTS["mel_phonetic"]), dim=1)
    scores: Tensor = phonetic_net().classes(neck.T[None])[0].T
    return scores.softmax(dim=1)


def posterior(name: str, kind_name: str, features: Float[Tensor, "steps width"]) -> Float[Tensor, "steps"] | None:
    """Probability of one of `CLASSES` at each step; None where features of this kind do not tell."""
    place = CLASSES.index(name)
    if kind_name not in PHONETIC_KINDS:
        return None
    return (posteriors(features) if kind_name == "mel_phonetic" else features)[:, place]
