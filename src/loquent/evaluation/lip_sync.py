"""Do the lips move as the real ones do, and at the same time? Compared as curves of lip opening over time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from loquent.face.lips import correlation_and_lag, high_pass

CUTOFF_HZ = 0.5
"""Slower changes are posture and tracking drift, which fake correlations."""
LEAST_FRAMES = 25
"""Fewer frames with both faces than this say nothing."""
APART_S = 0.5
"""Curves shifted by more than this count as unrelated."""
LEAST_SHIFTS = 10


@dataclass(frozen=True)
class LipSync:
    """How one curve of lip openings follows another, both high-passed."""

    correlation: float
    """Pearson correlation at lag 0."""
    lag_frames: int
    """Shift at which they correlate best, within ±0.4 s; positive: the rendered lips are late."""
    lag_s: float
    """The same in seconds."""
    best_correlation: float
    """Correlation at that lag."""
    chance_correlation: float | None
    """95 % of the correlations lie below this when the rendered curve is rolled by more than half a second: what so few
    frames can reach by accident. None for clips too short to say."""
    opening_std: float
    """Standard deviation of the rendered lips' opening, in distances between the outer eye corners."""
    n_frames: int
    """Frames in which both faces were found."""


def lip_sync(
    rendered: Float[np.ndarray, "frames"],
    truth: Float[np.ndarray, "frames"],
    frame_ids: Int[np.ndarray, "frames"],
    fps: float,
) -> LipSync | None:
    """Compare the lip openings of rendered and real frames.

    Args:
        rendered, truth: `loquent.face.lips.lip_opening`, or `lip_width`; NaN where no face was found.
        frame_ids: places on the timeline, ascending. Where some are left out the curves have gaps, so that a lag stays a time.
        fps: frames per second of the timeline.

    Returns:
        None when fewer than LEAST_FRAMES frames show both faces.
    """
    n_frames = int((np.isfinite(rendered) & np.isfinite(truth)).sum())
    if n_frames < LEAST_FRAMES:
        return None
    ours, theirs = (high_pass(_on_timeline(curve, frame_ids), fps, CUTOFF_HZ) for curve in (rendered, truth))
    correlation, lag_s, best = correlation_and_lag(theirs, ours, fps)
    return LipSync(
        correlation=correlation,
        lag_frames=round(lag_s * fps),
        lag_s=lag_s,
        best_correlation=best,
        chance_correlation=_chance(ours, theirs, fps),
        opening_std=float(np.nanstd(ours)),
        n_frames=n_frames,
    )


def _on_timeline(
    curve: Float[np.ndarray, "frames"], frame_ids: Int[np.ndarray, "frames"]
) -> Float[np.ndarray, "moments"]:
    """The curve with NaN at the moments whose frames were dropped."""
    dense = np.full(int(frame_ids[-1] - frame_ids[0]) + 1, np.nan)
    dense[frame_ids - frame_ids[0]] = curve
    return dense


def _chance(ours: np.ndarray, theirs: np.ndarray, fps: float) -> float | None:
    apart = int(APART_S * fps) + 1
    shifts = range(apart, len(ours) - apart + 1)
    if len(shifts) < LEAST_SHIFTS:
        return None
    reached = [correlation_and_lag(theirs, np.roll(ours, shift), fps, max_lag_s=0.0)[0] for shift in shifts]
    return float(np.quantile(reached, 0.95))
