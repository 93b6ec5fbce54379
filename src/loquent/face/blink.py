"""How closed each eye is, and when it blinks."""

from typing import Final

import numpy as np
from jaxtyping import Float
from scipy.ndimage import median_filter
from scipy.signal import find_peaks, peak_widths

from loquent.errors import PreparationError
from loquent.face import indices
from loquent.face.alignment import aligned_faces, mean_face
from loquent.face.lips import fill_gaps

_OPEN_PERCENTILE: Final = 90.0
"""The clip's own open level: eyes are open most of the time, so a high percentile is robust to looking down and blinking."""
_CLOSED_SHARE: Final = (0.15, 0.45)
"""A closed eye's lid gap as a share of the open one, as MediaPipe sees it: where in this range is read from the clip."""
_BLINK_LEFT, _BLINK_RIGHT = 9, 10  # places in MediaPipe's list of blendshapes


def lid_gaps(points_px: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames 2"]:
    """Mean height of the opening of the right and left eye over the clip's mean eye width, head pose taken out.

    Each frame is laid over the clip's mean face with its rigid points, so turning and nodding do not shorten the gap.

    Raises:
        PreparationError: no frame has landmarks.
    """
    seen = np.isfinite(points_px).all(axis=(1, 2))
    if not seen.any():
        raise PreparationError(
            "No frame shows a face, so blinks cannot be measured. Check that the video shows one person."
        )
    mean = mean_face(points_px[seen].astype(np.float64))
    faces = aligned_faces(points_px, mean)
    eyes = (
        (indices.RIGHT_UPPER_LID, indices.RIGHT_LOWER_LID, indices.RIGHT_EYE_OUTER, indices.RIGHT_EYE_INNER),
        (indices.LEFT_UPPER_LID, indices.LEFT_LOWER_LID, indices.LEFT_EYE_OUTER, indices.LEFT_EYE_INNER),
    )
    gaps = []
    for upper, lower, outer, inner in eyes:
        height = (faces[:, list(lower), 1] - faces[:, list(upper), 1]).mean(axis=1)
        width = np.nanmedian(np.linalg.norm(faces[:, outer] - faces[:, inner], axis=-1))
        gaps.append(height / max(float(width), 1e-9))
    return np.stack(gaps, axis=1)


def eye_closure(
    points_px: Float[np.ndarray, "frames 478 3"], blendshapes: Float[np.ndarray, "frames 52"] | None = None
) -> Float[np.ndarray, "frames 2"]:
    """How closed the person's right and left eye are: 0 open, 1 closed (SPEC 1.5); NaN on frames without landmarks.

    The lid gap is read between the clip's own open level (90th percentile) and closed level (its smallest gaps, if they are
    plausible for closed eyes). Where there are blendshapes, their blink counts half.

    Raises:
        PreparationError: no frame has landmarks.
    """
    gaps = lid_gaps(points_px)
    open_level = np.nanpercentile(gaps, _OPEN_PERCENTILE, axis=0)
    low, high = _CLOSED_SHARE
    closed_level = np.clip(np.nanpercentile(gaps, 0.5, axis=0), low * open_level, high * open_level)
    closed = np.clip((open_level - gaps) / np.maximum(open_level - closed_level, 1e-9), 0, 1)
    if blendshapes is None:
        return np.asarray(closed)
    by_shape = blendshapes[:, [_BLINK_RIGHT, _BLINK_LEFT]].astype(np.float64)
    base = np.nanpercentile(by_shape, 100 - _OPEN_PERCENTILE, axis=0)
    top = np.clip(np.nanpercentile(by_shape, 99.5, axis=0), 0.5, 1.0)
    return np.asarray((closed + np.clip((by_shape - base) / (top - base), 0, 1)) / 2)


def find_blinks(
    closed: Float[np.ndarray, "frames eyes"] | Float[np.ndarray, "frames"],
    fps: float,
    *,
    min_rise: float = 0.35,
    max_duration_s: float = 0.8,
) -> list[tuple[int, int]]:
    """Blinks as frame intervals (first, one past the last), in time order.

    A blink is a peak that stands out by `min_rise` from the closure before and after it and lasts at most
    `max_duration_s` at half its height; longer closures (looking down, sleeping) are none.

    Args:
        closed: closure of both eyes (averaged) or of one; NaN is bridged.
        fps: frames per second.
    """
    one = closed.mean(axis=1) if closed.ndim == 2 else closed
    if not np.isfinite(one).any():
        return []
    level = fill_gaps(one)
    resting = median_filter(level, size=2 * int(fps) + 1, mode="nearest")
    padded = np.pad(level - resting, 1)
    peaks, _ = find_peaks(padded, prominence=min_rise, height=min_rise, wlen=2 * int(fps) + 1)
    widths, _, starts, ends = peak_widths(padded, peaks, rel_height=0.5, wlen=2 * int(fps) + 1)
    blinks: list[tuple[int, int]] = []
    for width, start, end in zip(widths, starts, ends, strict=True):
        first, last = max(int(np.ceil(start)) - 1, 0), min(int(np.floor(end)), len(level))
        if width <= max_duration_s * fps and (not blinks or first >= blinks[-1][1]):
            blinks.append((first, max(last, first + 1)))
    return blinks


__all__ = ["eye_closure", "find_blinks", "lid_gaps"]
