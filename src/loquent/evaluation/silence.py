"""Is the mouth shut when nothing is said?"""

import numpy as np
from jaxtyping import Bool, Float, Int

BELOW_SPEECH_DB = 25.0
"""Sound this far below the loud parts (90th percentile) is silence."""
AROUND_S = 0.1
"""A frame is silent when the sound is, from this long before it to this long after."""
LEAST_FRAMES = 5
"""Fewer silent frames than this say nothing."""
_BLOCK_S = 0.02


def silent_frames(
    waveform: Float[np.ndarray, "samples"], sample_rate_hz: int, frame_ids: Int[np.ndarray, "frames"], fps: float
) -> Bool[np.ndarray, "frames"]:
    """Which frames of the timeline fall into silence; frames beyond the sound's end do not count as silent."""
    size = round(_BLOCK_S * sample_rate_hz)
    n_blocks = waveform.size // size
    if n_blocks == 0:
        return np.zeros(len(frame_ids), bool)
    power = np.square(waveform[: n_blocks * size].reshape(n_blocks, size), dtype=np.float64).mean(axis=1)
    audible = power[power > 0]
    loud = float(np.percentile(audible, 90)) if audible.size else 0.0
    is_loud = np.concatenate([[0], np.cumsum(power > loud * 10 ** (-BELOW_SPEECH_DB / 10))])
    middle = frame_ids / fps / _BLOCK_S
    first = np.clip(np.floor(middle - AROUND_S / _BLOCK_S).astype(int), 0, n_blocks)
    last = np.clip(np.ceil(middle + AROUND_S / _BLOCK_S).astype(int), 0, n_blocks)
    return np.asarray((is_loud[last] == is_loud[first]) & (last > first))


def opening_in_silence(opening: Float[np.ndarray, "frames"], is_silent: Bool[np.ndarray, "frames"]) -> float | None:
    """Mean lip opening over silent frames that show the face; None when there are fewer than LEAST_FRAMES."""
    known = opening[is_silent & np.isfinite(opening)]
    return float(known.mean()) if known.size >= LEAST_FRAMES else None
