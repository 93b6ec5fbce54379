import numpy as np
import pytest
import torch

from loquent.speech import log_mel
from loquent.speech.kinds import extract, speech_kind
from loquent.speech.log_mel import LogMelStream, speech_gain

KIND = speech_kind("log_mel")


def babble(seconds: float, seed: int = 0, rate_hz: int = 16000) -> np.ndarray:
    """Noise in syllables: loud and quiet parts, a changing spectrum."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate_hz)
    time = np.arange(n) / rate_hz
    voice = sum(np.sin(2 * np.pi * 130 * h * time + rng.random()) / h for h in range(1, 30))
    loudness = np.clip(np.sin(2 * np.pi * 2.3 * time) + 0.3 * np.sin(2 * np.pi * 0.7 * time), 0, None)
    return (0.05 * loudness * (voice + 0.5 * rng.normal(size=n))).astype(np.float32)


def slow_truth(waveform: np.ndarray, gain: float) -> np.ndarray:
    """The definition, with sums written out: a discrete Fourier transform by its matrix, triangles one by one, float64."""
    sound = np.concatenate([np.zeros(320), gain * waveform.astype(np.float64), np.zeros(1000)])
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(640) / 640)
    dft = np.exp(-2j * np.pi * np.outer(np.arange(513), np.arange(640)) / 1024)
    top, bottom = 2595 * np.log10(1 + 7600 / 700), 2595 * np.log10(1 + 60 / 700)
    edges = [700 * (10 ** ((bottom + (top - bottom) * i / (KIND.width + 1)) / 2595) - 1) for i in range(KIND.width + 2)]
    steps = []
    for j in range(-(-len(waveform) // 320)):
        power = np.abs(dft @ (window * sound[320 * j : 320 * j + 640])) ** 2 * 2 / (1024 * np.sum(window**2))
        bands = []
        for low, peak, high in zip(edges, edges[1:], edges[2:], strict=False):
            energy = 0.0
            for i in range(513):
                hertz = i * 16000 / 1024
                if low < hertz <= peak:
                    energy += power[i] * (hertz - low) / (peak - low)
                elif peak < hertz < high:
                    energy += power[i] * (high - hertz) / (high - peak)
            bands.append((np.log(energy + 1e-9) + 15.5) / 3.5)
        steps.append(bands)
    return np.array(steps)


@pytest.mark.parametrize("n_samples", [1, 319, 320, 321, 8000, 12345])
def test_features_equal_the_definition_written_out(n_samples: int) -> None:
    waveform = babble(1.0)[:n_samples]
    features = extract("log_mel", waveform)
    assert features.shape == (-(-n_samples // 320), KIND.width)
    np.testing.assert_allclose(features.numpy(), slow_truth(waveform, speech_gain(waveform)), atol=2e-4)


@pytest.mark.parametrize("chunk", [1, 100, 320, 333, 16000])
def test_a_stream_gives_the_same_as_the_whole(chunk: int) -> None:
    waveform = babble(0.5 if chunk == 1 else 3.02)
    gain = speech_gain(waveform)
    stream = LogMelStream(gain=gain)
    pieces = [stream.push(waveform[i : i + chunk]) for i in range(0, waveform.size, chunk)]
    torch.testing.assert_close(torch.cat([*pieces, stream.finish()]), extract("log_mel", waveform), rtol=0, atol=1e-5)


def test_the_look_ahead_is_what_the_kind_says() -> None:
    waveform = babble(1.0)
    before = LogMelStream().push(waveform)
    stream = LogMelStream()
    for step in (0, 5, 30):
        # Everything after step / 50 + look_ahead is changed: the step stays the same, and later ones do not.
        changed = waveform.copy()
        changed[round((step / KIND.rate_hz + KIND.look_ahead_s) * 16000) :] += 0.1
        after = LogMelStream().push(changed)
        torch.testing.assert_close(after[: step + 1], before[: step + 1])
        assert (after[step + 1] - before[step + 1]).abs().max() > 0.1
    n_ready = stream.push(waveform[: round((0.1 + KIND.look_ahead_s) * 16000)]).shape[0]
    assert n_ready == 6  # steps at 0, 20, ... 100 ms


def test_a_step_describes_the_sound_around_its_time() -> None:
    click = np.zeros(16000, np.float32)
    click[8000] = 0.5
    energy = LogMelStream().push(click).sum(dim=1)
    assert int(energy.argmax()) == 25


@pytest.mark.parametrize("factor", [0.1, 3.0])
def test_loudness_does_not_matter(factor: float) -> None:
    waveform = babble(4.0)
    ours = extract("log_mel", (waveform * factor).astype(np.float32))
    torch.testing.assert_close(ours, extract("log_mel", waveform), rtol=0, atol=1e-3)


def test_pauses_and_knocks_hardly_move_the_gain() -> None:
    waveform = babble(10.0)
    gain = speech_gain(waveform)
    room = (1e-3 * np.random.default_rng(0).normal(size=5 * 16000)).astype(np.float32)
    for silence in (np.zeros(50 * 16000, np.float32), room):
        assert abs(20 * np.log10(speech_gain(np.concatenate([waveform, silence])) / gain)) < 1.5
    knock = waveform.copy()
    knock[40000:40400] = 0.95
    assert abs(20 * np.log10(speech_gain(knock) / gain)) < 0.5


def test_silence_gives_the_floor_and_is_not_blown_up() -> None:
    floor = (np.log(1e-9) + 15.5) / 3.5
    np.testing.assert_allclose(extract("log_mel", np.zeros(16000, np.float32)).numpy(), floor, atol=1e-5)
    assert speech_gain(np.zeros(16000, np.float32)) == 1
    assert speech_gain(np.zeros(0, np.float32)) == 1
    hiss = (1e-3 * np.random.default_rng(0).normal(size=32000)).astype(np.float32)
    assert 20 * np.log10(speech_gain(hiss)) <= 30.01
    assert extract("log_mel", np.zeros(0, np.float32)).shape == (0, KIND.width)


def test_speech_has_about_zero_mean_and_unit_variance() -> None:
    features = extract("log_mel", babble(20.0))
    assert abs(features.mean()) < 1
    assert 0.4 < features.std() < 1.6


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000])
def test_other_sample_rates_give_nearly_the_same(rate_hz: int) -> None:
    time_16, time_other = np.arange(32000) / 16000, np.arange(2 * rate_hz) / rate_hz

    def sound(time: np.ndarray) -> np.ndarray:
        return (0.1 * sum(np.sin(2 * np.pi * f * time) for f in (150, 440, 1200, 2900))).astype(np.float32)

    other, same = extract("log_mel", sound(time_other), rate_hz), extract("log_mel", sound(time_16))
    assert other.shape == same.shape
    loud = same > 0  # bands and steps that hold the tones
    assert (other - same)[2:-2][loud[2:-2]].abs().max() < 0.05


def test_mel_bands_cover_every_frequency_between_their_ends() -> None:
    bands = log_mel.mel_bands().numpy()
    hertz = np.arange(513) * 16000 / 1024
    inside = (hertz > 160) & (hertz < 7000)
    np.testing.assert_allclose(bands[inside].sum(axis=1), 1, atol=1e-5)
    assert (bands.sum(axis=0) > 0).all()
    assert bands[(hertz < 60) | (hertz > 7600)].sum() == 0
