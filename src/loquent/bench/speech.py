"""Speed of the speech features that need no download, on one thread: how much sound a second of computing hears."""

import numpy as np

from loquent.bench.clock import Case, Competitor
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.speech.kinds import extract

SECONDS = 20.0
"""Length of the sound."""


def features(kind: str, seconds: float = SECONDS) -> Case:
    """Features of noise: what is heard does not change how much there is to compute."""
    n_samples = round(seconds * SAMPLE_RATE_HZ)
    sound = (0.05 * np.random.default_rng(0).standard_normal(n_samples)).astype(np.float32)
    body = Competitor(lambda: extract(kind, sound))
    return Case(f"{seconds:g} s of sound, one thread", seconds, "seconds of sound", {kind: body}, threads=1)
