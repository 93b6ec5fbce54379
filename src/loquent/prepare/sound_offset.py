"""How late the sound of a video is against the lips, measured from the clip alone, without any trained network.

For every candidate offset a ridge regression predicts the lip opening from the sound around that moment; how well it predicts
parts of the clip it was not fitted on says how likely the offset is. The regression sees only 0.12 s of sound: a wide window
would absorb the offset it is meant to find. The likelihood is joined with what is known beforehand (most videos are in sync
to a frame or two), so a short or silent clip answers "no offset, but that is a guess" instead of a wild number.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from loquent.face.lips import high_pass
from loquent.media.rates import FPS
from loquent.speech.kinds import extract, speech_kind

CANDIDATES_S = np.round(np.arange(-0.5, 0.501, 0.02), 2)
"""Offsets that are tried, in seconds."""
LIPS_LEAD_S = 0.03
"""Lips part before they are heard: clips that are in sync measure about this much (0.03 to 0.04 s in five broadcasts)."""
APPLY_FROM = 0.8
"""Offsets found with less confidence are shown, but not taken out."""
_CONTEXT_S = (-0.04, 0.0, 0.04)
_N_BANDS = 12
_STEPS_HZ = 100
_RIDGE = 0.3
_N_FOLDS = 5
_FRAMES_PER_SAMPLE = 5.0
"""Neighbouring frames repeat each other: this many count as one independent observation. At 5, all of 41 pieces of real
clips whose confidence exceeded 0.7 were right to 0.06 s; at 2, one in four was not."""
_PRIOR = ((0.7, 0.04), (0.3, 0.25))
"""(weight, standard deviation in s) of two bells around 0: in sync to a frame or so, or off by anything."""
_TOLERANCE_S = 0.06
_MIN_FRAMES = 100


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
    """How well sound predicts the lips at the best offset on parts not fitted on: 0.3 to 0.7 for someone who speaks."""


def measure_sound_offset(
    opening: Float[np.ndarray, "frames"],
    frame_ids: Int[np.ndarray, "frames"],
    waveform: Float[np.ndarray, "samples"],
    fps: float = FPS,
) -> SoundOffset:
    """Find how late the sound is against the lips.

    Args:
        opening: distance of the lips in any unit, one per usable frame.
        frame_ids: the frames' place on the timeline.
        waveform: sound at 16 kHz whose sample 0 is meant to belong to frame 0.
        fps: frames per second of the timeline.
    """
    if len(opening) < _MIN_FRAMES or np.ptp(opening) < 1e-6 or np.abs(waveform).max(initial=0.0) < 1e-4:
        return SoundOffset(0.0, 0.0, 0.0)
    # Posture and tracking drift fake correlations with anything slow. The filter needs an even timeline.
    timeline = np.full(int(frame_ids[-1]) + 1, np.nan)
    timeline[frame_ids] = opening
    target = high_pass(timeline, fps)[frame_ids]
    bands = _speech_bands(waveform)
    time_s = frame_ids / fps
    reach_s = CANDIDATES_S[-1] + LIPS_LEAD_S + _CONTEXT_S[-1]
    heard = (time_s >= reach_s) & (time_s <= len(bands) / _STEPS_HZ - reach_s)
    if heard.sum() < _MIN_FRAMES:
        return SoundOffset(0.0, 0.0, 0.0)
    target, time_s = target[heard] / target[heard].std(), time_s[heard]
    remaining = np.array([_unexplained(bands, time_s + LIPS_LEAD_S + offset_s, target) for offset_s in CANDIDATES_S])
    log_likelihood = -0.5 * len(target) / _FRAMES_PER_SAMPLE * np.log(remaining)
    prior = sum(w / std * np.exp(-0.5 * np.square(CANDIDATES_S / std)) for w, std in _PRIOR)
    belief = prior * np.exp(log_likelihood - log_likelihood.max())
    belief /= belief.sum()
    near = np.abs(CANDIDATES_S[:, None] - CANDIDATES_S[None]) <= _TOLERANCE_S + 1e-6
    best = int(np.argmax(near @ belief))
    confidence = float(near[best] @ belief)
    measured_s = round(float(near[best] * belief @ CANDIDATES_S) / confidence, 3)
    correlation = round(float(np.sqrt(max(0.0, 1 - remaining.min()))), 3)
    return SoundOffset(measured_s, round(confidence, 3), measured_s if confidence >= APPLY_FROM else 0.0, correlation)


def _speech_bands(waveform: Float[np.ndarray, "samples"]) -> Float[np.ndarray, "steps bands"]:
    """Log-mel features in few bands, each at zero mean and unit variance, a hundred times a second."""
    features = extract("log_mel", waveform).numpy()
    bands = np.stack([part.mean(axis=1) for part in np.array_split(features, _N_BANDS, axis=1)], axis=1)
    zoom = _STEPS_HZ // speech_kind("log_mel").rate_hz
    steps = np.arange(zoom * len(bands)) / zoom
    bands = np.stack([np.interp(steps, np.arange(len(bands)), band) for band in bands.T], axis=1)
    return np.asarray((bands - bands.mean(axis=0)) / (bands.std(axis=0) + 1e-6))


def _unexplained(
    bands: Float[np.ndarray, "steps bands"],
    time_s: Float[np.ndarray, "frames"],
    target: Float[np.ndarray, "frames"],
) -> float:
    """Share of the target's variance that sound at `time_s` does not predict on parts of the clip not fitted on."""
    moments = [np.round((time_s + shift_s) * _STEPS_HZ).astype(int) for shift_s in _CONTEXT_S]
    inputs = np.concatenate([bands[np.clip(at, 0, len(bands) - 1)] for at in moments], axis=1)
    fold = np.arange(len(target)) * _N_FOLDS // len(target)
    errors = np.zeros(len(target))
    for held_out in range(_N_FOLDS):
        fitted = fold != held_out
        middle, level = inputs[fitted].mean(axis=0), target[fitted].mean()
        x, y = inputs[fitted] - middle, target[fitted] - level
        weights = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(x.shape[1]), x.T @ y)
        errors[~fitted] = target[~fitted] - level - (inputs[~fitted] - middle) @ weights
    return float(np.square(errors).mean() / target.var())
