"""The default: what the sound is like (log-mel), what is being said (the bottleneck of the phonetic features), and what that
asks of anybody's lips (`loquent.speech.usual_lips`), side by side.

Learned from seconds of one person, each leads to lips that the others miss; the mean of their predictions is steadier than any.
The posteriors are left out: the bottleneck says more.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from loquent.speech.kinds import SpeechKind, speech_kind
from loquent.speech.log_mel import LogMel
from loquent.speech.phonetic import Phonetic
from loquent.speech.phonetic_net import CLASSES
from loquent.speech.usual_lips import lip_claims


class MelPhonetic:
    """Computes the kind ``"mel_phonetic"``."""

    @property
    def kind(self) -> SpeechKind:
        """Which kind it computes."""
        return speech_kind("mel_phonetic")

    def extract(self, waveform: Float[np.ndarray, "samples"], sample_rate_hz: int) -> Float[Tensor, "steps width"]:
        """Features of a whole sound in [-1, 1], brought to a common loudness; ceil(seconds * 50) steps."""
        spectra = LogMel().extract(waveform, sample_rate_hz)
        phones = Phonetic().extract(waveform, sample_rate_hz)
        heard, neck = phones[:, : len(CLASSES)], phones[:, len(CLASSES) :]
        return torch.cat([spectra, neck, lip_claims(heard)], dim=1)
