"""Phonetic features: which kind of sound is spoken, whoever speaks it, in whatever language and room.

A small network (`phonetic_net`) trained on synthetic speech only (``research/phonetic``) turns log-mel energies into
posteriors over articulatory classes and a bottleneck of what it knows beyond them. docs/phonetic-encoder.md is its model card.

Step j is the sound around j / 50 s: two spectra of 25 ms, 5 ms before and after it, and what the network heard earlier
and up to the kind's look-ahead later. As for log-mel, a sound is first brought to a common speech level.
"""

from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from jaxtyping import Float
from safetensors.torch import load
from torch import Tensor

from loquent.media.audio import resample
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.speech.kinds import SpeechKind, speech_kind
from loquent.speech.log_mel import log_energies, speech_gain
from loquent.speech.phonetic_net import CLASSES, FURTHER, INPUT_WIDTH, NECK_WIDTH, TRUNK, PhoneticNet, steps_ahead

WEIGHTS = "phonetic.safetensors"
WINDOW = 400
SPECTRUM_HOP = 160
HOP = 2 * SPECTRUM_HOP
_BEFORE = (WINDOW + SPECTRUM_HOP) // 2
"""Samples from the beginning of a step's first window to the step's own time."""


class Phonetic:
    """Computes the kind ``"phonetic"``."""

    kind_name = "phonetic"

    @property
    def kind(self) -> SpeechKind:
        """Which kind it computes."""
        return speech_kind(self.kind_name)

    def extract(self, waveform: Float[np.ndarray, "samples"], sample_rate_hz: int) -> Float[Tensor, "steps width"]:
        """Features of a whole sound in [-1, 1], brought to a common loudness; ceil(seconds * 50) steps."""
        if sample_rate_hz != SAMPLE_RATE_HZ:
            waveform = resample(waveform.astype(np.float32), sample_rate_hz, SAMPLE_RATE_HZ)
        stream = PhoneticStream(gain=speech_gain(waveform), causal=self.kind_name == "phonetic_causal")
        return torch.cat([stream.push(waveform), stream.finish()])


class PhoneticCausal(Phonetic):
    """Computes the kind ``"phonetic_causal"``."""

    kind_name = "phonetic_causal"


class PhoneticStream:
    """Features of a sound that arrives in chunks of any size; the same numbers as for the whole sound with the same gain.

    The first 22 of a step are the posteriors over `CLASSES`, which sum to 1; the other 42 are the bottleneck, of about
    unit variance in speech.
    """

    def __init__(self, *, gain: float = 1.0, causal: bool = False):
        """`gain` multiplies the sound; `speech_gain` of some seconds of it is a good one."""
        self._net, self._causal, self._gain = phonetic_net(), causal, gain
        self._memories = self._net.memories(1, causal=causal)
        self._late = steps_ahead(TRUNK if causal else TRUNK + FURTHER)
        self._to_drop = self._late
        self._waiting = torch.zeros(_BEFORE)  # the sound from the beginning of the next step's first window on
        self._n_samples = 0
        self._n_steps = 0

    def push(self, chunk: Float[np.ndarray, "samples"]) -> Float[Tensor, "steps width"]:
        """Add samples at 16 kHz; returns the steps that can now be known, perhaps none."""
        self._n_samples += chunk.size
        fresh = torch.from_numpy(np.ascontiguousarray(chunk, np.float32)) * self._gain
        self._waiting = torch.cat([self._waiting, fresh])
        return self._heard(max(0, (self._waiting.numel() - WINDOW - SPECTRUM_HOP) // HOP + 1))

    def finish(self) -> Float[Tensor, "steps width"]:
        """The last steps, as if silence followed."""
        n_left = -(-self._n_samples // HOP) - self._n_steps
        if self._n_samples == 0:
            return self._heard(0)
        n_left += self._late
        missing = (n_left - 1) * HOP + WINDOW + SPECTRUM_HOP - self._waiting.numel()
        self._waiting = torch.cat([self._waiting, torch.zeros(max(0, missing))])
        return self._heard(n_left)

    @torch.no_grad()
    def _heard(self, n_steps: int) -> Float[Tensor, "steps width"]:
        if n_steps == 0:
            return torch.zeros(0, len(CLASSES) + NECK_WIDTH)
        inputs = network_inputs(self._waiting[: (n_steps - 1) * HOP + WINDOW + SPECTRUM_HOP])
        self._waiting = self._waiting[n_steps * HOP :]
        self._n_steps += n_steps
        neck, scores, self._memories = self._net(inputs.T[None], self._memories, causal=self._causal)
        features = torch.cat([scores.softmax(dim=1), neck], dim=1)[0].T
        dropped = min(self._to_drop, n_steps)
        self._to_drop -= dropped
        return features[dropped:]


def network_inputs(sound: Float[Tensor, "samples"]) -> Float[Tensor, "steps inputs"]:
    """Log energies of every two windows, side by side: what the network hears at each step."""
    energies = log_energies(sound.unfold(0, WINDOW, SPECTRUM_HOP))
    return energies[: len(energies) // 2 * 2].reshape(-1, INPUT_WIDTH)


@lru_cache(maxsize=1)
def phonetic_net() -> PhoneticNet:
    """The shipped network."""
    net = PhoneticNet()
    weights = load((files("loquent.speech") / WEIGHTS).read_bytes())
    net.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return net.eval().requires_grad_(False)


__all__ = ["CLASSES", "Phonetic", "PhoneticCausal", "PhoneticStream", "network_inputs", "phonetic_net"]
