"""How far the mouth is open and wide, and the figures that compare such signals over time."""

import numpy as np
from jaxtyping import Float
from scipy.signal import butter, sosfiltfilt

from loquent.errors import InputError
from loquent.face import indices


def lip_opening(points: Float[np.ndarray, "frames landmarks axes"]) -> Float[np.ndarray, "frames"]:
    """Distance between the inner lips' middles (13, 14) over that of the outer eye corners (33, 263); about 0 to 0.5."""
    return np.asarray(_distance(points, indices.UPPER_LIP_INNER, indices.LOWER_LIP_INNER) / eye_distance(points))


def lip_width(points: Float[np.ndarray, "frames landmarks axes"]) -> Float[np.ndarray, "frames"]:
    """Distance between the mouth's corners (61, 291) over that of the outer eye corners (33, 263); about 0.4 to 0.8."""
    return np.asarray(_distance(points, indices.RIGHT_MOUTH_CORNER, indices.LEFT_MOUTH_CORNER) / eye_distance(points))


def eye_distance(points: Float[np.ndarray, "frames landmarks axes"]) -> Float[np.ndarray, "frames"]:
    """Distance between the outer eye corners (33, 263) in the picture, in the units of `points`: the scale that makes
    distances comparable between frames and clips."""
    return _distance(points, indices.RIGHT_EYE_OUTER, indices.LEFT_EYE_OUTER)


def _distance(points: np.ndarray, one: int, other: int) -> np.ndarray:
    return np.asarray(np.linalg.norm(points[:, one, :2] - points[:, other, :2], axis=-1))


def fill_gaps(signal: Float[np.ndarray, "frames"]) -> Float[np.ndarray, "frames"]:
    """Replace NaN by linear interpolation over time; ends repeat the nearest value.

    Raises:
        InputError: every value is NaN.
    """
    known = np.flatnonzero(np.isfinite(signal))
    if len(known) == 0:
        raise InputError("The signal holds no value at all: no frame of it shows the face. Leave this clip out.")
    return np.interp(np.arange(len(signal)), known, signal[known])


def high_pass(signal: Float[np.ndarray, "frames"], fps: float, cutoff_hz: float = 0.5) -> Float[np.ndarray, "frames"]:
    """Take slow drift (posture, tracking) out of a signal without shifting it in time, before it is compared with another.

    A Butterworth filter of second order run forwards and backwards; gaps (NaN) are bridged for the filter and stay NaN.

    Raises:
        InputError: the cutoff is not below half the frame rate, or there is no value.
    """
    if not 0 < cutoff_hz < fps / 2:
        raise InputError(
            f"The cutoff must lie between 0 and {fps / 2:g} Hz (half of {fps:g} fps), not at {cutoff_hz:g} Hz."
        )
    filled = fill_gaps(signal)
    padding = min(len(filled) - 1, int(2 * fps / cutoff_hz))
    passed = sosfiltfilt(butter(2, cutoff_hz, "highpass", fs=fps, output="sos"), filled, padlen=padding)
    return np.where(np.isfinite(signal), passed, np.nan)


def correlation_and_lag(
    a: Float[np.ndarray, "frames"], b: Float[np.ndarray, "frames_of_b"], fps: float, *, max_lag_s: float = 0.4
) -> tuple[float, float, float]:
    """Pearson correlation of two signals at lag 0, the lag at which it is largest, and its value there.

    Args:
        a, b: signals at `fps`; frames where either is NaN do not count.
        max_lag_s: lags up to this are tried, in whole frames.

    Returns:
        correlation at lag 0, best lag in seconds (positive: `b` comes later than `a`), correlation at the best lag. Signals
        without variance correlate by 0.

    Raises:
        InputError: the signals differ in length.
    """
    if len(a) != len(b):
        raise InputError(f"Signals to correlate must be equally long, but have {len(a)} and {len(b)} frames.")
    longest = min(round(max_lag_s * fps), max(len(a) - 3, 0))
    lags = sorted(range(-longest, longest + 1), key=abs)
    values = [
        correlation(a[max(0, -lag) : len(a) - max(0, lag)], b[max(0, lag) : len(b) + min(0, lag)]) for lag in lags
    ]
    best = int(np.argmax(values))
    return values[0], lags[best] / fps, values[best]


def correlation(a: Float[np.ndarray, "frames"], b: Float[np.ndarray, "frames"]) -> float:
    """Pearson correlation of two signals over the frames where neither is NaN; 0 for fewer than 3 of them or no variance."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3:
        return 0.0
    a, b = a[both] - a[both].mean(), b[both] - b[both].mean()
    strength = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / strength) if strength > 1e-12 else 0.0


__all__ = ["correlation", "correlation_and_lag", "eye_distance", "fill_gaps", "high_pass", "lip_opening", "lip_width"]
