"""The static plate behind the person, and whether the camera stood still.

Calling order in `prepare`: segment a sub-sample of frames with `loquent.face.segmentation.PersonSegmenter`, give frames and
mattes to :func:`estimate_background`, then use the plate for every frame's mattes (`loquent.prepare.mattes`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from loquent.errors import PreparationError
from loquent.prepare.filling import fill_smoothly

ReadFrame = Callable[[int], UInt8[np.ndarray, "height width 3"]]
ReadMatte = Callable[[int], Float[np.ndarray, "height width"]]

_NEAR_PX = 5.0
"""A pixel this near to the person may hold hair or shadow (SPEC 1.9.5 has the same figure), at 450 pixels of height."""
_FAR_PX = 16.0
"""From here on a pixel is surely background; such sightings are preferred."""
_MIN_FAR_SHARE = 0.1
"""Share of the frames that must see a pixel from afar before nearer sightings are ignored."""
_STRIP_BYTES = 1 << 24


@dataclass(frozen=True)
class BackgroundPlate:
    """What stands behind the person."""

    image: UInt8[np.ndarray, "height width 3"]
    """RGB; smoothly in-painted where never seen, grey if nothing ever was."""
    seen: Bool[np.ndarray, "height width"]
    """Where at least one frame showed the background."""
    noise_std: Float[np.ndarray, "height width"]
    """Robust standard deviation over time, in grey levels of 0..255: camera noise, or large where something moved."""


def estimate_background(
    frame: ReadFrame, person: ReadMatte, n_frames: int, *, max_samples: int = 96, max_bytes: int = 200 << 20
) -> BackgroundPlate:
    """The plate: per pixel a robust mean over the frames in which the person was far enough away (SPEC 1.9.5).

    Args:
        frame: reads frame i, uint8 RGB, all of one size.
        person: reads its person matte in [0, 1].
        n_frames: number of frames; an even sub-sample is read, each once, in ascending order.
        max_samples: largest number of frames read.
        max_bytes: bound on the memory that the read frames take; fewer are read when they are large.

    Raises:
        PreparationError: there is no frame.
    """
    if n_frames < 1:
        raise PreparationError("The background cannot be estimated from a video without usable frames.")
    first = frame(0)
    height, width = first.shape[:2]
    n_samples = max(1, min(n_frames, max_samples, max_bytes // (4 * height * width)))
    scale = height / 450
    frames = np.empty((n_samples, height, width, 3), np.uint8)
    distances = np.empty((n_samples, height, width), np.uint8)
    for k, i in enumerate(np.linspace(0, n_frames - 1, n_samples).round().astype(int).tolist()):
        frames[k] = first if k == 0 else frame(i)
        distances[k] = np.minimum(_distance_from(person(i) >= 0.3) / scale, 255)
    image = np.zeros((height, width, 3), np.float32)
    seen = np.zeros((height, width), bool)
    noise = np.zeros((height, width), np.float32)
    rows = max(1, _STRIP_BYTES // (n_samples * width * 3))
    for top in range(0, height, rows):
        strip = slice(top, top + rows)
        image[strip], seen[strip], noise[strip] = _robust_mean(frames[:, strip], distances[:, strip])
    # A person who always fills the picture leaves nothing to see or to fill from: the plate is grey and stays hidden.
    image = fill_smoothly(image, seen) if seen.any() else np.full_like(image, 127.0)
    noise = np.where(seen, cv2.blur(noise, (3, 3)), 0.0).astype(np.float32)
    return BackgroundPlate(np.clip(image + 0.5, 0, 255).astype(np.uint8), seen, noise)


def camera_motion_px(frame: ReadFrame, person: ReadMatte, n_frames: int, *, max_samples: int = 24) -> float:
    """How far the background moves in the picture: 0 for a camera on a tripod.

    Corners outside the person are tracked from the middle frame to others (Lucas-Kanade, forward and backward). Each frame's
    figure is the median length of its tracks, so a zoom counts as much as a pan; returned is the 90th percentile over the
    sampled frames, in pixels. Not a number when the background is too smooth to tell.
    """
    if n_frames < 2:
        return float("nan")
    reference_index = n_frames // 2
    reference = cv2.cvtColor(frame(reference_index), cv2.COLOR_RGB2GRAY)
    scale = reference.shape[0] / 450
    free = (_distance_from(person(reference_index) >= 0.3) > 12 * scale).astype(np.uint8)
    corners = cv2.goodFeaturesToTrack(reference, 300, 0.01, max(3.0, 6 * scale), mask=free)
    if corners is None or len(corners) < _MIN_TRACKS:
        return float("nan")
    lengths = []
    for i in np.linspace(0, n_frames - 1, min(n_frames, max_samples)).round().astype(int).tolist():
        if i == reference_index:
            continue
        picture = cv2.cvtColor(frame(i), cv2.COLOR_RGB2GRAY)
        free_here = _distance_from(person(i) >= 0.3) > 12 * scale
        moved = _track_lengths(reference, picture, corners, free_here)
        if len(moved) >= _MIN_TRACKS:
            lengths.append(float(np.median(moved)))
    return float(np.percentile(lengths, 90)) if lengths else float("nan")


_MIN_TRACKS = 8


def _track_lengths(
    reference: np.ndarray, picture: np.ndarray, corners: np.ndarray, free: np.ndarray
) -> Float[np.ndarray, "tracks"]:
    """Lengths in pixels of the tracks that return to their start and end on background."""
    # OpenCV's stubs want an array where it takes None for "allocate one".
    start: Any = None
    ahead, found, _ = cv2.calcOpticalFlowPyrLK(reference, picture, corners, start, winSize=(15, 15), maxLevel=3)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(picture, reference, ahead, start, winSize=(15, 15), maxLevel=3)
    column, row = np.round(ahead[:, 0]).astype(int).T
    height, width = free.shape
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    on_background = np.zeros(len(row), bool)
    on_background[inside] = free[row[inside], column[inside]]
    returned = np.linalg.norm((back - corners)[:, 0], axis=1) < 0.5
    good = (found[:, 0] == 1) & (found_back[:, 0] == 1) & returned & on_background
    return np.asarray(np.linalg.norm((ahead - corners)[good, 0], axis=1), np.float32)


def _distance_from(person: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Pixels to the nearest pixel of the person, at most 255; 255 everywhere without a person."""
    if not person.any():
        return np.full(person.shape, 255, np.float32)
    return np.minimum(cv2.distanceTransform((~person).astype(np.uint8), cv2.DIST_L2, 5), 255).astype(np.float32)


