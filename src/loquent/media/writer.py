"""Writing a video with sound, frame by frame, in constant memory; the file is whole or not there."""

import contextlib
import errno
import itertools
import platform
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8

from loquent.errors import InputError, OutputError
from loquent.media.audio import iter_channels, resample_blocks, sound_format
from loquent.media.picture import BT709
from loquent.media.rates import FPS, SAMPLE_RATE_HZ
from loquent.storage import atomic_path, remove_abandoned

_INSTRUCTIONS = {"x264-params": "asm=sse4.2"} if platform.machine().lower() in ("x86_64", "amd64") else {}
"""x264's code for AVX-512 encodes small pictures otherwise from call to call; what every such processor has is fast enough."""
VIDEO_OPTIONS = {"crf": "18", "preset": "faster", "threads": "2", **_INSTRUCTIONS}
"""Visually lossless; a fixed number of threads, because the encoded bytes depend on it."""
AAC_RATES_HZ = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
"""Sample rates that AAC knows; any other is resampled to the next higher."""


class VideoWriter:
    """Writes an mp4 (H.264, and AAC when there is sound), to be used in a ``with`` block.

    Pictures of an odd size get their last row or column repeated, because H.264 in 4:2:0 stores even sizes only. The
    sound starts with the first frame and is cut, or filled with silence, to the end of the last one. The file appears
    under its name when the block ends well; after an error or Ctrl-C nothing is left.
    """

    def __init__(
        self,
        path: Path,
        *,
        height: int,
        width: int,
        fps: float = FPS,
        sound: Path | Float[np.ndarray, "samples"] | None = None,
        sample_rate_hz: int = SAMPLE_RATE_HZ,
    ):
        """`sound` is a media file, taken at its own rate and channels, or one channel in [-1, 1] at `sample_rate_hz`.

        Raises:
            InputError: size, rate or sample rate is not positive.
            MediaError: the sound file has no sound, or cannot be read.
        """
        if height < 1 or width < 1 or fps <= 0 or sample_rate_hz <= 0:
            raise InputError(
                f"A video needs a positive size and rate; {width}x{height} at {fps} frames/s was asked for."
            )
        self._path = path
        self._height, self._width = height, width
        self._fps = Fraction(fps).limit_denominator(1001)
        self._sound = None if sound is None else _Sound(sound, sample_rate_hz)
        self._n_frames = 0
        self._exit = contextlib.ExitStack()
        self._container: OutputContainer | None = None
        self._video: VideoStream | None = None
        self._audio: AudioStream | None = None

    @property
    def n_frames(self) -> int:
        """Frames written so far."""
        return self._n_frames

    def __enter__(self) -> "VideoWriter":
        remove_abandoned(self._path)
        temporary = self._exit.enter_context(atomic_path(self._path))
        try:
            self._open(temporary)
        except BaseException as cause:
            self._abandon(cause)
            raise
        return self

    def write(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Append one RGB frame.

        Raises:
            InputError: the picture has another size than the video.
            OutputError: the disk is full, or the place cannot be written.
        """
        if image.shape[:2] != (self._height, self._width):
            raise InputError(
                f"Frame {self._n_frames} of {self._path} has {image.shape[1]}x{image.shape[0]} pixels; "
                f"the video has {self._width}x{self._height}."
            )
        assert self._video is not None, "VideoWriter.write outside its with block"
        even = np.pad(image, ((0, self._height % 2), (0, self._width % 2), (0, 0)), mode="edge")
        frame = VideoFrame.from_ndarray(even)
        frame = frame.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range="MPEG",
            interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
            threads=1,
        )
        frame.pts = self._n_frames
        frame.time_base = 1 / self._fps
        with self._writing():
            self._mux(self._video, frame)
            self._n_frames += 1
            self._write_sound_until(self._n_frames / self._fps)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon(error)
            return
        try:
            with self._writing():
                self._finish()
        except BaseException as cause:
            self._abandon(cause)
            raise
        self._exit.close()

    def _open(self, temporary: Path) -> None:
        with self._writing():
            self._container = av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"})
            video = self._container.add_stream("libx264", rate=self._fps, options=VIDEO_OPTIONS)
            video.height, video.width = self._height + self._height % 2, self._width + self._width % 2
            video.pix_fmt = "yuv420p"
            video.time_base = 1 / self._fps
            context = video.codec_context
            context.color_primaries = context.color_trc = context.colorspace = BT709
            context.color_range = 1  # limited, "MPEG"
            self._video = video
            if self._sound is not None:
                self._audio = self._container.add_stream("aac", rate=self._sound.rate_hz, layout=self._sound.layout)
                self._audio.bit_rate = self._sound.channels * min(96_000, 4 * self._sound.rate_hz)

    def _write_sound_until(self, end_s: Fraction) -> None:
        if self._sound is None or self._audio is None:
            return
        for frame in self._sound.frames_until(end_s):
            self._mux(self._audio, frame)

    def _finish(self) -> None:
        assert self._container is not None
        assert self._video is not None
        if self._n_frames == 0:
            raise OutputError(f"Nothing was written to {self._path}: the video would have no frame.")
        self._mux(self._video, None)
        if self._audio is not None:
            self._mux(self._audio, None)
        self._container.close()

    def _mux(self, stream: VideoStream | AudioStream, frame: VideoFrame | AudioFrame | None) -> None:
        assert self._container is not None
        self._container.mux(stream.encode(frame))  # type: ignore[arg-type]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn FFmpeg's errors into ours."""
        try:
            yield
        except av.FFmpegError as cause:
            reason = "the disk is full" if cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else cause.strerror
            raise OutputError(
                f"Cannot write {self._path}: {reason}. "
                "Nothing was left half-written; free some space or choose another place."
            ) from cause

    def _abandon(self, error: BaseException) -> None:
        """Close and remove what was written."""
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError):
                self._container.close()
        self._exit.__exit__(type(error), error, error.__traceback__)


