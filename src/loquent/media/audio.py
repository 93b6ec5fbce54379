"""Reading sound as one channel at any rate, on the picture's clock, and writing WAV files."""

import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph
from jaxtyping import Float

from loquent.errors import InputError, MediaError
from loquent.media.container import Damage, decode_sound, open_media, sound_stream
from loquent.media.probe import probe
from loquent.media.rates import SAMPLE_RATE_HZ
from loquent.storage import atomic_path

ROUNDING_S = 0.002
"""Some containers round times to milliseconds."""
GAP_S = 0.02
"""Time stamps may wander by less than this; more is a real gap or overlap."""
LONGEST_GAP_S, LONGEST_OVERLAP_S = 600.0, 1.0
"""A larger step of the time stamps is a clock that was set anew (joined files), not missing or doubled sound."""
RESAMPLER = {"filter_size": "64", "phase_shift": "10", "cutoff": "0.97", "linear_interp": "1"}
"""Settings of FFmpeg's resampler: flat to 0.97 of the lower Nyquist frequency."""


def read_waveform(path: Path, *, sample_rate_hz: int = SAMPLE_RATE_HZ) -> Float[np.ndarray, "samples"]:
    """Read the sound of any media file as float32 in [-1, 1], the mean of its channels.

    Sample 0 is at the presentation of the first video frame when the file has moving pictures (zeros are put in front
    of sound that starts later, sound that starts earlier is cut), else at the sound's own start.

    Raises:
        MediaError: the file has no sound track, or cannot be read.
        InputError: the rate is not positive.
    """
    chunks = list(iter_waveform(path, sample_rate_hz=sample_rate_hz, chunk_s=10.0))
    return np.concatenate(chunks) if chunks else np.zeros(0, np.float32)


def iter_waveform(
    path: Path, *, sample_rate_hz: int = SAMPLE_RATE_HZ, chunk_s: float = 1.0
) -> Iterator[Float[np.ndarray, "samples"]]:
    """The same samples as `read_waveform`, in pieces of `chunk_s` seconds (the last may be shorter), in constant memory.

    Raises:
        MediaError: the file has no sound track, or cannot be read.
        InputError: the rate or `chunk_s` is not positive.
    """
    if sample_rate_hz <= 0 or chunk_s <= 0:
        raise InputError(
            f"Sample rate and chunk length must be positive; {sample_rate_hz} Hz and {chunk_s} s were asked for."
        )
    source_hz, _ = sound_format(path)
    mono = (block.mean(axis=0, dtype=np.float32) for block in iter_channels(path))
    return _pieces(resample_blocks(mono, source_hz, sample_rate_hz), max(1, round(chunk_s * sample_rate_hz)))


def sound_format(path: Path) -> tuple[int, int]:
    """Sample rate in Hz and number of channels of the file's sound.

    Raises:
        MediaError: it has none.
    """
    info = probe(path)
    if not info.has_sound:
        raise MediaError(f"{path} has no sound track. Give a file with speech in it, or add the sound to this one.")
    return info.sample_rate_hz, info.channels


def iter_channels(path: Path) -> Iterator[Float[np.ndarray, "channels samples"]]:
    """Decode the sound at its own rate on the picture's clock (see `read_waveform`), gaps filled with zeros, block by block."""
    info = probe(path)
    rate_hz = info.sample_rate_hz
    origin_s = info.video_start_s if info.has_video else info.sound_start_s
    n_given = 0  # samples given out so far: the place on the picture's clock
    jump = 0  # by how many samples the file's clock was set anew on the way
    with open_media(path) as container:
        stream = sound_stream(container)
        assert stream is not None
        for frame, n_samples in _with_true_length(decode_sound(container, stream, Damage())):
            if frame.sample_rate != rate_hz or frame.layout.nb_channels != info.channels:
                raise MediaError(
                    f"The sound of {path} changes from {rate_hz} Hz, {info.channels} channels to {frame.sample_rate} Hz, "
                    f"{frame.layout.nb_channels} channels on the way. Convert it to one format first."
                )
            start = n_given
            if frame.pts is not None and frame.time_base is not None:
                stated = round((float(frame.pts * frame.time_base) - origin_s) * rate_hz) - jump
                ahead_s = (stated - n_given) / rate_hz
                if ahead_s > LONGEST_GAP_S or (n_given > 0 and ahead_s < -LONGEST_OVERLAP_S):
                    jump += stated - n_given
                elif n_given == 0 or abs(ahead_s) > GAP_S:
                    start = stated
            while start > n_given:
                silence = np.zeros((info.channels, min(start - n_given, rate_hz)), np.float32)
                n_given += silence.shape[1]
                yield silence
            block = _as_float(frame)[:, n_given - start : n_samples]
            if block.shape[1]:
                yield block
                n_given += block.shape[1]


