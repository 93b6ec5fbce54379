"""How surely nobody is speaking, has just spoken or is about to: where lips come to rest."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from loquent.speech.posteriors import posterior

SILENT_SINCE = 5
"""Steps before each step in which nobody is to have spoken (0.1 s), before the means below. With them lips begin to close a
little before the last word ends, as lips do, are a third closed at its end and wholly a quarter of a second later."""
SILENT_UNTIL = range(20, 31)
"""Steps after each step in which nobody is to speak (0.4 to 0.6 s, before the means): lips begin to part three quarters of a
second before the next word and are free 0.2 s before it. People breathe then, and take the word's shape: on training frames of
a public address they are open by 0.44 of their range in the last 0.3 s before a word, by 0.23 from 0.2 to 0.4 s after one."""
RAMP_STEPS = 8
"""Half width of the means over time (0.16 s): single steps of noise are often taken for a sound, and lips close smoothly."""
SURE = (0.3, 0.45)
"""Where the mean probability of silence begins to count as silence, and where it wholly does."""


def resting(
    kind_name: str, features: Float[Tensor, "all_steps width"], steps: Int[Tensor, "steps"]
) -> Float[Tensor, "steps"]:
    """From 0 = lips are speech's, to 1 = they rest, at some steps of a sound; whatever noise there is.

    The phonetic network says what counts as speech; for other kinds of features nothing does, and the answer is 0. Before the
    beginning and after the end of a sound nobody speaks.
    """
    if len(features) == 0 or len(steps) == 0:
        return features.new_zeros(len(steps))
    first = max(int(steps.min()) - SILENT_SINCE - 2 * RAMP_STEPS, 0)  # nothing farther off is looked at
    end = int(steps.max()) + SILENT_UNTIL[-1] + 2 * RAMP_STEPS + 1
    silence = posterior("silence", kind_name, features[first:end])
    if silence is None:
        return features.new_zeros(len(steps))
    sure = ((_mean_around(silence[None, None]) - SURE[0]) / (SURE[1] - SURE[0])).clamp(0, 1)
    share = torch.stack([_least_around(sure, SILENT_SINCE, until) for until in SILENT_UNTIL]).mean(dim=0)
    return _mean_around(share)[0, 0, steps - first]


def _least_around(values: Float[Tensor, "1 1 steps"], before: int, after: int) -> Float[Tensor, "1 1 steps"]:
    """Least value from `before` steps ahead of each step to `after` steps past it; beyond the ends lies 1."""
    padded = functional.pad(-values, (before, after), value=-1.0)
    return -functional.max_pool1d(padded, before + after + 1, stride=1)


def _mean_around(values: Float[Tensor, "1 1 steps"]) -> Float[Tensor, "1 1 steps"]:
    """Mean over RAMP_STEPS before and after each step; beyond the ends lies the outermost value again."""
    beyond = functional.pad(values, (RAMP_STEPS, RAMP_STEPS), mode="replicate")
    return functional.avg_pool1d(beyond, 2 * RAMP_STEPS + 1, stride=1)
