"""Mouth motion in a few numbers."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from synthetic_face import look_at, make_face

from loquent.errors import PreparationError
from loquent.face import indices
from loquent.face.alignment import aligned_faces
from loquent.face.expression import DRIFT_S, POINTS, ExpressionBasis, detrend, detrend_shape
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


def test_drift_of_a_whole_film_is_a_gaussian_mean() -> None:
    signal = np.random.default_rng(0).standard_normal((200, 2))
    drift = gaussian_filter1d(signal, DRIFT_S * 25, axis=0, mode="nearest")
    np.testing.assert_allclose(detrend(signal, np.arange(7, 207), 25.0), signal - drift, atol=1e-12)


def test_dropped_frames_do_not_count_as_drift() -> None:
    """Against the weighted mean written out; a filter that takes the frames for consecutive ones reaches across the gap."""
    ids = np.concatenate([np.arange(150, 300), np.arange(600, 750)])
    signal = np.repeat([[0.0, 2.0], [1.0, -3.0]], 150, axis=0)
    np.testing.assert_allclose(detrend(signal, ids, 25.0), 0, atol=1e-12)
    assert np.abs(detrend(signal, np.arange(300), 25.0)).max() > 0.4
    some = np.sort(np.random.default_rng(1).permutation(np.arange(1, 399))[:150])
    ids = np.concatenate([np.arange(-150, 0), some, np.arange(400, 550)])  # whole at both ends, so that these are alike
    values = np.random.default_rng(2).standard_normal(450)
    for i in range(150, 300, 10):
        weights = np.exp(-0.5 * ((ids - ids[i]) / (DRIFT_S * 25)) ** 2) * (np.abs(ids - ids[i]) <= 100)
        wanted = values[i] - (weights * values).sum() / weights.sum()
        assert detrend(values, ids, 25.0)[i] == pytest.approx(wanted)


def test_a_steadied_mouth_keeps_its_opening_and_loses_all_other_drift() -> None:
    ids = np.arange(300)
    quick = np.sin(2 * np.pi * 4 * ids / 25)[:, None] * [1.0, 0.5, -2.0]
    drifting = quick + np.linspace(-3, 3, 300)[:, None] * [1.0, -1.0, 2.0]
    steady = detrend_shape(drifting, ids, 25.0)
    np.testing.assert_array_equal(steady[:, 0], drifting[:, 0])
    assert np.abs(steady[50:250, 1:] - quick[50:250, 1:]).max() < 0.1, (
        "away from the ends, where a mean of one side remains"
    )
