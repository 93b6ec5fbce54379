"""Opening a media file and decoding one of its streams, with damage counted instead of fatal."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from loquent.errors import MediaError

NOT_MEDIA = ("tty", "bin", "xbin", "adf", "idf", "image2")
"""Formats by which FFmpeg would show a text file as characters on a screen, or a picture as a film of one frame."""


@dataclass
class Damage:
    """What went wrong while decoding a stream; filled in as it is read."""

    n_packets: int = 0
    """Packets that could not be decoded."""


@contextlib.contextmanager
def open_media(path: Path) -> Iterator[InputContainer]:
    """Open a file for reading.

    Raises:
        MediaError: it does not exist, is empty, or holds no video or sound that FFmpeg knows.
    """
    if not path.is_file():
        raise MediaError(f"{path} {'is a folder, not a video or sound file' if path.is_dir() else 'does not exist'}.")
    if path.stat().st_size == 0:
        raise MediaError(f"{path} is empty (0 bytes). Copy or download it again.")
    try:
        container = av.open(str(path))
    except av.FFmpegError as cause:
        if isinstance(cause, PermissionError):
            raise MediaError(f"{path} cannot be read: permission denied.") from cause
        raise MediaError(
            f"{path} cannot be read as video or sound ({cause.strerror}). Either it is of another kind, or it is cut off: "
            "an mp4 file whose recording or copying was interrupted lacks the index at its end. Copy it again, or repair it."
        ) from cause
    with container:
        if container.format.name in NOT_MEDIA or container.format.name.endswith("_pipe"):
            raise MediaError(f"{path} is text or a single picture, not a video or sound file.")
        yield container


def picture_stream(container: InputContainer) -> VideoStream | None:
    """The main video stream; cover art of a sound file is not one."""
    films = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    return best if isinstance(best, VideoStream) and best in films else (films[0] if films else None)


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The main sound track."""
    best = container.streams.best("audio")
    return best if isinstance(best, AudioStream) else None


def need_picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The main video stream, set to decode on all cores.

    Raises:
        MediaError: there is none.
    """
    stream = picture_stream(container)
    if stream is None:
        raise MediaError(
            f"{path} has no video in it{', only sound' if sound_stream(container) else ''}. Give a video of a person."
        )
    stream.thread_type = "AUTO"
    return stream


def decode_video(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[VideoFrame]:
    """Decode what can be decoded, counting in `damage` what cannot."""
    for frame in _decode(container, stream, damage):
        if isinstance(frame, VideoFrame):
            yield frame


def decode_sound(container: InputContainer, stream: AudioStream, damage: Damage) -> Iterator[AudioFrame]:
    """Decode what can be decoded, counting in `damage` what cannot."""
    for frame in _decode(container, stream, damage):
        if isinstance(frame, AudioFrame):
            yield frame


def _decode(
    container: InputContainer, stream: VideoStream | AudioStream, damage: Damage
) -> Iterator[VideoFrame | AudioFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the file ends in the middle of something
            damage.n_packets += 1
            packet = None
        try:
            yield from stream.decode(packet)
        except av.error.EOFError:
            return
        except av.FFmpegError:
            damage.n_packets += 1
        if packet is None:
            return
