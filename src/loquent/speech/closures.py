"""How surely a p, b or m is being spoken: where lips meet, whoever speaks."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from loquent.speech.posteriors import posterior

SURE = (0.15, 0.5)
"""Where the probability of a bilabial begins to close the lips, and where it wholly does."""
GLIDE = (0.25, 0.5, 0.25)
"""Weights of a step and its neighbours (0.02 s away): lips take a moment to meet."""
LEAD_STEPS = 2
"""Lips meet this much before the network hears it (0.04 s; docs/lips.md). `loquent prepare` lays sound and lips so."""


def meeting(
    kind_name: str, features: Float[Tensor, "all_steps width"], steps: Int[Tensor, "steps"]
) -> Float[Tensor, "steps"]:
    """From 0 = lips are free, to 1 = they meet for a p, b or m, at some steps of a sound.

    The phonetic network says which sounds these are; for other kinds of features nothing does, and the answer is 0.
    """
    if len(features) == 0 or len(steps) == 0:
        return features.new_zeros(len(steps))
    heard = steps + LEAD_STEPS
    first, end = min(int(heard.min()) - 1, len(features) - 1), int(heard.max()) + 2  # nothing farther off is looked at
    bilabial = posterior("bilabial", kind_name, features[first:end])
    if bilabial is None:
        return features.new_zeros(len(steps))
    sure = ((bilabial - SURE[0]) / (SURE[1] - SURE[0])).clamp(0, 1)
    beyond = 1 + LEAD_STEPS  # after the last step of the sound lips look ahead to this many, where no bilabial is
    glided = functional.conv1d(functional.pad(sure[None, None], (1, beyond)), sure.new_tensor(GLIDE)[None, None])
    return glided[0, 0, heard - first]
