"""The lag between sound and lips, on synthetic speech whose lag is known, and on real clips shifted by known amounts."""

from pathlib import Path

import numpy as np
import pytest
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from loquent.prepare.sound_offset import APPLY_FROM, measure_sound_offset

REAL = Path(__file__).parents[3] / "shared" / "data" / "lips"
RATE_HZ = 16000


def speech(seconds: float, seed: int, lag_s: float) -> tuple[Float[np.ndarray, "frames"], Float[np.ndarray, "samples"]]:
    """Lips that open for syllables, and a sound whose loudness and brightness follow them, `lag_s` later."""
    rng = np.random.default_rng(seed)
    fine_hz = 1000
    n_fine = int((seconds + 2) * fine_hz)
    syllables = np.zeros(n_fine)
    at = 0
    while at < n_fine:
        at += int(rng.uniform(0.12, 0.35) * fine_hz)
        syllables[at : at + 1] = rng.uniform(0.3, 1.0)
    opening = gaussian_filter1d(syllables, 50.0) * 100
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    # In natural speech the lips lead by some 0.03 s: see LIPS_LEAD_S.
    heard = np.interp((time_s - lag_s - 0.03 + 1) * fine_hz, np.arange(n_fine), opening)
    buzz = sum(np.sin(2 * np.pi * 130 * k * time_s + k) / k for k in range(1, 25))
    hiss = np.diff(rng.normal(size=len(time_s) + 1))
    waveform = 0.1 * heard * buzz + 0.02 * np.exp(-3 * heard) * hiss + 1e-3 * rng.normal(size=len(time_s))
    frames_s = np.arange(int(seconds * 25)) / 25
    lips = np.interp((frames_s + 1) * fine_hz, np.arange(n_fine), opening)
    return lips + 0.02 * rng.normal(size=len(lips)), waveform.astype(np.float32)


@pytest.mark.parametrize("lag_s", [-0.3, -0.1, 0.0, 0.2, 0.33])
def test_known_lag_is_found(lag_s: float) -> None:
    lips, waveform = speech(16, seed=3, lag_s=lag_s)
    found = measure_sound_offset(lips, np.arange(len(lips)), waveform)
    assert found.measured_s == pytest.approx(lag_s, abs=0.045)
    assert found.confidence > APPLY_FROM
    assert found.applied_s == found.measured_s
    assert found.correlation > 0.4


def test_frames_left_out_keep_their_time() -> None:
    lips, waveform = speech(20, seed=4, lag_s=0.2)
    kept = np.array([k for k in range(len(lips)) if not (100 <= k < 190 or k % 17 == 0)])
    found = measure_sound_offset(lips[kept], kept, waveform)
    assert found.measured_s == pytest.approx(0.2, abs=0.04)


def test_sound_of_someone_else_is_not_trusted() -> None:
    trusted = 0
    for seed in range(6):
        lips, _ = speech(16, seed=seed, lag_s=0.0)
        _, other = speech(16, seed=seed + 100, lag_s=0.0)
        found = measure_sound_offset(lips, np.arange(len(lips)), other)
        trusted += abs(found.applied_s) > 0.06
        assert found.correlation < 0.35
    assert trusted <= 1


@pytest.mark.parametrize("case", ["silence", "still lips", "short"])
def test_what_cannot_be_measured_is_no_offset(case: str) -> None:
    lips, waveform = speech(3 if case == "short" else 12, seed=5, lag_s=0.2)
    lips = np.full_like(lips, 0.1) if case == "still lips" else lips
    waveform = np.zeros_like(waveform) if case == "silence" else waveform
    found = measure_sound_offset(lips, np.arange(len(lips)), waveform)
    assert (found.measured_s, found.confidence, found.applied_s) == (0.0, 0.0, 0.0)


def test_same_input_same_answer() -> None:
    lips, waveform = speech(10, seed=6, lag_s=0.1)
    assert measure_sound_offset(lips, np.arange(len(lips)), waveform) == measure_sound_offset(
        lips, np.arange(len(lips)), waveform
    )


@pytest.mark.parametrize("name", ["infinitetalk_ref_video", "latentsync_demo2", "sadtalker_WDA_BobMenendez_000"])
def test_real_clip_follows_an_added_lag(name: str) -> None:
    if not REAL.is_dir():
        pytest.skip("needs ../shared/data, which is not beside this checkout")
    clip = np.load(REAL / f"{name}.npz")
    waveform = clip["sound"].astype(np.float32) / 32768
    lips, frame_ids = clip["opening"].astype(np.float64), np.arange(len(clip["opening"]))
    before = measure_sound_offset(lips, frame_ids, waveform)
    assert abs(before.measured_s) < 0.12
    assert before.confidence > APPLY_FROM
    later = np.concatenate([np.zeros(round(0.16 * RATE_HZ), np.float32), waveform])
    assert measure_sound_offset(lips, frame_ids, later).measured_s - before.measured_s == pytest.approx(0.16, abs=0.05)
