"""Height of brows against faces whose brows are known."""

import numpy as np
import pytest
from synthetic_face import look_at, make_face

from loquent.errors import PreparationError
from loquent.face import indices
from loquent.face.brows import brow_height

BROWS = [*indices.RIGHT_BROW, *indices.LEFT_BROW]


def raised(height: float) -> np.ndarray:
    """A face whose brows are this much higher, in volume units."""
    face = make_face(0)
    face[BROWS, 0] += height
    return face


def test_height_follows_the_brows_whatever_the_pose() -> None:
    truth = 0.5 + 0.5 * np.sin(np.arange(150) / 7)
    seen = look_at(np.stack([raised(0.05 * one) for one in truth]), seed=1, spread_deg=10, noise_px=0.2)
    height = brow_height(seen.points_px, n_train=100)
    assert height.shape == (150,)
    assert np.abs(height - truth).max() < 0.15
    assert np.corrcoef(height, truth)[0, 1] > 0.98


def test_only_training_frames_set_the_range() -> None:
    heights = np.concatenate([np.linspace(0, 0.05, 60), np.linspace(-0.05, 0.1, 20)])
    points = look_at(np.stack([raised(one) for one in heights]), seed=2).points_px
    height = brow_height(points, n_train=60)
    assert height.min() == 0
    assert height.max() == 1
    np.testing.assert_allclose(height[60:], np.clip(heights[60:] / 0.05, 0, 1), atol=0.06)
    other = points.copy()
    other[60:] = points[0]
    np.testing.assert_array_equal(brow_height(other, n_train=60)[:60], height[:60])


def test_frames_without_a_face_stay_unknown() -> None:
    points = look_at(np.stack([raised(one) for one in np.linspace(0, 0.05, 20)]), seed=3).points_px
    points[4] = np.nan
    assert np.flatnonzero(np.isnan(brow_height(points, n_train=18))).tolist() == [4]
    points[:18] = np.nan
    with pytest.raises(PreparationError, match="No training frame"):
        brow_height(points, n_train=18)
