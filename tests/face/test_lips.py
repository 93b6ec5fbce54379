"""Lip signals, their filter and their comparison over time."""

import numpy as np
import pytest

from loquent.errors import InputError
from loquent.face.lips import correlation, correlation_and_lag, fill_gaps, high_pass, lip_opening, lip_width


def test_opening_and_width_are_in_eye_distances() -> None:
    points = np.zeros((2, 478, 3))
    points[:, 263, 0] = 50.0
    points[:, 14, 1] = [5.0, 10.0]
    points[:, 291, :2] = [30.0, 40.0]
    np.testing.assert_allclose(lip_opening(points), [0.1, 0.2])
    np.testing.assert_allclose(lip_width(points[..., :2]), [1.0, 1.0])


def test_high_pass_keeps_speech_in_place_and_drops_drift() -> None:
    time_s = np.arange(503) / 25
    speech, drift = np.sin(2 * np.pi * 3 * time_s), 5 * np.sin(2 * np.pi * 0.05 * time_s) + time_s
    passed = high_pass(speech + drift, 25.0)
    assert np.abs(passed - speech)[50:-50].max() < 0.05


def test_high_pass_bridges_gaps_and_survives_short_signals() -> None:
    signal = np.sin(np.arange(100.0))
    signal[[10, 11, 50]] = np.nan
    assert np.isnan(high_pass(signal, 25.0)).sum() == 3
    assert high_pass(np.array([1.0, 2.0, 4.0]), 25.0).shape == (3,)
    assert high_pass(np.array([1.0]), 25.0).shape == (1,)


def test_bad_filters_are_refused() -> None:
    with pytest.raises(InputError, match="no value"):
        high_pass(np.full(20, np.nan), 25.0)
    with pytest.raises(InputError, match=r"12\.5 Hz"):
        high_pass(np.zeros(20), 25.0, cutoff_hz=20.0)


def test_gaps_are_filled_linearly_and_ends_repeat() -> None:
    filled = fill_gaps(np.array([np.nan, 1.0, np.nan, 3.0, np.nan]))
    np.testing.assert_allclose(filled, [1, 1, 2, 3, 3])


@pytest.mark.parametrize("shift", [-4, 0, 3])
def test_the_lag_is_where_a_loop_finds_it(shift: int) -> None:
    rng = np.random.default_rng(shift + 10)
    noise = np.convolve(rng.normal(size=231), np.ones(3) / 3, mode="same")
    a, b = noise[10:211], noise[10 - shift : 211 - shift] + 0.1 * rng.normal(size=201)
    at_zero, lag_s, at_best = correlation_and_lag(a, b, 25.0)
    assert lag_s == pytest.approx(shift / 25)
    assert at_zero == pytest.approx(np.corrcoef(a, b)[0, 1])
    values = {}
    for lag in range(-10, 11):
        pairs = [(a[i], b[i + lag]) for i in range(len(a)) if 0 <= i + lag < len(b)]
        values[lag] = np.corrcoef(np.array(pairs).T)[0, 1]
    assert at_best == pytest.approx(max(values.values()))


def test_correlation_ignores_gaps_and_constant_signals() -> None:
    a = np.sin(np.arange(60.0))
    b = np.random.default_rng(0).normal(size=60)
    assert correlation(a, 3 - 2 * b) == pytest.approx(-np.corrcoef(a, b)[0, 1])
    b[5:9] = np.nan
    assert correlation(a, b) == pytest.approx(np.corrcoef(np.delete(a, range(5, 9)), np.delete(b, range(5, 9)))[0, 1])
    assert correlation(b, b) == pytest.approx(1)
    assert correlation(a, np.ones(60)) == correlation(a[:2], b[:2]) == 0.0
    b = a.copy()
    b[5:9] = np.nan
    assert correlation_and_lag(a, b, 25.0)[0] == pytest.approx(1)
    assert correlation_and_lag(a, np.ones(60), 25.0)[::2] == (0.0, 0.0)
    assert correlation_and_lag(a[:2], b[:2], 25.0)[0] == 0.0
    with pytest.raises(InputError, match="60 and 59"):
        correlation_and_lag(a, b[:59], 25.0)
