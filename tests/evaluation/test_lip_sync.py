"""Lip curves with known lag, correlation and gaps."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from loquent.evaluation.lip_sync import lip_sync

FPS = 25.0


def speech_like(n: int, seed: int) -> np.ndarray:
    """A random curve without slow drift, of the pace of lips."""
    curve = gaussian_filter1d(np.random.default_rng(seed).standard_normal(n), 1.5)
    return (curve - gaussian_filter1d(curve, 12)) / curve.std()


def test_late_lips_have_a_positive_lag() -> None:
    curve = speech_like(203, seed=0)
    got = lip_sync(curve[:-3], curve[3:], np.arange(200), FPS)
    assert got is not None
    assert got.lag_frames == 3
    assert got.lag_s == pytest.approx(0.12)
    assert got.best_correlation > 0.97
    assert got.correlation < got.best_correlation


def test_early_lips_have_a_negative_lag() -> None:
    curve = speech_like(202, seed=1)
    got = lip_sync(curve[2:], curve[:-2], np.arange(200), FPS)
    assert got is not None
    assert got.lag_frames == -2


def test_correlation_is_that_of_the_common_part() -> None:
    common, one, other = (speech_like(4000, seed) for seed in (2, 3, 4))
    got = lip_sync(common + one, common + other, np.arange(4000), FPS)
    assert got is not None
    assert got.correlation == pytest.approx(0.5, abs=0.06)
    assert got.lag_frames == 0
    assert got.chance_correlation is not None
    assert 0 < got.chance_correlation < 0.15


def test_slow_drift_earns_nothing() -> None:
    drift = 10 * np.sin(np.arange(500) / FPS * 2 * np.pi * 0.05)
    got = lip_sync(speech_like(500, 5) + drift, speech_like(500, 6) + drift, np.arange(500), FPS)
    assert got is not None
    assert abs(got.correlation) < 0.3


def test_dropped_frames_leave_gaps_instead_of_moving_time() -> None:
    curve = speech_like(304, seed=7)
    kept = np.setdiff1d(np.arange(300), [*range(40, 47), *range(100, 160), 201])
    got = lip_sync(curve[kept], curve[kept + 4], kept, FPS)
    assert got is not None
    assert got.lag_frames == 4
    assert got.n_frames == len(kept)


def test_frames_without_a_face_do_not_count() -> None:
    curve = speech_like(100, seed=8)
    holed = curve.copy()
    holed[10:20] = np.nan
    got = lip_sync(holed, curve, np.arange(100), FPS)
    assert got is not None
    assert got.n_frames == 90
    assert got.correlation > 0.9


def test_too_few_frames_say_nothing() -> None:
    curve = speech_like(24, seed=9)
    assert lip_sync(curve, curve, np.arange(24), FPS) is None
    assert lip_sync(np.full(60, np.nan), np.full(60, np.nan), np.arange(60), FPS) is None


def test_a_short_clip_knows_no_chance() -> None:
    curve = speech_like(30, seed=10)
    got = lip_sync(curve, curve, np.arange(30), FPS)
    assert got is not None
    assert got.correlation == pytest.approx(1)
    assert got.chance_correlation is None


def test_still_lips_correlate_with_nothing() -> None:
    got = lip_sync(np.full(60, 0.1), speech_like(60, 11), np.arange(60), FPS)
    assert got is not None
    assert got.correlation == 0
    assert got.opening_std == pytest.approx(0, abs=1e-9)
