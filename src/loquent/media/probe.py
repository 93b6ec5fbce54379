"""What a media file holds, without decoding more than its first picture and first sound."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from loquent.errors import MediaError
from loquent.media.container import Damage, decode_sound, decode_video, open_media, picture_stream, sound_stream
from loquent.media.picture import Orientation, display_size, is_high_dynamic_range


@dataclass(frozen=True)
class MediaInfo:
    """The facts of a video or sound file."""

    path: Path
    """The file."""
    duration_s: float
    """Length that the file states for its picture, or for its sound when it has no picture; 0 when it states none."""
    has_video: bool = False
    """There are moving pictures (the cover art of a song does not count)."""
    width: int = 0
    """Columns as shown: upright, with square pixels."""
    height: int = 0
    """Rows as shown: upright, with square pixels."""
    fps: float = 0.0
    """Average frames per second as stored; `loquent.media.timing` finds the true rate."""
    n_frames: int | None = None
    """Stored frames, when the file states them."""
    rotation_deg: int = 0
    """Counter-clockwise turn that the file asks players to apply: 0, 90, 180 or 270."""
    video_codec: str = ""
    """The picture's codec, e.g. ``"h264"``."""
    video_start_s: float = 0.0
    """Presentation time of the first frame on the file's own clock."""
    is_high_dynamic_range: bool = False
    """Filmed in HLG or PQ, as many phones do; reading turns the colours into ordinary ones."""
    has_sound: bool = False
    """There is a sound track."""
    sample_rate_hz: int = 0
    """Samples per second of the sound."""
    channels: int = 0
    """Channels of the sound."""
    sound_codec: str = ""
    """The sound's codec, e.g. ``"aac"``."""
    sound_start_s: float = 0.0
    """Presentation time of the first sample on the file's own clock."""


def probe(path: Path) -> MediaInfo:
    """Read what a file holds.

    Raises:
        MediaError: it is missing, empty, cut off, no media at all, or its picture cannot be decoded.
    """
    facts = {**_sound_facts(path), **_picture_facts(path)}
    if not facts:
        raise MediaError(f"{path} holds neither moving pictures nor sound.")
    return MediaInfo(path=path, **facts)


def _picture_facts(path: Path) -> dict[str, Any]:
    with open_media(path) as container:
        stream = picture_stream(container)
        if stream is None:
            return {}
        codec = stream.codec_context.name
        frame = next(decode_video(container, stream, Damage()), None)
        if frame is None:
            raise MediaError(
                f"{path} has a video track ({codec}), but not one frame of it can be decoded. "
                "It is damaged or cut off; copy it again."
            )
        orientation = Orientation.of(frame)
        width, height = display_size(frame, stream.sample_aspect_ratio, orientation)
        return {
            "duration_s": _duration_s(container.duration, stream.duration, stream.time_base),
            "has_video": True,
            "width": width,
            "height": height,
            "fps": float(stream.average_rate or stream.guessed_rate or 0),
            "n_frames": stream.frames or None,
            "rotation_deg": 90 * orientation.quarter_turns,
            "video_codec": codec,
            "video_start_s": frame.time or 0.0,
            "is_high_dynamic_range": is_high_dynamic_range(frame),
        }


def _sound_facts(path: Path) -> dict[str, Any]:
    with open_media(path) as container:
        stream = sound_stream(container)
        if stream is None:
            return {}
        frame = next(decode_sound(container, stream, Damage()), None)
        return {
            "duration_s": _duration_s(container.duration, stream.duration, stream.time_base),
            "has_sound": True,
            "sample_rate_hz": stream.sample_rate,
            "channels": stream.channels,
            "sound_codec": stream.codec_context.name,
            "sound_start_s": 0.0 if frame is None else frame.time or 0.0,
        }


def _duration_s(of_container: int | None, of_stream: int | None, time_base: Any) -> float:
    if of_stream is not None and time_base is not None:
        return float(of_stream * time_base)
    return (of_container or 0) / av.time_base
