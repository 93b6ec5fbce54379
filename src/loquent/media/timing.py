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

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from jaxtyping import Bool, Float, UInt8
from scipy.stats import rankdata

from loquent.errors import MediaError
from loquent.media.container import Damage, decode_video, need_picture_stream, open_media

COMMON_FPS = (10.0, 12.0, 12.5, 15.0, 16.0, 20.0, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 48.0, 50.0)
"""Rates at which cameras and animators really work; a true rate below the stored one is looked for among these."""
THUMBNAIL_PX = 160
"""Frames are compared as grey pictures with this longer side."""
BLOCK_PX = 10
"""... by the block of this many pixels that changes most."""
STILL_FLOOR = 0.1
"""Around a place where even usual differences are below this (grey levels), nothing can be told."""
RANK_NEEDED, GAP_NEEDED = 0.78, 0.5
"""Before any frame is called a repeat, a new one must be livelier with this probability, and by this mean logarithm.

On real clips encoded in many ways (crf 23 to 38, up to 8 B frames), films without repeats reach at most 0.69 and 0.44,
films with repeats stored at 30 at least 0.80 and 0.59 (crf 38).
"""
NEARLY = 0.97
"""Rates that explain this share of what the best one explains, such as 30 and 29.97, are told apart by their drift."""
MOVE_BY, MOVE_WITHIN = np.log(4.0), 0.03
"""An expected repeat this much livelier (logarithm) than the frame beside it is exchanged with that one, if the edge between
two frames of the film is this close (in frames)."""
N_PHASES, BLOCK, SWITCH_COST = 48, 32, 12.0
"""Phases of the film's clock that are tried, frames for which one is held, and the cost of changing it."""
MIN_REPEATS = 4
"""Fewer repeats than this are no rhythm."""
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
    def longest_gap_s(self) -> float:
        """Longest time between two new frames."""
        return float(np.diff(self.stored_s[self.is_new], append=self.duration_s).max())


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
        Which frames are new, when each was really filmed, and the true rate: None when no rhythm was found, and then every
        frame is new.
    """
    as_stored = np.ones(len(stored_s), bool), stored_s, None
    if len(stored_s) < MIN_FRAMES:
        return as_stored
    stored_fps = 1 / float(np.median(np.diff(stored_s)))
    liveliness, can_tell = _liveliness(changes)
    fits = []
    for fps in COMMON_FPS:
        if fps > 0.97 * stored_fps:
            continue
        phase = _phase_path(stored_s, liveliness, fps)
        explained = _explained(liveliness[can_tell], _repeats(stored_s, fps, phase)[can_tell])
        if explained > 0:
            fits.append((explained, fps, phase))
    if not fits:
        return as_stored
    best = max(explained for explained, _, _ in fits)
    fits.sort(key=lambda fit: np.std((stored_s * fit[1] + fit[2]) % 1 - fit[2]))
    _, fps, phase = next(fit for fit in fits if fit[0] >= NEARLY * best)
    filmed_s = stored_s.copy()
    is_new = ~_repeats(stored_s, fps, phase)
    for value in np.unique(phase):
        # Frames of a converted film are shown up to one stored interval off; their mean place is the film's own clock.
        part = phase == value
        slots = np.floor(stored_s[part] * fps + value)
        lateness = np.mean((stored_s[part] * fps - slots)[is_new[part]]) if is_new[part].any() else 0.0
        filmed_s[part] = (slots + lateness) / fps
    _move_to_the_stillest(is_new, filmed_s, liveliness, (stored_s * fps + phase) % 1)
    return is_new, np.maximum.accumulate(filmed_s), fps


def _move_to_the_stillest(
    is_new: Bool[np.ndarray, "stored"],
    filmed_s: Float[np.ndarray, "stored"],
    liveliness: Float[np.ndarray, "stored"],
    place: Float[np.ndarray, "stored"],
) -> None:
    """Where a rounding put an expected repeat beside the real one, exchange the two, in place; `place` is where in its slot."""
    middle = (liveliness[is_new].mean() + liveliness[~is_new].mean()) / 2
    for i in np.flatnonzero(~is_new & (liveliness > middle)):
        after, before = i + 1, i - 1
        if place[i] > 1 - MOVE_WITHIN and after < len(is_new) and liveliness[after] < liveliness[i] - MOVE_BY:
            is_new[i], is_new[after] = True, False
            filmed_s[i] = filmed_s[after]
        elif before > 0 and place[before] < MOVE_WITHIN and liveliness[before] < liveliness[i] - MOVE_BY:
            is_new[i], is_new[before] = True, False


def _repeats(
    stored_s: Float[np.ndarray, "stored"], fps: float, phase: Float[np.ndarray, "*#places"]
) -> Bool[np.ndarray, "*places"]:
    """Which frames a film of `fps` would repeat: those that fall into the same slot of its clock as the frame before."""
    before_s = np.concatenate([[-np.inf], stored_s[:-1]])
    return np.asarray(np.floor(stored_s * fps + phase) == np.floor(before_s * fps + phase))


def _phase_path(
    stored_s: Float[np.ndarray, "stored"], liveliness: Float[np.ndarray, "stored"], fps: float
) -> Float[np.ndarray, "stored"]:
    """The phase of the film's clock at every frame: the path on which the expected repeats are least lively.

    Phases are held for blocks of frames and a change costs something (Viterbi 1967), so a splice in a converted film is
    followed.
    """
    phases = (np.arange(N_PHASES) + 0.5) / N_PHASES
    costs = np.where(_repeats(stored_s, fps, phases[:, None]), liveliness, 0.0)
    n_blocks = -(-len(stored_s) // BLOCK)
    padded = np.pad(costs, ((0, 0), (0, n_blocks * BLOCK - len(stored_s))))
    sharp = padded.reshape(N_PHASES, n_blocks, BLOCK).sum(axis=2)
    block_costs = np.mean([np.roll(sharp, shift, axis=0) for shift in (-2, -1, 0, 1, 2)], axis=0)  # stay off the edges
    total = block_costs[:, 0]
    came_from = np.zeros((n_blocks, N_PHASES), int)
    for block in range(1, n_blocks):
        switches = total.min() + SWITCH_COST < total
        came_from[block] = np.where(switches, total.argmin(), np.arange(N_PHASES))
        total = np.minimum(total, total.min() + SWITCH_COST) + block_costs[:, block]
    path = np.zeros(n_blocks, int)
    path[-1] = total.argmin()
    for block in range(n_blocks - 1, 0, -1):
        path[block - 1] = came_from[block, path[block]]
    return np.repeat(phases[path], BLOCK)[: len(stored_s)]


def _explained(liveliness: Float[np.ndarray, "told"], repeats: Bool[np.ndarray, "told"]) -> float:
    """Variance between new frames and repeats; 0 when repeats are not clearly the less lively ones (Mann and Whitney 1947)."""
    n_repeats, n_new = int(repeats.sum()), int((~repeats).sum())
    if n_repeats < MIN_REPEATS or n_new < MIN_REPEATS:
        return 0.0
    probability = (rankdata(liveliness)[~repeats].sum() - n_new * (n_new + 1) / 2) / (n_new * n_repeats)
    gap = liveliness[~repeats].mean() - liveliness[repeats].mean()
    if probability < RANK_NEEDED or gap < GAP_NEEDED:
        return 0.0
    return float(gap**2 * n_new * n_repeats / (n_new + n_repeats) ** 2)


def _liveliness(changes: Float[np.ndarray, "stored"]) -> tuple[Float[np.ndarray, "stored"], Bool[np.ndarray, "stored"]]:
    """Logarithm of each change relative to what is usual around it, and where that can be told (else 0)."""
    reach = 12
    finite = np.where(np.isfinite(changes), changes, np.nan)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(finite, reach, mode="reflect"), 2 * reach + 1)
    usual = np.nanpercentile(around, 75, axis=1)
    can_tell = np.isfinite(changes) & (usual > STILL_FLOOR)
    relative = np.where(can_tell, finite, 1.0) / np.where(can_tell, usual, 1.0)
    return np.log(np.clip(relative, 0.005, 5.0)), can_tell


def _thumbnail(frame: VideoFrame) -> UInt8[np.ndarray, "rows columns"]:
    scale = min(1.0, THUMBNAIL_PX / max(frame.width, frame.height))
    size = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    small = frame.reformat(*size, format="gray", interpolation=Interpolation.AREA, threads=1)
    return small.to_ndarray()


def _change(before: UInt8[np.ndarray, "rows columns"], after: UInt8[np.ndarray, "rows columns"]) -> float:
    """Largest mean difference over all small blocks: motion is somewhere, coding noise is everywhere."""
    return float(cv2.boxFilter(cv2.absdiff(before, after), cv2.CV_32F, (BLOCK_PX, BLOCK_PX)).max())
