"""A made-up rigid face with MediaPipe's numbering, and what a camera sees of it: truth for the measuring code."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from loquent.face import indices
from loquent.geometry.cameras import Camera

FRONTAL = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
"""Camera from volume axes for a head that looks at the camera."""


def make_face(seed: int) -> Float[np.ndarray, "478 3"]:
    """Points on an egg in volume axes, mirrored where the mesh is, lids and lips where they belong; middle of the mesh at 0."""
    rng = np.random.default_rng(seed)
    up, side = rng.uniform(-0.33, 0.33, indices.N_LANDMARKS), rng.uniform(-0.28, 0.28, indices.N_LANDMARKS)
    face = np.stack([up, 0.2 - 1.2 * up**2 - 1.6 * side**2, side], axis=1)
    for right, left in (
        (indices.RIGID_RIGHT, indices.RIGID_LEFT),
        (indices.RIGHT_UPPER_LID, indices.LEFT_UPPER_LID),
        (indices.RIGHT_LOWER_LID, indices.LEFT_LOWER_LID),
    ):
        face[list(right), 2] = -np.abs(face[list(right), 2]) - 0.02
        face[list(left)] = face[list(right)] * [1, 1, -1]
    face[list(indices.RIGID_MIDLINE), 2] = 0
    face[[indices.FOREHEAD_TOP, indices.CHIN]] = [[0.33, 0.08, 0], [-0.36, 0.08, 0]]
    for side_sign, outer, inner in (
        (-1, indices.RIGHT_EYE_OUTER, indices.RIGHT_EYE_INNER),
        (1, indices.LEFT_EYE_OUTER, indices.LEFT_EYE_INNER),
    ):
        face[outer], face[inner] = [0.08, 0.08, 0.18 * side_sign], [0.08, 0.12, 0.07 * side_sign]
    return face - face[: indices.N_MESH].mean(axis=0)


def with_lids(face: Float[np.ndarray, "478 3"], gap: float) -> Float[np.ndarray, "478 3"]:
    """The same face with both eyes open by `gap` volume units."""
    face = face.copy()
    for upper, lower, side_sign in (
        (indices.RIGHT_UPPER_LID, indices.RIGHT_LOWER_LID, -1),
        (indices.LEFT_UPPER_LID, indices.LEFT_LOWER_LID, 1),
    ):
        across = side_sign * np.linspace(0.17, 0.08, len(upper))
        face[list(upper)] = np.stack([np.full(7, 0.08 + gap / 2), np.full(7, 0.11), across], axis=1)
        face[list(lower)] = np.stack([np.full(7, 0.08 - gap / 2), np.full(7, 0.11), across], axis=1)
    return face


@dataclass(frozen=True)
class Seen:
    """Faces in front of a camera."""

    points_px: Float[np.ndarray, "frames 478 3"]
    rotations: Float[np.ndarray, "frames 3 3"]
    translations: Float[np.ndarray, "frames 3"]
    camera: Camera


def look_at(
    faces: Float[np.ndarray, "frames 478 3"],
    seed: int,
    *,
    noise_px: float = 0.0,
    spread_deg: float = 10.0,
    roll_deg: float = 0.0,
) -> Seen:
    """Project one face per frame under random poses; depth as MediaPipe gives it, relative and in pixels."""
    rng = np.random.default_rng(seed)
    camera = Camera.centred(450, 450, 1200.0)
    n_frames = len(faces)
    turns = Rotation.from_rotvec(np.radians(rng.normal(0, spread_deg, (n_frames, 3)))).as_matrix()
    turns = Rotation.from_euler("z", roll_deg, degrees=True).as_matrix() @ turns
    rotations = turns @ FRONTAL
    translations = np.column_stack([rng.normal(0, 0.1, (n_frames, 2)), rng.normal(3.2, 0.1, n_frames)])
    in_camera = np.einsum("fij,fnj->fni", rotations, faces) + translations[:, None]
    uv = in_camera[..., :2] / in_camera[..., 2:] * camera.fx + camera.cx
    depth = (in_camera[..., 2] - translations[:, None, 2]) * camera.fx / translations[:, None, 2]
    points = np.concatenate([uv, depth[..., None]], axis=-1)
    return Seen(points + rng.normal(0, noise_px, points.shape), rotations, translations, camera)


def apart_deg(
    one: Float[np.ndarray, "frames 3 3"], other: Float[np.ndarray, "frames 3 3"]
) -> Float[np.ndarray, "frames"]:
    """Angle between two sets of camera-from-head rotations, once one constant turn of the head's axes is taken out."""
    between = Rotation.from_matrix(one.transpose(0, 2, 1) @ other)
    return np.degrees((between * between.mean().inv()).magnitude())
