"""Similarity alignment and faces with the head's motion taken out."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from synthetic_face import look_at, make_face

from loquent.errors import InputError
from loquent.face import indices
from loquent.face.alignment import aligned_faces, mean_face, similarity_to


def test_similarities_agree_with_scipys_alignment() -> None:
    rng = np.random.default_rng(0)
    reference, targets = rng.normal(size=(9, 3)), rng.normal(size=(5, 9, 3))
    reference -= reference.mean(axis=0)
    targets -= targets.mean(axis=1, keepdims=True)
    rotations, scales = similarity_to(reference, targets)
    for rotation, scale, target in zip(rotations, scales, targets, strict=True):
        best, _ = Rotation.align_vectors(target, reference)
        np.testing.assert_allclose(rotation, best.as_matrix(), atol=1e-9)
        error = ((target - scale * reference @ rotation.T) ** 2).sum()
        for other in (0.99 * scale, 1.01 * scale):
            assert ((target - other * reference @ rotation.T) ** 2).sum() > error


def test_reflections_are_not_rotations() -> None:
    reference = np.random.default_rng(1).normal(size=(8, 3))
    reference -= reference.mean(axis=0)
    rotations, _ = similarity_to(reference, (reference * [-1, 1, 1])[None])
    assert np.linalg.det(rotations[0]) == pytest.approx(1)


def test_alignment_removes_pose_and_keeps_expression() -> None:
    faces = np.repeat(make_face(2)[None], 20, axis=0)
    faces[:, indices.LOWER_LIP_INNER, 0] -= 0.05 * np.arange(20) / 20
    seen = look_at(faces, seed=3, spread_deg=12)
    aligned = aligned_faces(seen.points_px, mean_face(seen.points_px))
    still = list(indices.RIGID)
    assert aligned[:, still].std(axis=0).max() < 0.04  # what a weak-perspective model leaves
    lip = aligned[:, indices.LOWER_LIP_INNER, 1]
    assert np.corrcoef(lip, np.arange(20))[0, 1] > 0.9


def test_frames_without_a_face_stay_so() -> None:
    points = look_at(np.repeat(make_face(2)[None], 4, axis=0), seed=4).points_px
    mean = mean_face(points)
    points[2] = np.nan
    aligned = aligned_faces(points, mean)
    assert np.isnan(aligned[2]).all()
    assert np.isfinite(aligned[[0, 1, 3]]).all()
    assert np.isnan(aligned_faces(np.full((3, 478, 3), np.nan), mean)).all()


def test_a_mean_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one frame"):
        mean_face(np.zeros((0, 478, 3)))
    with pytest.raises(InputError, match="NaN"):
        mean_face(np.full((2, 478, 3), np.nan))
