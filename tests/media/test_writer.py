import errno
import os
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import number_of, stamped, tones, write_film, write_sound

from loquent.errors import InputError, MediaError, OutputError
from loquent.media.audio import read_waveform
from loquent.media.probe import probe
from loquent.media.video import read_frames
from loquent.media.writer import VideoWriter


def write(path: Path, n_frames: int, *, fps: float = 25.0, sound: object = None, **options: int) -> Path:
    with VideoWriter(path, height=48, width=96, fps=fps, sound=sound, **options) as writer:
        for i in range(n_frames):
            writer.write(stamped(i))
    return path


@pytest.mark.parametrize(("source_rate_hz", "seconds"), [(44100, 60), (48000, 9), (16000, 9)])
def test_flashes_and_beeps_stay_together(tmp_path: Path, source_rate_hz: int, seconds: int) -> None:
    n_frames, every = 25 * seconds, 75  # a flash and a beep every three seconds
    images = [np.full((32, 48, 3), 255 if i % every == 10 else 20, np.uint8) for i in range(n_frames)]
    time = np.arange(seconds * source_rate_hz) / source_rate_hz
    beeping = (time * 25 - 10) % every < 1
    sound = (0.8 * np.sin(2 * np.pi * 1000 * time) * beeping).astype(np.float32)[None]
    film = write_film(
        tmp_path / "film.mp4", images, np.arange(n_frames) / 25, sound=sound, sound_rate_hz=source_rate_hz
    )
    with VideoWriter(tmp_path / "again.mp4", height=32, width=48, sound=film) as writer:
        for frame in read_frames(film):
            writer.write(frame.image)
    for path in (film, tmp_path / "again.mp4"):
        flashes = [frame.time_s for frame in read_frames(path) if frame.image.mean() > 140]
        loud = np.abs(read_waveform(path)) > 0.3
        starts = (
            np.flatnonzero(np.diff(np.convolve(loud, np.ones(160), mode="full")[: loud.size] > 0, prepend=False))[::2]
            / 16000
        )
        assert len(flashes) == len(starts) == seconds // 3
        assert np.abs(np.array(flashes) - starts).max() < 0.005
    assert probe(tmp_path / "again.mp4").sample_rate_hz == source_rate_hz


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_sound_keeps_its_rate_and_channels_and_content(tmp_path: Path, rate_hz: int, channels: int) -> None:
    one = tones(rate_hz, 2.0)
    path = write_sound(tmp_path / "sound.flac", np.stack([one, 0.5 * one][:channels]), rate_hz, "flac")
    info = probe(write(tmp_path / "film.mp4", 50, sound=path))
    assert (info.sample_rate_hz, info.channels, info.sound_codec) == (rate_hz, channels, "aac")
    waveform, truth = read_waveform(info.path), read_waveform(path)
    assert abs(len(waveform) - len(truth)) <= 4
    n = 2 * 16000 - 2000
    assert np.corrcoef(waveform[1000:n], truth[1000:n])[0, 1] > 0.995


@pytest.mark.parametrize("sound_s", [0.3, 3.0, 8.0])
@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_sound_is_cut_or_filled_to_the_end_of_the_picture(tmp_path: Path, sound_s: float, rate_hz: int) -> None:
    path = write_sound(tmp_path / "sound.wav", tones(rate_hz, sound_s)[None], rate_hz, "pcm_s16le")
    film = write(tmp_path / "film.mp4", 75, sound=path)
    assert probe(film).duration_s == pytest.approx(3, abs=1e-3)
    waveform = read_waveform(film)
    assert len(waveform) / 16000 == pytest.approx(3, abs=1e-3)
    assert np.abs(waveform[4000:4600]).max() > 0.2
    if sound_s < 1:
        assert np.abs(waveform[8000:]).max() < 0.01


@pytest.mark.parametrize("size", [(47, 95), (48, 95), (47, 96), (1, 1)])
def test_odd_sizes_get_their_last_row_or_column_repeated(tmp_path: Path, size: tuple[int, int]) -> None:
    height, width = size
    image = np.full((height, width, 3), 200, np.uint8)
    image[:, -1] = 60
    with VideoWriter(tmp_path / "film.mp4", height=height, width=width) as writer:
        for _ in range(5):
            writer.write(image)
    shown = next(read_frames(tmp_path / "film.mp4")).image
    assert shown.shape[:2] == (height + height % 2, width + width % 2)
    np.testing.assert_allclose(shown[:height, -1], 60, atol=12)