def resample(waveform: Float[np.ndarray, "samples"], from_hz: int, to_hz: int) -> Float[np.ndarray, "new_samples"]:
    """Change the sample rate of one channel; round(samples * to_hz / from_hz) samples come out."""
    return np.concatenate([np.zeros(0, np.float32), *resample_blocks(iter([waveform]), from_hz, to_hz)])


def resample_blocks(
    blocks: Iterator[Float[np.ndarray, "samples"]], from_hz: int, to_hz: int
) -> Iterator[Float[np.ndarray, "samples"]]:
    """Change the sample rate of one channel given in blocks; output sample n is at n / `to_hz` on the same clock."""
    if from_hz == to_hz:
        yield from blocks
        return
    graph = Graph()
    source = graph.add(
        "abuffer", sample_rate=str(from_hz), sample_fmt="flt", channel_layout="mono", time_base=f"1/{from_hz}"
    )
    change = graph.add("aresample", **{"out_sample_rate": str(to_hz), **RESAMPLER})
    sink = graph.add("abuffersink")
    source.link_to(change)
    change.link_to(sink)
    graph.configure()
    n_in = n_out = 0
    for block in blocks:
        if block.size == 0:
            continue
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32)[None], format="flt", layout="mono")
        frame.sample_rate = from_hz
        frame.time_base = Fraction(1, from_hz)
        frame.pts = n_in
        n_in += block.size
        graph.push(frame)
        for resampled in _pulled(graph):
            n_out += resampled.size
            yield resampled
    graph.push(None)
    wanted = round(n_in * to_hz / from_hz)
    for resampled in _pulled(graph):
        piece = resampled[: max(0, wanted - n_out)]
        n_out += piece.size
        yield piece
    if n_out < wanted:
        yield np.zeros(wanted - n_out, np.float32)


def write_wav(path: Path, waveform: Float[np.ndarray, "samples"], sample_rate_hz: int) -> None:
    """Write one channel in [-1, 1] as a 16-bit WAV file; values outside are clipped.

    Raises:
        OutputError: it cannot be written.
    """
    samples = np.clip(np.round(waveform.astype(np.float64) * 32768), -32768, 32767).astype("<i2")
    with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(samples.tobytes())


def _with_true_length(frames: Iterator[AudioFrame]) -> Iterator[tuple[AudioFrame, int]]:
    """Each frame with its number of samples; that of the last one as the file states it, without the encoder's padding."""
    held: AudioFrame | None = None
    for frame in frames:
        if held is not None:
            yield held, held.samples
        held = frame
    if held is not None:
        stated_s = float(held.duration * held.time_base) if held.duration and held.time_base else np.inf
        is_padded = stated_s < held.samples / held.sample_rate - ROUNDING_S
        yield held, round(stated_s * held.sample_rate) if is_padded else held.samples


def _as_float(frame: AudioFrame) -> Float[np.ndarray, "channels samples"]:
    samples: np.ndarray[Any, Any] = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if np.issubdtype(samples.dtype, np.integer):
        return (samples / -float(np.iinfo(samples.dtype).min)).astype(np.float32)
    return samples.astype(np.float32)


def _pulled(graph: Graph) -> Iterator[Float[np.ndarray, "samples"]]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, AudioFrame)
        yield frame.to_ndarray().reshape(-1)


def _pieces(blocks: Iterator[Float[np.ndarray, "samples"]], size: int) -> Iterator[Float[np.ndarray, "samples"]]:
    waiting: list[Float[np.ndarray, "samples"]] = []
    n_waiting = 0
    for block in blocks:
        waiting.append(block)
        n_waiting += block.size
        if n_waiting >= size:
            joined = np.concatenate(waiting)
            n_whole = joined.size // size * size
            yield from np.split(joined[:n_whole], n_whole // size)
            waiting, n_waiting = [joined[n_whole:]], joined.size - n_whole
    if n_waiting:
        yield np.concatenate(waiting)
