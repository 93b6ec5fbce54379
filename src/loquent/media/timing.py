"""When each frame of a video was really filmed: repeated frames, the true frame rate, gaps and damage.

A film of 25 frames a second that was stored at 30 shows every fifth picture twice. Taken as it is, its motion stutters
five times a second and every velocity measured on it is wrong. Repeats are recognised by two things together: the
picture hardly differs from the one before, and it does so in the regular rhythm which a conversion from one rate to
another makes. A person who keeps still for a moment makes the first happen without the second, and nothing is dropped.
"""

import os
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from jaxtyping import Bool, Float, UInt8

from loquent.errors import MediaError
from loquent.media.container import Damage, decode_video, need_picture_stream, open_media

COMMON_FPS = (10, 12, 12.5, 15, 16, 20, 24000 / 1001, 24, 25, 30000 / 1001, 30, 48, 50)
"""Rates at which cameras and animators really work; a true rate below the stored one is looked for among these."""
THUMBNAIL_PX = 96
"""Frames are compared as grey pictures with this longer side."""
STILL_RATIO = 0.25
"""A frame counts as the same when it differs from the one before by less than this share of what is usual around it."""
STILL_FLOOR = 0.02
"""Around a place where even usual differences are below this (grey levels), nothing can be told."""
RHYTHM_NEEDED = 0.9
"""Share of the expected repeats that must look the same, and of the other frames that must not."""
MIN_FRAMES = 24
"""Shorter films are taken as they are."""


@dataclass(frozen=True)
class FrameTiming:
    """When the stored frames of a video are shown, and which of them are new."""

    stored_fps: float
    """Frames per second as stored: one over the median time between frames."""
    true_fps: float
    """Different frames per second; equals `stored_fps` when no regular repeats were found."""
    stored_s: Float[np.ndarray, "stored"]
    """Presentation time of every stored frame, from the first."""
    is_new: Bool[np.ndarray, "stored"]
    """False for a frame that only repeats the one before."""
    filmed_s: Float[np.ndarray, "stored"]
    """Time from the first frame at which each was really filmed: `stored_s` without the jitter that repeating made."""
    duration_s: float
    """From the first frame's presentation to the end of the last."""
    n_damaged: int
    """Pieces of the file that could not be decoded."""
    missing_s: float
    """How much shorter the decoded picture is than the file states; 0 within a tenth of a second."""

    @property
    def n_repeated(self) -> int:
        """Stored frames that only repeat the one before."""
        return int((~self.is_new).sum())

    @property
    def longest_gap_s(self) -> float:
        """Longest time between two new frames."""
        return float(np.diff(self.stored_s[self.is_new], append=self.duration_s).max())

    @property
    def is_variable(self) -> bool:
        """More than 5 % of the stored intervals differ from the median one by over a quarter."""
        intervals = np.diff(self.stored_s)
        return bool(len(intervals) and np.mean(np.abs(intervals * self.stored_fps - 1) > 0.25) > 0.05)


def frame_timing(path: Path) -> FrameTiming:
    """Decode a video once, small and grey, and find the timing of its frames. Asked again for an unchanged file, it remembers.

    Raises:
        MediaError: there is no video in the file, or nothing of it can be decoded.
    """
    if not path.is_file():
        raise MediaError(f"{path} does not exist.")
    facts = os.stat(path)
    return _measured_timing(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=16)
def _measured_timing(path: Path, _modified_ns: int, _n_bytes: int) -> FrameTiming:
    damage = Damage()
    times: list[float] = []
    changes: list[float] = []
    before: UInt8[np.ndarray, "rows columns"] | None = None
    last_duration_s = 0.0
    with open_media(path) as container:
        stream = need_picture_stream(container, path)
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        stated_s = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
        for frame in decode_video(container, stream, damage):
            time_s = presentation_s(frame, times[-1] if times else None, 1 / float(rate))
            if times and time_s <= times[-1]:
                continue
            small = _thumbnail(frame)
            changes.append(np.inf if before is None or before.shape != small.shape else _change(before, small))
            before = small
            times.append(time_s)
            last_duration_s = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
    if not times:
        raise MediaError(f"Not one frame of {path} can be decoded. It is damaged or cut off; copy it again.")
    stored_s = np.array(times) - times[0]
    interval_s = float(np.median(np.diff(stored_s))) if len(times) > 1 else last_duration_s or 1 / float(rate)
    duration_s = float(stored_s[-1]) + (last_duration_s or interval_s)
    missing_s = stated_s - duration_s
    is_new, filmed_s, true_fps = find_duplicates(stored_s, np.array(changes))
    return FrameTiming(
        stored_fps=1 / interval_s,
        true_fps=true_fps or 1 / interval_s,
        stored_s=stored_s,
        is_new=is_new,
        filmed_s=filmed_s,
        duration_s=duration_s,
        n_damaged=damage.n_packets,
        missing_s=missing_s if missing_s > 0.1 else 0.0,
    )