class _Sound:
    """A source of sound, handed out as encoder frames up to a given time, silence after its end."""

    def __init__(self, sound: Path | Float[np.ndarray, "samples"], sample_rate_hz: int):
        if isinstance(sound, Path):
            source_hz, self.channels = sound_format(sound)
            blocks = iter_channels(sound)
        else:
            source_hz, self.channels = sample_rate_hz, 1
            blocks = (sound[None, i : i + source_hz].astype(np.float32) for i in range(0, sound.size, source_hz))
        if self.channels > 2:  # few players show a face with surround sound
            self.channels = 1
            blocks = (block.mean(axis=0, keepdims=True) for block in blocks)
        self.rate_hz = next((rate for rate in AAC_RATES_HZ if rate >= source_hz), AAC_RATES_HZ[-1])
        if self.rate_hz != source_hz:
            blocks = _resampled_channels(blocks, self.channels, source_hz, self.rate_hz)
        self.layout = "mono" if self.channels == 1 else "stereo"
        self._blocks = blocks
        self._waiting = np.zeros((self.channels, 0), np.float32)
        self._n_sent = 0

    def frames_until(self, end_s: Fraction) -> Iterator[AudioFrame]:
        """The next samples, so that all up to `end_s` have been handed out."""
        wanted = round(end_s * self.rate_hz) - self._n_sent
        parts = [self._waiting]
        n_waiting = self._waiting.shape[1]
        while n_waiting < wanted:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros((self.channels, wanted - n_waiting), np.float32)
            parts.append(block)
            n_waiting += block.shape[1]
        joined = np.concatenate(parts, axis=1)
        self._waiting = joined[:, wanted:]
        if wanted > 0:
            frame = AudioFrame.from_ndarray(np.ascontiguousarray(joined[:, :wanted]), format="fltp", layout=self.layout)
            frame.sample_rate = self.rate_hz
            frame.time_base = Fraction(1, self.rate_hz)
            frame.pts = self._n_sent
            self._n_sent += wanted
            yield frame


def _resampled_channels(
    blocks: Iterator[Float[np.ndarray, "channels samples"]], channels: int, from_hz: int, to_hz: int
) -> Iterator[Float[np.ndarray, "channels new_samples"]]:
    """Resample each channel; all give pieces of the same lengths, because they are fed the same lengths."""
    copies = itertools.tee(blocks, channels)
    tracks = [resample_blocks(_channel(copy, i), from_hz, to_hz) for i, copy in enumerate(copies)]
    for pieces in zip(*tracks, strict=True):
        yield np.stack(pieces)


def _channel(blocks: Iterator[Float[np.ndarray, "channels samples"]], i: int) -> Iterator[Float[np.ndarray, "samples"]]:
    for block in blocks:
        yield block[i]


__all__ = ["VideoWriter"]
