"""Small films with known content, made on the fly: every frame carries its own number."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

CLOCK_HZ = 90_000
CELL = 8
N_BITS = 12


def stamped(number: int, height: int = 48, width: int = 96) -> np.ndarray:
    """A picture that carries `number` as black and white cells in its top rows, above a texture that moves with it."""
    rows, columns = np.mgrid[:height, :width]
    texture = 128 + 60 * np.sin((columns + 3 * number) / 5.0) + 40 * np.cos((rows - 2 * number) / 7.0)
    image = np.repeat(np.clip(texture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    for bit in range(N_BITS):
        image[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if number >> bit & 1 else 0
    return image


def number_of(image: np.ndarray) -> int:
    """The number that `stamped` put into a picture."""
    cells = image[2 : CELL - 2, : N_BITS * CELL].reshape(CELL - 4, N_BITS, CELL, 3)[:, :, 2:-2].mean(axis=(0, 2, 3))
    return int(sum(1 << bit for bit in range(N_BITS) if cells[bit] > 127))


def write_film(
    path: Path,
    images: Sequence[np.ndarray],
    times_s: Sequence[float],
    *,
    last_s: float | None = None,
    sound: np.ndarray | None = None,
    sound_rate_hz: int = 48000,
    sound_start_s: float = 0.0,
    sound_codec: str = "aac",
    codec: str = "libx264",
    matrix: tuple[int, int, int, int] | None = None,
    pixel_aspect: Fraction | None = None,
    container_options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Write pictures at any times; `sound` is [channels, samples] float, its first sample at `sound_start_s`."""
    height, width = images[0].shape[:2]
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        video = container.add_stream(
            codec, rate=25, options={"threads": "1", **(codec_options or {"crf": "18", "preset": "ultrafast"})}
        )
        video.height, video.width, video.pix_fmt = height, width, "yuv420p"
        video.codec_context.time_base = video.time_base = Fraction(1, CLOCK_HZ)
        if pixel_aspect is not None:
            video.codec_context.sample_aspect_ratio = pixel_aspect
        if matrix is not None:
            a, b, c, d = (entry << 16 for entry in matrix)
            video.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        packets = []
        track = None
        if sound is not None:
            layout = "mono" if sound.shape[0] == 1 else "stereo"
            track = container.add_stream(sound_codec, rate=sound_rate_hz, layout=layout)
        stamps = [round(time_s * CLOCK_HZ) for time_s in times_s]
        end = (
            round(last_s * CLOCK_HZ)
            if last_s is not None
            else 2 * stamps[-1] - stamps[-2]
            if len(stamps) > 1
            else stamps[0] + 3600
        )
        lengths = dict(zip(stamps, np.diff([*stamps, end]).tolist(), strict=True))
        for image, stamp in zip(images, stamps, strict=True):
            frame = VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = stamp, Fraction(1, CLOCK_HZ)
            packets += video.encode(frame)
        packets += video.encode(None)
        for packet in packets:
            packet.duration = lengths[packet.pts]
        if track is not None and sound is not None:
            packets += _sound_packets(track, sound, sound_rate_hz, sound_start_s)
        container.start_encoding()
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            container.mux(packet)
    return path


def write_sound(path: Path, sound: np.ndarray, rate_hz: int, codec: str) -> Path:
    """Write a file with sound only; `sound` is [channels, samples] float."""
    with av.open(str(path), "w") as container:
        track = container.add_stream(codec, rate=rate_hz, layout="mono" if sound.shape[0] == 1 else "stereo")
        for packet in _sound_packets(track, sound, rate_hz, 0.0):
            container.mux(packet)
    return path


def tones(rate_hz: int, seconds: float, hertz: Sequence[float] = (220.0, 531.0, 1710.0, 3013.0)) -> np.ndarray:
    """A sum of sines, one channel, in [-0.9, 0.9]."""
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    return (0.9 / len(hertz) * sum(np.sin(2 * np.pi * f * time + f) for f in hertz)).astype(np.float32)


def _sound_packets(track: av.AudioStream, sound: np.ndarray, rate_hz: int, start_s: float) -> list[av.Packet]:
    packets = []
    start = round(start_s * rate_hz)
    resampler = av.AudioResampler(format=track.format, layout=track.layout.name, rate=rate_hz)
    for begin in range(0, sound.shape[1], 1024):
        block = np.ascontiguousarray(sound[:, begin : begin + 1024], np.float32)
        frame = AudioFrame.from_ndarray(block, format="fltp", layout=track.layout.name)
        frame.sample_rate, frame.time_base, frame.pts = rate_hz, Fraction(1, rate_hz), start + begin
        for piece in resampler.resample(frame):
            packets += track.encode(piece)
    return packets + track.encode(None)