def presentation_s(frame: VideoFrame, before_s: float | None, interval_s: float) -> float:
    """When a frame is shown on the file's clock; one interval after the frame before when the file does not say."""
    if frame.pts is not None and frame.time_base is not None:
        return float(frame.pts * frame.time_base)
    return 0.0 if before_s is None else before_s + interval_s


def find_duplicates(
    stored_s: Float[np.ndarray, "stored"], changes: Float[np.ndarray, "stored"]
) -> tuple[Bool[np.ndarray, "stored"], Float[np.ndarray, "stored"], float | None]:
    """Find the frames that only repeat the one before.

    Args:
        stored_s: presentation times, ascending from 0.
        changes: difference to the frame before in any unit; the first is infinite.

    Returns:
        Which frames are new, when each was really filmed, and the true rate; None when no rhythm was found, and then
        every frame is new.
    """
    as_stored = np.ones(len(stored_s), bool), stored_s, None
    if len(stored_s) < MIN_FRAMES:
        return as_stored
    looks_same, can_tell = _still_frames(changes)
    share = looks_same[can_tell].mean() if can_tell.any() else 0.0
    stored_fps = 1 / float(np.median(np.diff(stored_s)))
    estimate = stored_fps * (1 - share)
    best: tuple[float, float, float] | None = None
    for fps in COMMON_FPS:
        if fps > 0.97 * stored_fps or abs(fps / estimate - 1) > 0.08:
            continue
        for phase in np.arange(0.5, 24) / 24:
            repeats = np.diff(np.floor(stored_s * fps + phase), prepend=-1) == 0
            if not repeats[can_tell].any():
                continue
            agreement = min(looks_same[can_tell & repeats].mean(), 1 - looks_same[can_tell & ~repeats].mean())
            if best is None or agreement > best[0]:
                best = agreement, fps, phase
    if best is None or best[0] < RHYTHM_NEEDED:
        return as_stored
    _, fps, phase = best
    slots = np.floor(stored_s * fps + phase)
    is_new = np.diff(slots, prepend=-1) != 0
    # The frames of a converted film are shown up to one stored interval off; their mean place is the film's own clock.
    lateness = float(np.mean((stored_s * fps - slots)[is_new]))
    return is_new, (slots + lateness) / fps, float(fps)


def _still_frames(
    changes: Float[np.ndarray, "stored"],
) -> tuple[Bool[np.ndarray, "stored"], Bool[np.ndarray, "stored"]]:
    """Which frames look like the one before, and for which that can be told."""
    reach = 12
    finite = np.where(np.isfinite(changes), changes, np.nan)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(finite, reach, mode="reflect"), 2 * reach + 1)
    usual = np.nanpercentile(around, 75, axis=1)
    can_tell = np.isfinite(changes) & (usual > STILL_FLOOR)
    return can_tell & (finite < STILL_RATIO * usual), can_tell


def _thumbnail(frame: VideoFrame) -> UInt8[np.ndarray, "rows columns"]:
    scale = min(1.0, THUMBNAIL_PX / max(frame.width, frame.height))
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    small = frame.reformat(*size, format="gray", interpolation=Interpolation.AREA)
    return small.to_ndarray()


def _change(before: UInt8[np.ndarray, "rows columns"], after: UInt8[np.ndarray, "rows columns"]) -> float:
    return float(np.abs(after.astype(np.int16) - before).mean())
