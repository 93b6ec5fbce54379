"""Reading a video as frames on an even timeline, whatever its own timing, turned upright, one at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from jaxtyping import UInt8

from loquent.errors import InputError, MediaError
from loquent.media.container import Damage, decode_video, need_picture_stream, open_media
from loquent.media.picture import to_rgb
from loquent.media.probe import MediaInfo, probe
from loquent.media.rates import FPS
from loquent.media.timing import FrameTiming, frame_timing, presentation_s

SEEK_FROM_S = 5.0
"""Starting later than this, the file is entered at a key frame instead of decoded from its beginning."""

REACH = 0.55
"""A frame is shown at most this share of a frame's time before its own; a little over half, so that rounding cannot decide."""


@dataclass(frozen=True)
class TimedFrame:
    """One picture of the timeline."""

    index: int
    """Place on the timeline; 0 is the file's first frame."""
    time_s: float
    """``index / fps``: seconds after the presentation of the file's first frame."""
    image: UInt8[np.ndarray, "height width 3"]
    """RGB, upright, square pixels."""


def read_frames(
    path: Path, *, fps: float = FPS, start_s: float = 0.0, end_s: float | None = None
) -> Iterator[TimedFrame]:
    """Read the frames of a video at k / `fps` seconds for every k with ``start_s <= k / fps < end_s``.

    Each is the source frame nearest in time; one that stands for long is shown until the next is due within half a frame.
    When more frames are stored than asked for, regularly repeated ones are left out first (`loquent.media.timing`), so
    a film of 25 frames a second that was stored at 30 gives exactly its different frames. A file that is cut off or
    damaged gives what can be decoded (`frame_timing` says what is missing).

    Raises:
        MediaError: there is no video in the file, or nothing of it can be decoded.
        InputError: `fps` is not positive, or the times are not in order.
    """
    if fps <= 0:
        raise InputError(f"Frames per second must be positive; {fps} was asked for.")
    if start_s < 0 or (end_s is not None and end_s < start_s):
        raise InputError(f"A part of a video needs 0 <= start <= end; {start_s} to {end_s} s was asked for.")
    with open_media(path) as container:
        need_picture_stream(container, path)
    info = probe(path)
    timing = frame_timing(path) if info.fps > 1.02 * fps else None
    return _resampled(path, info, timing, fps, start_s, end_s)


def _resampled(
    path: Path, info: MediaInfo, timing: FrameTiming | None, fps: float, start_s: float, end_s: float | None
) -> Iterator[TimedFrame]:
    index = int(np.ceil(start_s * fps - 1e-6))
    last = np.inf if end_s is None else int(np.ceil(end_s * fps - 1e-6))
    shown: _Shown | None = None
    n_frames = 0
    with open_media(path) as container:
        stream = need_picture_stream(container, path)
        for time_s, frame in _source_frames(container, stream, info, timing, start_s):
            while shown is not None and index < last and not _is_due(time_s, shown.time_s, index / fps, REACH / fps):
                yield TimedFrame(index, index / fps, shown.image())
                index += 1
            if index >= last:
                return
            shown = _Shown(time_s, frame, stream)
            duration_s = (
                float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 1 / (info.fps or fps)
            )
            n_frames = max(1, round((time_s + duration_s) * fps))
    if shown is None:
        raise MediaError(f"Not one frame of {path} can be decoded. It is damaged or cut off; copy it again.")
    while index < min(last, n_frames):
        yield TimedFrame(index, index / fps, shown.image())
        index += 1


def _is_due(next_s: float, shown_s: float, now_s: float, reach_s: float) -> bool:
    """Whether the next source frame should replace the one on show: it is the nearer one, and due within `reach_s`."""
    return next_s - now_s < min(reach_s, now_s - shown_s) - 1e-6


class _Shown:
    """The source frame on show; converted when first needed, copied when needed again."""

    def __init__(self, time_s: float, frame: VideoFrame, stream: VideoStream):
        self.time_s = time_s
        self._frame = frame
        self._stream = stream
        self._image: UInt8[np.ndarray, "height width 3"] | None = None

    def image(self) -> UInt8[np.ndarray, "height width 3"]:
        if self._image is None:
            self._image = to_rgb(self._frame, self._stream.sample_aspect_ratio)
            return self._image
        return self._image.copy()


def _source_frames(
    container: InputContainer, stream: VideoStream, info: MediaInfo, timing: FrameTiming | None, start_s: float
) -> Iterator[tuple[float, VideoFrame]]:
    """The new frames with the time they were filmed at, from somewhat before `start_s`."""
    if start_s > SEEK_FROM_S and stream.time_base is not None:
        container.seek(int((info.video_start_s + start_s - 1.0) / stream.time_base), stream=stream)
    before_s: float | None = None
    for frame in decode_video(container, stream, Damage()):
        stored_s = presentation_s(frame, before_s, 1 / (info.fps or FPS)) - info.video_start_s
        if before_s is not None and stored_s + info.video_start_s <= before_s:
            continue
        before_s = stored_s + info.video_start_s
        if timing is None:
            yield stored_s, frame
            continue
        place = int(np.abs(timing.stored_s - stored_s).argmin())
        if timing.is_new[place]:
            yield float(timing.filmed_s[place]), frame


__all__ = ["TimedFrame", "read_frames"]
