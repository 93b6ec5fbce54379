"""Head pose against synthetic truth."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from synthetic_face import FRONTAL, apart_deg, look_at, make_face

from loquent.errors import InputError, PreparationError
from loquent.face import bundle, indices
from loquent.face.head_pose import (
    EYE_CORNERS_APART_M,
    HeadPoses,
    fit_head_pose,
    prior_focal,
)
from loquent.geometry.cameras import Camera, project
from loquent.geometry.rotations import head_angles_deg


def rotations_of(poses: HeadPoses) -> np.ndarray:
    return poses.world_from_camera[:, :3, :3].transpose(0, 2, 1)


def still(n_frames: int, seed: int = 0) -> np.ndarray:
    return np.repeat(make_face(seed)[None], n_frames, axis=0)


def test_poses_without_noise_are_recovered() -> None:
    seen = look_at(still(25), seed=1)
    poses = fit_head_pose(seen.points_px, seen.camera)
    assert apart_deg(rotations_of(poses), seen.rotations).max() < 0.05
    assert np.nanmax(poses.error_px) < 0.05
    # the true face's eye corners are 0.36 units apart, which is the unit the fit assumes
    distance = np.linalg.norm(poses.world_from_camera[:, :3, 3], axis=1)
    np.testing.assert_allclose(distance, np.linalg.norm(seen.translations, axis=1), rtol=0.01)


def test_poses_survive_noise_and_sliding_landmarks() -> None:
    seen = look_at(still(40), seed=2, noise_px=0.7)
    points = seen.points_px.copy()
    sliding = list(indices.RIGID_RIGHT[:8])
    points[:, sliding, 1] += 8 * np.sin(np.arange(40) / 5.0)[:, None]
    poses = fit_head_pose(points, seen.camera)
    assert np.median(apart_deg(rotations_of(poses), seen.rotations)) < 0.5
    trust = dict(zip(poses.rigid.tolist(), poses.weights, strict=True))
    assert max(trust[number] for number in sliding) < 0.2 * np.median(poses.weights)


def test_the_mean_head_projects_onto_the_landmarks() -> None:
    seen = look_at(still(12), seed=3)
    poses = fit_head_pose(seen.points_px, seen.camera)
    head, cameras = torch.from_numpy(poses.mean_head).expand(12, -1, -1), torch.from_numpy(poses.world_from_camera)
    error = np.abs(project(head, cameras, seen.camera).numpy() - seen.points_px[..., :2])
    # the mean of weak-perspective landmarks is a little off where a point lies far from the rigid ones
    assert error.mean() < 1.0
    assert np.median(error[:, poses.rigid]) < 0.7


def test_origin_unit_and_axes_come_from_the_face() -> None:
    tilted = look_at(still(15), seed=4, roll_deg=25)
    for poses in (
        fit_head_pose(tilted.points_px, tilted.camera),
        fit_head_pose(look_at(still(15), 5).points_px, tilted.camera),
    ):
        head = poses.mean_head
        np.testing.assert_allclose(head[: indices.N_MESH].mean(axis=0), 0, atol=1e-9)
        eyes = head[indices.LEFT_EYE_OUTER] - head[indices.RIGHT_EYE_OUTER]
        assert np.linalg.norm(eyes) == pytest.approx(4 * EYE_CORNERS_APART_M)
        assert eyes[2] > 0.99 * np.linalg.norm(eyes)
        up = head[indices.FOREHEAD_TOP] - head[indices.CHIN]
        assert up[0] > 0.99 * np.linalg.norm(up)
        assert head[indices.NOSE_TIP, 1] > 0


def test_a_frontal_head_has_the_frontal_camera_of_the_conventions() -> None:
    seen = look_at(still(20), seed=6, spread_deg=4)
    poses = fit_head_pose(seen.points_px, seen.camera)
    frontal = poses.world_from_camera[0, :3, :3] @ seen.rotations[0] @ FRONTAL.T
    assert (
        np.degrees(Rotation.from_matrix(frontal @ FRONTAL).magnitude()) < 3
    )  # the egg's own axes are only nearly ours
    assert poses.world_from_camera[0, 1, 3] > 2.5


def test_mirrored_pictures_give_mirrored_angles() -> None:
    seen = look_at(still(20), seed=7)
    mirrored = seen.points_px.copy()
    mirrored[..., 0] = 450 - mirrored[..., 0]
    for right, left in (
        (indices.RIGID_RIGHT, indices.RIGID_LEFT),
        ((indices.RIGHT_EYE_INNER,), (indices.LEFT_EYE_INNER,)),
    ):
        both = mirrored[:, [*right, *left]].copy()
        mirrored[:, [*left, *right]] = both
    angles = head_angles_deg(fit_head_pose(seen.points_px, seen.camera).world_from_camera)
    other = head_angles_deg(fit_head_pose(mirrored, seen.camera).world_from_camera)
    np.testing.assert_allclose(np.diff(other, axis=0), np.diff(angles, axis=0) * [-1, 1, -1], atol=0.3)


def test_frames_without_a_face_stay_without_a_pose() -> None:
    seen = look_at(still(12), seed=8)
    points = seen.points_px.copy()
    points[[0, 5]] = np.nan
    poses = fit_head_pose(points, seen.camera)
    assert np.isnan(poses.world_from_camera[[0, 5]]).all()
    assert poses.found.sum() == 10
    alone = fit_head_pose(seen.points_px[[1, 2, 3, 4, 6, 7, 8, 9, 10, 11]], seen.camera)
    np.testing.assert_allclose(poses.world_from_camera[poses.found], alone.world_from_camera)


@pytest.mark.parametrize("n_frames", [0, 1, 2])
def test_too_few_frames_are_refused(n_frames: int) -> None:
    points = np.full((6, 478, 3), np.nan)
    points[:n_frames] = look_at(still(2), 9).points_px[:n_frames]
    with pytest.raises(PreparationError, match=f"only {n_frames} of 6"):
        fit_head_pose(points, Camera.centred(450, 450, 1200.0))


def test_three_frames_and_still_heads_are_enough() -> None:
    seen = look_at(still(3), seed=10)
    assert np.isfinite(fit_head_pose(seen.points_px, seen.camera).world_from_camera).all()
    frozen = np.repeat(seen.points_px[:1], 5, axis=0)
    poses = fit_head_pose(frozen, seen.camera)
    np.testing.assert_allclose(poses.world_from_camera - poses.world_from_camera[:1], 0, atol=1e-6)


def test_landmarks_on_one_point_are_refused() -> None:
    with pytest.raises((PreparationError, InputError), match="one point"):
        fit_head_pose(np.ones((4, 478, 3)), Camera.centred(450, 450, 1200.0))


def test_the_prior_focal_scales_with_the_picture() -> None:
    assert prior_focal(450, 450) == pytest.approx(1200)
    assert prior_focal(512, 512) == pytest.approx(1365.33, abs=0.01)


def test_adjustment_reaches_what_a_general_solver_reaches() -> None:
    seen = look_at(still(6, seed=3)[:, : indices.N_LANDMARKS], seed=12, noise_px=0.4)
    numbers = list(indices.RIGID[:25])
    observed, shape = seen.points_px[:, numbers, :2], make_face(3)[numbers]
    ours = bundle.adjust(observed, shape, seen.rotations, seen.translations, seen.camera, n_rounds=0)

    def residual(flat: np.ndarray) -> np.ndarray:
        turned = Rotation.from_rotvec(flat[:18].reshape(6, 3)).as_matrix() @ seen.rotations
        moved = seen.translations + flat[18:36].reshape(6, 3)
        in_camera = np.einsum("fij,nj->fni", turned, ours.shape) + moved[:, None]
        return (bundle.project_camera_points(in_camera, seen.camera) - observed).ravel()

    best = least_squares(residual, np.zeros(36))
    assert (ours.residual_px**2).sum() < 1.01 * 2 * best.cost
    start = residual(np.zeros(36))
    assert (ours.residual_px**2).sum() < (start**2).sum()


def test_projection_jacobian_matches_finite_differences() -> None:
    camera, point = Camera.centred(450, 512, 900.0), np.array([[0.3, -0.2, 2.5]])
    numeric = np.stack(
        [
            (bundle.project_camera_points(point + step, camera) - bundle.project_camera_points(point - step, camera))[0]
            / 2e-6
            for step in 1e-6 * np.eye(3)
        ],
        axis=1,
    )
    np.testing.assert_allclose(bundle.projection_jacobian(point, camera)[0], numeric, rtol=1e-6)
