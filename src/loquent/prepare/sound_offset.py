"""How late the sound of a video is against the lips, measured from the clip alone.

The phonetic network says which sounds are heard, and tables how anybody's lips would open and spread for them
(`loquent.speech.usual_lips`). Nothing is fitted to the clip, so a few seconds of speech suffice: for every candidate offset,
how well the person's own lips agree with the usual ones says how likely it is. That is joined with what is known beforehand,
most videos being in sync to a frame or two, and with the chance that this sound does not belong to these lips at all. So a clip
that is too short, silent or dubbed answers "no offset, but that is a guess" instead of a wild number.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from loquent.face.lips import correlation, high_pass
from loquent.media.rates import FPS
from loquent.speech.closures import LEAD_STEPS
from loquent.speech.kinds import extract, speech_kind
from loquent.speech.phonetic_net import CLASSES
from loquent.speech.usual_lips import usual_lips

CANDIDATES_S = np.round(np.arange(-0.5, 0.501, 0.02), 2)
"""Offsets that are tried, in seconds."""
LIPS_LEAD_S = LEAD_STEPS / speech_kind("phonetic").rate_hz
"""Lips take a sound's shape this much before the network hears it, in the median of a dozen films (0.01 s in the studio
recordings of eleven other people); so an offset is known to some hundredths of a second only."""
APPLY_FROM = 0.8
"""Offsets found with less confidence are shown, but not taken out."""
_FRAMES_PER_SAMPLE = 4.0
"""Neighbouring frames repeat each other: this many count as one independent observation (docs/results.md)."""
_PRIOR = ((0.7, 0.04), (0.3, 0.25))
"""(weight, standard deviation in s) of two bells around 0: in sync to a frame or so, or off by anything."""
_UNRELATED = 0.5
"""Belief beforehand that the lips do not follow this sound, which the agreement must outweigh."""
_TOLERANCE_S = 0.06
_MIN_FRAMES = 50
_QUIET = 1e-4


@dataclass(frozen=True)
class SoundOffset:
    """How late the sound is."""

    measured_s: float
    """Best estimate; positive = sound after the lips."""
    confidence: float
    """Probability that the estimate is right to 0.06 s; 0 = could not be measured."""
    applied_s: float
    """What was taken out of the sound; 0 when the estimate is not certain enough."""
    correlation: float = 0.0
    """Of the lips' opening with the usual one under this sound, at the best offset: 0.3 to 0.7 for someone who speaks."""


def measure_sound_offset(
    opening: Float[np.ndarray, "frames"],
    width: Float[np.ndarray, "frames"],
    frame_ids: Int[np.ndarray, "frames"],
    waveform: Float[np.ndarray, "samples"],
    fps: float = FPS,
) -> SoundOffset:
    """Find how late the sound is against the lips.

    Args:
        opening, width: distances between the lips and between their corners in any unit, one per usable frame.
        frame_ids: the frames' places on the timeline, ascending.
        waveform: sound at 16 kHz whose sample 0 is meant to belong to frame 0.
        fps: frames per second of the timeline.
    """
    if len(opening) < _MIN_FRAMES or np.ptp(opening) < 1e-6 or np.abs(waveform).max(initial=0.0) < _QUIET:
        return SoundOffset(0.0, 0.0, 0.0)
    features = extract("phonetic", waveform)
    expected = _expected(features)
    time_s = frame_ids / fps + LIPS_LEAD_S
    agreement = np.array(
        [
            [_agreement(expected[curve], time_s + offset_s, lips) for offset_s in CANDIDATES_S]
            for curve, lips in enumerate(_steady(lips, frame_ids, fps) for lips in (opening, width))
        ]
    )  # [2, candidates]
    # A Gaussian error that lips explain by a share r² makes them likelier by (1 - r²)^(-n/2) than if they had nothing to do
    # with the sound; lips that move against it speak for nothing.
    log_ratio = -0.5 * len(opening) / _FRAMES_PER_SAMPLE * np.log(1 - agreement.clip(0, 0.99) ** 2).sum(axis=0)
    prior = sum(w / std * np.exp(-0.5 * np.square(CANDIDATES_S / std)) for w, std in _PRIOR)
    belief = (1 - _UNRELATED) * prior / prior.sum() * np.exp(log_ratio - log_ratio.max())
    belief /= belief.sum() + _UNRELATED * np.exp(-log_ratio.max())
    near = np.abs(CANDIDATES_S[:, None] - CANDIDATES_S[None]) <= _TOLERANCE_S + 1e-6
    best = int(np.argmax(near @ belief))
    confidence = float(near[best] @ belief)
    measured_s = round(float(near[best] * belief @ CANDIDATES_S) / confidence, 3)
    return SoundOffset(
        measured_s=measured_s,
        confidence=round(confidence, 3),
        applied_s=measured_s if confidence >= APPLY_FROM else 0.0,
        correlation=round(float(agreement[0, best]), 3),
    )


def _expected(features: Float[Tensor, "steps width"]) -> Float[np.ndarray, "2 steps"]:
    """Usual opening and spread under the sound, without slow changes."""
    curves = usual_lips(features[None, :, : len(CLASSES)].to(torch.float32))[0].double().numpy()
    return np.stack([high_pass(curve, float(speech_kind("phonetic").rate_hz)) for curve in curves])


def _steady(
    signal: Float[np.ndarray, "frames"], frame_ids: Int[np.ndarray, "frames"], fps: float
) -> Float[np.ndarray, "frames"]:
    """Without posture and drift, which fake agreement with anything slow. The filter needs an even timeline."""
    timeline = np.full(int(frame_ids[-1]) + 1, np.nan)
    timeline[frame_ids] = signal
    return np.asarray(high_pass(timeline, fps)[frame_ids])


def _agreement(
    expected: Float[np.ndarray, "steps"], time_s: Float[np.ndarray, "frames"], lips: Float[np.ndarray, "frames"]
) -> float:
    """Correlation of the lips with what is expected at these times of the sound; beyond its ends nothing is."""
    steps = np.arange(len(expected)) / speech_kind("phonetic").rate_hz
    return correlation(np.interp(time_s, steps, expected, left=0.0, right=0.0), lips)
