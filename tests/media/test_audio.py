from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import stamped, tones, write_film, write_sound
from scipy.signal import firwin, resample_poly

from loquent.errors import InputError, MediaError
from loquent.media.audio import iter_waveform, read_waveform, resample, write_wav
from loquent.media.probe import probe

HERTZ = (220.0, 531.0, 1710.0, 3013.0)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_sound_of_any_rate_comes_out_at_16_khz_mono(tmp_path: Path, rate_hz: int, channels: int) -> None:
    one = tones(rate_hz, 2.0)
    sound = np.stack([one, np.zeros_like(one)][:channels])
    path = write_sound(tmp_path / "sound.flac", sound, rate_hz, "flac")
    waveform = read_waveform(path)
    assert waveform.dtype == np.float32
    assert waveform.shape == (32000,)
    truth = tones(16000, 2.0) / channels
    np.testing.assert_allclose(waveform[300:-300], truth[300:-300], atol=2e-4)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(48000, 16000), (44100, 16000), (16000, 48000), (8000, 16000)])
def test_resampling_agrees_with_scipy(from_hz: int, to_hz: int) -> None:
    rng = np.random.default_rng(0)
    band = 0.8 * min(from_hz, to_hz) / 2
    noise = np.convolve(rng.normal(size=from_hz), firwin(801, band, fs=from_hz), mode="same").astype(np.float32)
    ratio = Fraction(to_hz, from_hz)
    wide = ("kaiser", 10.0)
    truth = resample_poly(noise.astype(np.float64), ratio.numerator, ratio.denominator, window=wide)
    ours = resample(noise, from_hz, to_hz)
    assert ours.shape == (to_hz,)
    error = (ours - truth)[500:-500]
    assert 10 * np.log10(np.mean(error**2) / np.mean(truth**2)) < -45


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    time = np.arange(48000) / 48000
    for hertz in (8400.0, 9500.0, 15000.0, 23000.0):
        alias = resample(np.sin(2 * np.pi * hertz * time).astype(np.float32), 48000, 16000)
        assert np.abs(alias[500:-500]).max() < 1e-3


def test_the_resampler_does_not_shift_sound() -> None:
    click = np.zeros(48000, np.float32)
    click[24000] = 1
    assert np.abs(resample(click, 48000, 16000)).argmax() == 8000
    assert np.abs(resample(click[:16000] * 0 + click[12000:28000], 16000, 48000)).argmax() == 36000


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_all_sample_formats_have_the_same_scale(tmp_path: Path, codec: str) -> None:
    path = write_sound(tmp_path / "sound.wav", tones(16000, 0.5)[None], 16000, codec)
    np.testing.assert_allclose(read_waveform(path), tones(16000, 0.5), atol=0.006 if codec == "pcm_u8" else 5e-5)


@pytest.mark.parametrize(("video_start_s", "sound_start_s"), [(0.0, 0.0), (0.0, 0.5), (0.48, 0.0), (0.2, 0.32)])
@pytest.mark.parametrize(
    ("ending", "codec", "tolerance_s"), [("mkv", "flac", 1e-3), ("mkv", "pcm_s16le", 1e-3), ("mp4", "aac", 1e-3)]
)
def test_sample_0_is_at_the_first_video_frame(
    tmp_path: Path, video_start_s: float, sound_start_s: float, ending: str, codec: str, tolerance_s: float
) -> None:
    sound = np.zeros((1, 48000 * 2), np.float32)
    sound[0, 48000 : 48000 + 480] = tones(48000, 0.01)  # a beep one second into the sound
    path = write_film(
        tmp_path / f"film.{ending}",
        [stamped(i) for i in range(50)],
        video_start_s + np.arange(50) / 25,
        sound=sound,
        sound_start_s=sound_start_s,
        sound_codec=codec,
    )
    waveform = read_waveform(path)
    loud = np.flatnonzero(np.abs(waveform) > 0.1)
    assert loud[0] / 16000 == pytest.approx(sound_start_s + 1 - video_start_s, abs=tolerance_s)
    assert len(waveform) / 16000 == pytest.approx(sound_start_s + 2 - video_start_s, abs=0.05)