@pytest.mark.parametrize("size", [(96, 128), (720, 64)])
def test_colours_survive(tmp_path: Path, size: tuple[int, int]) -> None:
    colours = [(0, 0, 0), (255, 255, 255), (210, 60, 50), (40, 180, 70), (30, 60, 200), (224, 172, 140)]
    with VideoWriter(tmp_path / "film.mp4", height=size[0], width=size[1]) as writer:
        for colour in colours:
            for _ in range(3):
                writer.write(np.broadcast_to(np.array(colour, np.uint8), (*size, 3)).copy())
    frames = list(read_frames(tmp_path / "film.mp4"))
    for i, colour in enumerate(colours):
        assert np.abs(frames[3 * i + 1].image.astype(int) - colour).max() <= 4


@pytest.mark.parametrize("fps", [25.0, 24.0, 30.0, 30000 / 1001])
def test_every_frame_is_there_once_at_its_time(tmp_path: Path, fps: float) -> None:
    film = write(tmp_path / "film.mp4", 60, fps=fps, sound=tones(16000, 5.0))
    info = probe(film)
    assert info.n_frames == 60
    assert info.fps == pytest.approx(fps, rel=1e-6)
    assert info.duration_s == pytest.approx(60 / fps, abs=1e-3)
    assert [number_of(frame.image) for frame in read_frames(film, fps=fps)] == list(range(60))


def test_one_channel_of_samples_is_a_sound_too(tmp_path: Path) -> None:
    film = write(tmp_path / "film.mp4", 50, sound=tones(22050, 2.0), sample_rate_hz=22050)
    assert (probe(film).sample_rate_hz, probe(film).channels) == (22050, 1)
    assert np.corrcoef(read_waveform(film)[1000:30000], tones(16000, 2.0)[1000:30000])[0, 1] > 0.995


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "first.mp4", 30, sound=tones(16000, 1.0))
    second = write(tmp_path / "second.mp4", 30, sound=tones(16000, 1.0))
    assert first.read_bytes() == second.read_bytes()


def test_the_index_stands_at_the_beginning(tmp_path: Path) -> None:
    content = write(tmp_path / "film.mp4", 10).read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_nothing_is_left_after_an_interruption(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "film.mp4").write_bytes(b"what was there before")

    def interrupted() -> None:
        with VideoWriter(tmp_path / "film.mp4", height=48, width=96, sound=tones(16000, 1.0)) as writer:
            writer.write(stamped(0))
            raise error

    with pytest.raises(error):
        interrupted()
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    assert (tmp_path / "film.mp4").read_bytes() == b"what was there before"


def test_wrong_input_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    silent = write(tmp_path / "silent.mp4", 5)
    out = tmp_path / "out"
    with pytest.raises(MediaError, match="no sound track"):
        VideoWriter(out / "film.mp4", height=48, width=96, sound=silent)
    with pytest.raises(InputError, match="positive"):
        VideoWriter(out / "film.mp4", height=0, width=96)

    def of_two_sizes() -> None:
        with VideoWriter(out / "film.mp4", height=48, width=96) as writer:
            writer.write(stamped(0))
            writer.write(stamped(0)[:, :50])

    with pytest.raises(InputError, match=r"Frame 1 .* 50x48 .* 96x48"):
        of_two_sizes()
    with pytest.raises(OutputError, match="no frame"), VideoWriter(out / "film.mp4", height=48, width=96):
        pass
    assert not list(out.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(OutputError, match=r"film\.mp4"),
        VideoWriter(tmp_path / "file" / "film.mp4", height=48, width=96),
    ):
        pass


@pytest.mark.parametrize("at_packet", [0, 5, 40])
def test_a_full_disk_is_said_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_packet: int
) -> None:
    written = 0
    mux = av.container.OutputContainer.mux

    class FullDisk:
        """Stands for the container; its disk is full after some packets."""

        def __init__(self, container: av.container.OutputContainer):
            self._container = container

        def __getattr__(self, name: str) -> object:
            return getattr(self._container, name)

        def mux(self, packets: object) -> None:
            nonlocal written
            written += 1
            if written > at_packet:
                raise av.error.FFmpegError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            mux(self._container, packets)

    real_open = av.open
    monkeypatch.setattr("loquent.media.writer.av.open", lambda *args, **options: FullDisk(real_open(*args, **options)))
    with pytest.raises(OutputError, match=r"film\.mp4: the disk is full"):
        write(tmp_path / "film.mp4", 60, sound=tones(16000, 3.0))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_without_space_gives_the_error_of_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib

    monkeypatch.setattr("loquent.media.writer.atomic_path", lambda path: contextlib.nullcontext(Path("/dev/full")))
    rng = np.random.default_rng(0)

    def write_much() -> None:
        with VideoWriter(tmp_path / "film.mp4", height=128, width=128) as writer:
            for _ in range(200):
                writer.write(rng.integers(0, 255, (128, 128, 3), dtype=np.uint8))

    with pytest.raises(OutputError, match="the disk is full"):
        write_much()
