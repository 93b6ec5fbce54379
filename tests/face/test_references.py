"""References tie a clip to one head even where landmarks tell only half of its nods."""

import numpy as np
from scipy.spatial.transform import Rotation
from synthetic_face import FRONTAL, apart_deg, look_at, make_face

from loquent.face.flow_refine import refine_with_flow
from loquent.face.head_pose import fit_head_pose
from loquent.geometry.cameras import Camera

MIDDLE, AXES = np.array([0.0, -0.25, 0.0]), np.array([0.45, 0.45, 0.40])
"""An egg whose front lies where the made-up face's is."""


def egg_picture(rotation: np.ndarray, translation: np.ndarray, camera: Camera, waves: np.ndarray) -> np.ndarray:
    """The egg with a pattern that belongs to it, by intersecting every pixel's ray; grey where rays miss."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    along = np.stack(
        [(columns + 0.5 - camera.cx) / camera.fx, (rows + 0.5 - camera.cy) / camera.fy, np.ones(rows.shape)], -1
    )
    along = along @ rotation / AXES  # row vectors: the inverse turn
    start = (-translation @ rotation - MIDDLE) / AXES
    a, b, c = (along**2).sum(-1), along @ start, start @ start - 1
    hit = b**2 - a * c
    near = (-b - np.sqrt(np.maximum(hit, 0))) / a
    places = (start + near[..., None] * along) * AXES
    pattern = 128 + 30 * np.sin(places @ waves[:, :3].T * 90 + waves[:, 3]).sum(-1)
    return np.repeat(np.where(hit > 0, pattern, 128).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_nods_that_landmarks_tell_by_half_are_found_whole() -> None:
    n_frames = 24
    rng = np.random.default_rng(0)
    waves = np.column_stack([rng.normal(0, 1, (12, 3)), rng.uniform(0, 6, 12)])
    nod = np.radians(14) * np.sin(np.arange(n_frames) / 3.0)
    camera = Camera.centred(300, 300, 800.0)
    translation = np.array([0.0, 0.0, 3.2])
    truth = Rotation.from_euler("x", nod[:, None]).as_matrix() @ FRONTAL
    told = Rotation.from_euler("x", 0.6 * nod[:, None]).as_matrix() @ FRONTAL
    in_camera = np.einsum("fij,nj->fni", told, make_face(0)) + translation
    uv = in_camera[..., :2] / in_camera[..., 2:] * camera.fx + camera.cx
    points = np.concatenate([uv, (in_camera[..., 2:] - 3.2) * camera.fx / 3.2], axis=-1)
    pictures = [egg_picture(turn, translation, camera, waves) for turn in truth]
    rough = fit_head_pose(points, camera)

    def skull(i: int) -> np.ndarray:
        return np.where((pictures[i][..., 0] != 128), 255, 0).astype(np.uint8)

    fine = refine_with_flow(lambda i: pictures[i], points, rough, camera, mask=skull)

    def error_deg(poses: object) -> float:
        turns = poses.world_from_camera[:, :3, :3].transpose(0, 2, 1)  # type: ignore[attr-defined]
        return float(apart_deg(turns, truth).mean())

    assert error_deg(rough) > 2.5
    assert error_deg(fine) < 0.25 * error_deg(rough)


def test_a_picture_without_corners_changes_little() -> None:
    seen = look_at(np.repeat(make_face(0)[None], 6, axis=0), 5, spread_deg=2)
    poses = fit_head_pose(seen.points_px, seen.camera)
    fine = refine_with_flow(lambda i: np.zeros((450, 450, 3), np.uint8), seen.points_px, poses, seen.camera)
    np.testing.assert_allclose(fine.world_from_camera, poses.world_from_camera, atol=0.02)
