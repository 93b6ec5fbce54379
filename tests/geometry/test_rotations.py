"""Angles of a head, by where its nose goes."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from loquent.geometry.rotations import head_angles_deg, head_rotations

NOSE, EAR, CROWN = np.eye(3)[[1, 2, 0]]  # y out of the face, z to the picture's right, x up


def poses_of(angles_deg: list[list[float]]) -> np.ndarray:
    poses = np.tile(np.eye(4), (len(angles_deg), 1, 1))
    poses[:, :3, :3] = head_rotations(np.array(angles_deg))
    return poses


def test_a_frontal_head_has_no_angles() -> None:
    (frontal,) = poses_of([[0.0, 0.0, 0.0]])
    in_camera = frontal[:3, :3].T @ np.stack([NOSE, EAR, CROWN], axis=1)
    np.testing.assert_allclose(in_camera.T, [[0, 0, -1], [1, 0, 0], [0, -1, 0]], atol=1e-12)
    np.testing.assert_allclose(head_angles_deg(frontal[None]), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("which", "point", "axis", "sign"),
    [(0, NOSE, 0, 1), (1, NOSE, 1, -1), (2, CROWN, 0, 1)],
    ids=["yaw moves the nose right", "pitch moves the nose up", "roll moves the crown right"],
)
def test_angles_have_the_signs_they_promise(which: int, point: np.ndarray, axis: int, sign: int) -> None:
    angles = [0.0, 0.0, 0.0]
    angles[which] = 10.0
    (pose,) = poses_of([angles])
    assert (pose[:3, :3].T @ point)[axis] == pytest.approx(sign * np.sin(np.radians(10)))
    np.testing.assert_allclose(head_angles_deg(pose[None]), [angles], atol=1e-9)


def test_angles_and_rotations_are_inverse_and_unknown_poses_stay_unknown() -> None:
    poses = np.tile(np.eye(4), (30, 1, 1))
    poses[:, :3, :3] = Rotation.random(30, random_state=0).as_matrix()
    poses[4] = np.nan
    angles = head_angles_deg(poses)
    assert np.isnan(angles[4]).all()
    known = np.arange(30) != 4
    np.testing.assert_allclose(head_rotations(angles[known]), poses[known, :3, :3], atol=1e-9)
    assert np.isnan(head_angles_deg(poses[4:5])).all()
