"""How surely nobody is speaking, has just spoken or is about to: where lips come to rest."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from loquent.speech.posteriors import posterior

SILENT_SINCE = 2
"""Steps before each step in which nobody is to have spoken (0.04 s), before the means below. With them lips begin to close
0.2 s before silence, are half closed as it begins and wholly 0.2 s later; a gap of 0.2 s closes them by half."""
SILENT_UNTIL = range(6)
"""Steps after each step in which nobody is to speak (0 to 0.1 s, before the means): lips begin to part 0.2 s before the next
word, are half free as it begins and wholly 0.2 s later. People part them earlier, to breathe, and often hold them open all
through a pause; but no sound says when, and a mouth that hangs open in silence is what viewers see (docs/lips.md: what this
costs)."""
RAMP_STEPS = 8
"""Half width of the means over time (0.16 s): single steps of noise are often taken for a sound, and lips close smoothly."""
SURE = (0.3, 0.45)
"""Where the mean probability of silence begins to count as silence, and where it wholly does."""


def resting(
    kind_name: str, features: Float[Tensor, "all_steps width"], steps: Int[Tensor, "steps"]
) -> Float[Tensor, "steps"]:
    """From 0 = lips are speech's, to 1 = they rest, at some steps of a sound; whatever noise there is.

    The phonetic network says what counts as speech; for other kinds of features nothing does, and the answer is 0. What lies
    before the beginning and after the end of a sound is taken for as silent as its first and last moments. A step looks
    ahead by `SILENT_UNTIL` and two means (0.42 s), beyond what its features heard: a live portrait waits that long.
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
