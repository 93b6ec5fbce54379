"""Mouth motion in a few numbers."""

import numpy as np
import pytest
from synthetic_face import look_at, make_face

from loquent.errors import PreparationError
from loquent.face import indices
from loquent.face.alignment import aligned_faces
from loquent.face.expression import POINTS, ExpressionBasis
from loquent.face.lips import lip_opening

N_FRAMES, N_TRAIN = 130, 110
LOWER = [14, 17, 84, 314, 87, 317, 152, 148, 377, 176, 400, 199, 200, 18]


def talking(seed: int, *, noise_px: float = 0.1) -> np.ndarray:
    """Landmarks of a head that turns while its lower lip drops and its mouth corners spread."""
    rng = np.random.default_rng(seed)
    face = make_face(1)
    face[indices.UPPER_LIP_INNER], face[indices.LOWER_LIP_INNER] = [-0.15, 0.12, 0], [-0.16, 0.12, 0]
    faces = np.repeat(face[None], N_FRAMES, axis=0)
    faces[:, LOWER, 0] -= 0.03 * np.abs(rng.normal(size=N_FRAMES))[:, None]
    faces[:, [291, 409, 375], 2] += 0.02 * rng.normal(size=N_FRAMES)[:, None]
    return look_at(faces, seed, spread_deg=6, noise_px=noise_px).points_px


def test_training_coefficients_are_standard_and_uncorrelated() -> None:
    points = talking(0)
    basis = ExpressionBasis.fit(points, N_TRAIN, 6)
    numbers = basis.coefficients(points)
    assert numbers.shape == (N_FRAMES, 6)
    np.testing.assert_allclose(numbers[:N_TRAIN].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(numbers[:N_TRAIN].T, bias=True), np.eye(6), atol=1e-6)
    assert (np.diff((basis.components[1:] ** 2).sum(axis=1)) <= 0).all()


def test_the_first_coefficient_is_the_opening() -> None:
    points = talking(1)
    numbers = ExpressionBasis.fit(points, N_TRAIN).coefficients(points)
    assert np.corrcoef(numbers[:, 0], lip_opening(points))[0, 1] > 0.97
    assert np.abs([np.corrcoef(number, lip_opening(points))[0, 1] for number in numbers[:, 1:].T]).max() < 0.35


def test_held_out_frames_do_not_shape_the_basis() -> None:
    points = talking(2)
    other = points.copy()
    other[N_TRAIN:] = talking(3)[N_TRAIN:] * 1.7
    one, two = ExpressionBasis.fit(points, N_TRAIN), ExpressionBasis.fit(other, N_TRAIN)
    np.testing.assert_array_equal(one.components, two.components)


def test_all_coefficients_together_give_the_mouth_back() -> None:
    points = talking(4)
    basis = ExpressionBasis.fit(points, N_TRAIN, 60)
    truth = aligned_faces(points, basis.mean_face)[:, list(POINTS), :2]
    found = (basis.mean + basis.coefficients(points) @ basis.components).reshape(N_FRAMES, len(POINTS), 3)
    assert np.abs(found[..., :2] - truth)[:N_TRAIN].max() < 0.01


def test_frames_without_a_face_are_nan() -> None:
    points = talking(6)
    points[[0, 40, 129]] = np.nan
    numbers = ExpressionBasis.fit(points, N_TRAIN).coefficients(points)
    assert np.flatnonzero(np.isnan(numbers).all(axis=1)).tolist() == [0, 40, 129]


def test_too_few_frames_are_refused() -> None:
    points = talking(7)
    with pytest.raises(PreparationError, match="at least 9"):
        ExpressionBasis.fit(points, 8)
    points[:] = np.nan
    with pytest.raises(PreparationError, match="there are 0"):
        ExpressionBasis.fit(points, N_TRAIN)
