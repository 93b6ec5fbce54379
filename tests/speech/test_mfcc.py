"""Cepstral coefficients against loops written from the definition."""

import numpy as np
import pytest

from loquent.speech import mfcc as module
from loquent.speech.mfcc import mfcc

GOLDEN = [20.87181138, 5.12768484, -34.15062206, -39.29838876]


def slow(samples: np.ndarray, count: int) -> np.ndarray:
    emphasised = np.array([samples[0], *(samples[i] - 0.97 * samples[i - 1] for i in range(1, len(samples)))])
    n_steps = 1 + max(0, int(np.ceil((len(samples) - 400) / 160)))
    corners = [
        int(513 * 700 * (10 ** (m / 2595) - 1) / 16000) for m in np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 28)
    ]
    rows = []
    for j in range(n_steps):
        window = np.zeros(512)
        piece = emphasised[160 * j : 160 * j + 400]
        window[: len(piece)] = piece
        turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(512)) / 512)
        power = np.abs(turns @ window) ** 2 / 512
        bands = []
        for low, middle, high in zip(corners, corners[1:], corners[2:], strict=False):
            rising = sum(power[i] * (i - low) / (middle - low) for i in range(low, middle))
            bands.append(rising + sum(power[i] * (high - i) / (high - middle) for i in range(middle, high)))
        row = []
        for k in range(count):
            scale = np.sqrt((1 if k == 0 else 2) / 26)
            value = scale * sum(np.log(b) * np.cos(np.pi * k * (2 * i + 1) / 52) for i, b in enumerate(bands))
            row.append(value * (1 + 11 * np.sin(np.pi * k / 22)))
        row[0] = np.log(power.sum())
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(("n_samples", "count"), [(300, 13), (400, 26), (1111, 13)])
def test_coefficients_are_those_of_the_definition(n_samples: int, count: int) -> None:
    samples = np.random.default_rng(n_samples).normal(0, 3000, n_samples).round()
    np.testing.assert_allclose(mfcc(samples, count), slow(samples, count), rtol=1e-6, atol=1e-6)


def test_numbers_of_the_package_that_published_networks_were_trained_with() -> None:
    # python_speech_features 0.6, mfcc(x, 16000, numcep=13)[3, :4]
    samples = (8000 * np.sin(np.arange(4000) ** 1.5 / 90)).round()
    np.testing.assert_allclose(mfcc(samples, 13)[3, :4], GOLDEN, rtol=1e-6)


def test_blocks_and_silence_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.random.default_rng(0).normal(0, 3000, 5000).round()
    whole = mfcc(samples, 13)
    monkeypatch.setattr(module, "_BLOCK", 7)
    np.testing.assert_allclose(mfcc(samples, 13), whole, rtol=1e-12)
    assert np.isfinite(mfcc(np.zeros(1000), 13)).all()
