"""How surely nobody is speaking, and has not been for a while: where lips come to rest."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from loquent.speech.phonetic_net import CLASSES

AROUND_STEPS = 37
"""No speech from this long before a step to this long after it (0.74 s at 50 Hz). In shorter pauses people hold their lips as
the next word wants them, or open to breathe, which their clip teaches; in longer ones they close them."""
RAMP_STEPS = 8
"""Half width of the means over time (0.16 s): single steps of noise are often taken for a sound, and lips close smoothly."""
SURE = (0.3, 0.45)
"""Where the mean probability of silence begins to count as silence, and where it wholly does."""


def resting(kind_name: str, features: Float[Tensor, "steps width"]) -> Float[Tensor, "steps"]:
    """From 0 = somebody speaks or is about to, to 1 = nobody, for each step; whatever noise there is.

    The phonetic network says what counts as speech; for other kinds of features nothing does, and the answer is 0. Before the
    beginning and after the end of a sound nobody speaks.
    """
    silence = _silence(kind_name, features) if len(features) else None
    if silence is None:
        return features.new_zeros(len(features))
    sure = ((_mean_around(silence[None, None]) - SURE[0]) / (SURE[1] - SURE[0])).clamp(0, 1)
    reach = 2 * AROUND_STEPS + 1
    least = -functional.max_pool1d(functional.pad(-sure, (AROUND_STEPS, AROUND_STEPS), value=-1.0), reach, stride=1)
    return _mean_around(least)[0, 0]


def _mean_around(values: Float[Tensor, "1 1 steps"]) -> Float[Tensor, "1 1 steps"]:
    """Mean over RAMP_STEPS before and after each step; beyond the ends lies the outermost value again."""
    beyond = functional.pad(values, (RAMP_STEPS, RAMP_STEPS), mode="replicate")
    return functional.avg_pool1d(beyond, 2 * RAMP_STEPS + 1, stride=1)


def _silence(kind_name: str, features: Tensor) -> Float[Tensor, "steps"] | None:
    """Probability that a step is silent; None where the features do not tell."""
    place = CLASSES.index("silence")
    if kind_name in ("phonetic", "phonetic_causal"):
        return features[:, place]
    if kind_name == "mel_phonetic":
        from loquent.speech.mel_phonetic import posteriors  # loads the network

        return posteriors(features)[:, place]
    return None


__all__ = ["resting"]
