"""Scores of landmark motion on motions whose error, lag and liveliness are known."""

import numpy as np
import pytest
import torch

from loquent.evaluation.landmark_motion import nearest_neighbours, score_motion
from loquent.face import indices

FPS = 25.0
NUMBERS = indices.MESH_OF_68
LOWER_LIP, RIGHT_EYE, LEFT_EYE, BROW = (NUMBERS.index(n) for n in (14, 33, 263, 105))


def faces(opening: np.ndarray) -> np.ndarray:
    """68 points of which the lower lip's middle alone moves, down by `opening`; outer eye corners 1 apart."""
    random = np.random.default_rng(0)
    still = random.uniform(-0.4, 0.4, (68, 3))
    still[RIGHT_EYE], still[LEFT_EYE] = (-0.5, 0, 0), (0.5, 0, 0)
    still[NUMBERS.index(13)] = still[LOWER_LIP] = (0, 0.4, 0)
    points = np.repeat(still[None], len(opening), axis=0)
    points[:, LOWER_LIP, 1] += opening
    return points


def opening(n: int) -> np.ndarray:
    return 0.1 + 0.05 * np.sin(np.arange(n) * 0.9) * np.cos(np.arange(n) * 0.37)


def test_the_truth_scores_nothing_but_one() -> None:
    truth = faces(opening(100))
    got = score_motion("truth", truth, truth, NUMBERS, np.arange(100), FPS)
    assert (got.error, got.mouth_error, got.speed) == (0, 0, 1)
    assert got.lips is not None
    assert got.lips.correlation == pytest.approx(1)
    assert got.to_json()["lips"]["lag_frames"] == 0


def test_errors_are_means_over_points_and_the_mouth_counts_lips_and_jaw() -> None:
    truth = faces(opening(50))
    moved = truth.copy()
    moved[:, BROW] += (0.03, 0, 0.04)
    got = score_motion("brow", moved, truth, NUMBERS, np.arange(50), FPS)
    assert got.error == pytest.approx(0.05 / 68)
    assert got.mouth_error == 0
    moved[:, LOWER_LIP, 2] += 0.2
    got = score_motion("lip", moved, truth, NUMBERS, np.arange(50), FPS)
    n_mouth = sum(n in (*indices.OUTER_LIPS, *indices.INNER_LIPS, *indices.JAW) for n in NUMBERS)
    assert got.mouth_error == pytest.approx(0.2 / n_mouth)


def test_late_and_lazy_lips_show_as_lag_and_speed() -> None:
    curve = opening(123)
    late = faces(0.1 + 0.5 * (curve[:-3] - 0.1))
    got = score_motion("late", late, faces(curve[3:]), NUMBERS, np.arange(120), FPS)
    assert got.lips is not None
    assert got.lips.lag_frames == 3
    assert got.lips.best_correlation > 0.99
    assert got.speed == pytest.approx(0.5, abs=0.02)


def test_a_jump_over_dropped_frames_is_no_speed() -> None:
    curve = opening(80)
    ids = np.concatenate([np.arange(40), np.arange(60, 100)])
    jumping = faces(curve + (ids >= 60))
    got = score_motion("jump", jumping, faces(curve), NUMBERS, ids, FPS)
    assert got.speed == pytest.approx(1)


def test_few_frames_have_errors_but_no_curve() -> None:
    truth = faces(opening(19))
    got = score_motion("few", truth + 0.01, truth, NUMBERS, np.arange(19), FPS)
    assert got.lips is None
    assert got.error == pytest.approx(0.01 * 3**0.5)


def test_the_nearest_window_is_found_whatever_the_scale_of_its_values() -> None:
    random = np.random.default_rng(1)
    known = random.standard_normal((50, 3, 4))
    asked = known[[7, 31, 2]] + 0.01 * random.standard_normal((3, 3, 4))
    scales = np.array([1000.0, 1.0, 0.01])[None, :, None]
    got = nearest_neighbours(torch.from_numpy(asked * scales).float(), torch.from_numpy(known * scales).float())
    assert got.tolist() == [7, 31, 2]
    spread = known.std(axis=(0, 2), ddof=1)[None, :, None]
    other = random.standard_normal((20, 3, 4))
    brute = [int(np.argmin([np.sum(((one - each) / spread[0]) ** 2) for each in known])) for one in other]
    got = nearest_neighbours(torch.from_numpy(other * scales).float(), torch.from_numpy(known * scales).float())
    assert got.tolist() == brute
