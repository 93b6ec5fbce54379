"""The lag between sound and lips, on the actor, whose lags are known, and on real clips shifted by known amounts."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float

from loquent.actor.script import make_script
from loquent.actor.voice import speak
from loquent.prepare.sound_offset import APPLY_FROM, LIPS_LEAD_S, SoundOffset, measure_sound_offset

REAL = Path(__file__).parents[3] / "shared" / "data" / "lips"
RATE_HZ = 16000


def actor(seconds: float, seed: int) -> tuple[Float[np.ndarray, "2 frames"], Float[np.ndarray, "samples"]]:
    """Opening and width of the actor's lips, measured with as much noise as motion, and the sound that belongs to them."""
    script = make_script(seconds, seed)
    jaw, part, spread, protrude = script.shapes[:, :4].T
    lips = np.stack([jaw + part, spread - protrude])
    noise = lips.std(axis=1, keepdims=True) * np.random.default_rng(seed).normal(size=lips.shape)
    return lips + noise, later(speak(script), LIPS_LEAD_S)  # people's lips lead, the actor's do not


def later(waveform: Float[np.ndarray, "samples"], lag_s: float) -> Float[np.ndarray, "samples"]:
    """The sound, as long as before, delayed by `lag_s`."""
    moments = np.arange(len(waveform)) - round(lag_s * RATE_HZ)
    inside = (moments >= 0) & (moments < len(waveform))
    return np.where(inside, waveform[moments.clip(0, len(waveform) - 1)], 0).astype(np.float32)


def measure(lips: Float[np.ndarray, "2 frames"], waveform: Float[np.ndarray, "samples"]) -> SoundOffset:
    return measure_sound_offset(*lips, np.arange(lips.shape[1]), waveform)


@pytest.mark.parametrize("lag_s", [-0.3, -0.1, 0.0, 0.2, 0.33])
def test_known_lag_is_found_in_eight_seconds(lag_s: float) -> None:
    lips, waveform = actor(8.0, seed=3)
    found = measure(lips, later(waveform, lag_s))
    assert found.measured_s == pytest.approx(lag_s, abs=0.04)
    assert found.confidence > APPLY_FROM
    assert found.applied_s == found.measured_s
    assert 0.3 < found.correlation < 0.7


def test_other_sentences_have_the_same_lag() -> None:
    found = [measure(*actor(10.0, seed)).measured_s for seed in range(5)]
    assert found == pytest.approx([0.0] * 5, abs=0.03)


def test_frames_left_out_keep_their_time() -> None:
    lips, waveform = actor(20.0, seed=4)
    kept = np.array([k for k in range(lips.shape[1]) if not (100 <= k < 190 or k % 17 == 0)])
    found = measure_sound_offset(*lips[:, kept], kept, later(waveform, 0.2))
    assert found.measured_s == pytest.approx(0.2, abs=0.04)
    wrong = measure_sound_offset(*lips[:, kept], np.arange(len(kept)), later(waveform, 0.2))
    assert wrong.confidence < found.confidence


@pytest.mark.parametrize("seconds", [3.0, 16.0])
def test_sound_of_someone_else_is_not_trusted(seconds: float) -> None:
    found = [measure(actor(seconds, seed)[0], actor(seconds, seed + 100)[1]) for seed in range(6)]
    assert sum(item.applied_s != 0 for item in found) <= 1
    assert np.mean([item.confidence for item in found]) < 0.6


def test_too_little_speech_is_not_trusted() -> None:
    lips, waveform = actor(12.0, seed=5)
    spoken = waveform.copy()
    spoken[RATE_HZ:] *= 1e-3  # a second of speech, then a quiet room
    assert measure(lips, waveform).confidence > 0.95
    assert measure(lips, spoken).confidence < APPLY_FROM


@pytest.mark.parametrize("case", ["silence", "still lips", "short"])
def test_what_cannot_be_measured_is_no_offset(case: str) -> None:
    lips, waveform = actor(1.9 if case == "short" else 12.0, seed=5)
    lips = np.full_like(lips, 0.1) if case == "still lips" else lips
    waveform = np.zeros_like(waveform) if case == "silence" else waveform
    found = measure(lips, waveform)
    assert (found.measured_s, found.confidence, found.applied_s) == (0.0, 0.0, 0.0)


def test_noise_without_speech_is_not_trusted() -> None:
    lips, waveform = actor(12.0, seed=7)
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(waveform)).astype(np.float32)
    assert measure(lips, noise).applied_s == 0.0


def test_same_input_same_answer() -> None:
    lips, waveform = actor(6.0, seed=6)
    assert measure(lips, waveform) == measure(lips, waveform)


@pytest.mark.parametrize("name", ["infinitetalk_ref_video", "latentsync_demo2", "sadtalker_WDA_BobMenendez_000"])
def test_real_clip_follows_an_added_lag(name: str) -> None:
    if not REAL.is_dir():
        pytest.skip("needs ../shared/data, which is not beside this checkout")
    clip = np.load(REAL / f"{name}.npz")
    waveform = clip["sound"].astype(np.float32) / 32768
    lips = np.stack([clip["opening"], clip["width"]]).astype(np.float64)
    before = measure(lips, waveform)
    assert abs(before.measured_s) < 0.12
    assert before.confidence > APPLY_FROM
    delayed = np.concatenate([np.zeros(round(0.16 * RATE_HZ), np.float32), waveform])
    assert measure(lips, delayed).measured_s - before.measured_s == pytest.approx(0.16, abs=0.04)
