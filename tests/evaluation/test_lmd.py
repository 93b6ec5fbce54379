"""Landmark distance against a loop; the place of the mouth does not count."""

import numpy as np
import pytest

from loquent.evaluation.lmd import MOUTH, mouth_distance_px
from loquent.face.lips import eye_distance


@pytest.fixture
def faces() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 100, (4, 478, 3)).astype(np.float32)


def test_distance_is_the_mean_over_centred_mouth_points(faces: np.ndarray) -> None:
    other = np.random.default_rng(1).uniform(0, 100, faces.shape).astype(np.float32)
    for k, got in enumerate(mouth_distance_px(other, faces)):
        centres = [np.mean([points[k, p, :2] for p in MOUTH], axis=0) for points in (other, faces)]
        offsets = [(other[k, p, :2] - centres[0]) - (faces[k, p, :2] - centres[1]) for p in MOUTH]
        assert got == pytest.approx(np.mean([np.hypot(u, v) for u, v in offsets]), rel=1e-5)


def test_moving_the_whole_mouth_costs_nothing(faces: np.ndarray) -> None:
    moved = faces.copy()
    moved[:, :, :2] += [5.0, -3.0]
    np.testing.assert_allclose(mouth_distance_px(moved, faces), 0, atol=1e-4)


def test_opening_the_mouth_costs_pixels_and_depth_does_not(faces: np.ndarray) -> None:
    opened = faces.copy()
    opened[:, MOUTH[:10], 1] += 4
    opened[:, :, 2] += 50
    np.testing.assert_allclose(mouth_distance_px(opened, faces), 2, rtol=1e-4)


def test_a_missing_face_is_not_a_number(faces: np.ndarray) -> None:
    missing = faces.copy()
    missing[2] = np.nan
    assert np.isnan(mouth_distance_px(missing, faces)).tolist() == [False, False, True, False]


def test_eye_distance_is_between_the_outer_corners() -> None:
    points = np.zeros((1, 478, 3), np.float32)
    points[0, 33, :2], points[0, 263, :2] = (10, 20), (40, 60)
    assert eye_distance(points).tolist() == [50]
