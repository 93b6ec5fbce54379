"""Jitter against a loop over pixels."""

import math

import numpy as np
import pytest

from loquent.evaluation.jitter import jitter


def test_jitter_is_the_mean_change_of_pixels_that_stand_still_in_truth() -> None:
    random = np.random.default_rng(0)
    before, truth_before = (random.integers(50, 200, (11, 9, 3)).astype(np.uint8) for _ in range(2))
    now = (before + random.integers(-9, 10, before.shape)).astype(np.uint8)
    truth = (truth_before + random.integers(-3, 4, before.shape)).astype(np.uint8)
    changes = []
    for row in range(11):
        for column in range(9):
            moved = max(abs(int(truth[row, column, c]) - int(truth_before[row, column, c])) for c in range(3))
            if moved <= 2:
                changes += [abs(int(now[row, column, c]) - int(before[row, column, c])) for c in range(3)]
    assert 0 < len(changes) < 11 * 9 * 3
    assert jitter(before, now, truth_before, truth) == pytest.approx(np.mean(changes))


def test_where_everything_moves_there_is_no_figure() -> None:
    dark, light = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 90, np.uint8)
    assert math.isnan(jitter(dark, dark, dark, light))
    assert jitter(dark, dark, light, light) == 0