def test_gaps_in_the_sound_become_silence_and_overlaps_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "gaps.mkv"
    tone = tones(16000, 3)
    with av.open(str(path), "w") as container:
        track = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for begin, stated in [
            (0, 0),
            (8000, 8000),
            (16000, 32000),
            (24000, 36000),
        ]:  # a gap of 1 s, an overlap of 0.25 s
            frame = av.AudioFrame.from_ndarray(
                (tone[None, begin : begin + 8000] * 32767).astype(np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.time_base, frame.pts = 16000, Fraction(1, 16000), stated
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    waveform = read_waveform(path)
    assert len(waveform) == 44000
    np.testing.assert_allclose(waveform[:16000], tone[:16000], atol=1e-4)
    assert (waveform[16000:32000] == 0).all()
    np.testing.assert_allclose(waveform[32000:40000], tone[16000:24000], atol=1e-4)
    np.testing.assert_allclose(waveform[40000:], tone[28000:32000], atol=1e-4)


def test_a_clock_that_is_set_anew_on_the_way_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "joined.ts"
    tone = tones(16000, 3)
    with av.open(str(path), "w") as container:
        track = container.add_stream("mp2", rate=16000, layout="mono")
        for begin, stated in [(0, 0), (16000, 16000), (32000, 16000 * 5000)]:
            frame = av.AudioFrame.from_ndarray(
                (tone[None, begin : begin + 16000] * 32767).astype(np.int16), format="s16", layout="mono"
            )
            frame.sample_rate, frame.time_base, frame.pts = 16000, Fraction(1, 16000), stated
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    assert len(read_waveform(path)) / 16000 == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize("chunk_s", [0.01, 0.33, 1.0, 100.0])
@pytest.mark.parametrize("rate_hz", [16000, 44100])
def test_streaming_gives_the_same_samples(tmp_path: Path, chunk_s: float, rate_hz: int) -> None:
    path = write_sound(tmp_path / "sound.flac", tones(rate_hz, 2.37)[None], rate_hz, "flac")
    chunks = list(iter_waveform(path, sample_rate_hz=16000, chunk_s=chunk_s))
    assert {chunk.size for chunk in chunks[:-1]} <= {round(chunk_s * 16000)}
    np.testing.assert_array_equal(np.concatenate(chunks), read_waveform(path))


def test_wav_round_trip_and_clipping(tmp_path: Path) -> None:
    waveform = np.concatenate([tones(16000, 0.3), np.array([1.5, -1.5, 1.0, -1.0], np.float32)])
    write_wav(tmp_path / "new" / "sound.wav", waveform, 16000)
    again = read_waveform(tmp_path / "new" / "sound.wav")
    np.testing.assert_allclose(again, np.clip(waveform, -1, 32767 / 32768), atol=0.51 / 32768)
    write_wav(tmp_path / "twice.wav", again, 16000)
    assert (tmp_path / "twice.wav").read_bytes() == (tmp_path / "new" / "sound.wav").read_bytes()


def test_a_film_without_sound_says_so(tmp_path: Path) -> None:
    film = write_film(tmp_path / "silent.mp4", [stamped(i) for i in range(5)], np.arange(5) / 25)
    assert not probe(film).has_sound
    for read in (read_waveform, iter_waveform):
        with pytest.raises(MediaError, match=r"silent\.mp4 has no sound track"):
            read(film)


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        track = container.add_stream("aac", rate=16000, layout="mono")
        container.mux(cover.encode(av.VideoFrame.from_ndarray(stamped(1))))
        container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(tones(16000, 1)[None], format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    info = probe(path)
    assert info.has_sound
    assert not info.has_video
    assert len(read_waveform(path)) / 16000 == pytest.approx(1, abs=0.1)


def test_a_cut_off_sound_gives_what_can_be_decoded(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.flac", tones(16000, 4)[None], 16000, "flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 20000 < len(read_waveform(path)) < 44000


def test_senseless_requests_are_refused(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "sound.wav", tones(16000, 0.1)[None], 16000, "pcm_s16le")
    with pytest.raises(InputError):
        read_waveform(path, sample_rate_hz=0)
    with pytest.raises(InputError):
        iter_waveform(path, chunk_s=0.0)