def _robust_mean(
    frames: UInt8[np.ndarray, "samples rows width 3"], distances: UInt8[np.ndarray, "samples rows width"]
) -> tuple[Float[np.ndarray, "rows width 3"], Bool[np.ndarray, "rows width"], Float[np.ndarray, "rows width"]]:
    """Colour, whether seen, and spread over time of each pixel of a strip."""
    far = distances >= _FAR_PX
    enough = far.sum(0) >= max(1.0, _MIN_FAR_SHARE * len(frames))
    valid = np.where(enough, far, distances > _NEAR_PX)
    count = valid.sum(0)
    seen = count > 0
    median = _masked_median(frames.astype(np.int16), valid[..., None], count[..., None])
    deviation = np.abs(frames - median)
    spread = 1.4826 * _masked_median(deviation, valid[..., None], count[..., None])
    # The mean of what lies near the median has less quantisation and noise than the median itself.
    near = (valid[..., None] & (deviation <= np.maximum(2.5 * spread, 2.0))).astype(np.float32)
    mean = (frames * near).sum(0) / np.maximum(near.sum(0), 1.0)
    return mean.astype(np.float32), seen, np.where(seen, spread.mean(-1), 0.0).astype(np.float32)


def _masked_median(values: np.ndarray, valid: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Median along the first axis over the valid entries only; 0 where there are none. Integers stay exact."""
    ordered = np.sort(np.where(valid, values, np.iinfo(np.int16).max), axis=0)
    middle = np.broadcast_to(np.maximum(count - 1, 0) // 2, values.shape[1:])
    median = np.take_along_axis(ordered, middle[None], axis=0)[0]
    return np.where(count > 0, median, 0)
