"""Head pose of every frame by bundle adjustment over rigid landmarks.

Unknowns are one rigid shape and one rigid motion per frame; they explain where MediaPipe saw the rigid landmarks through a
pinhole camera of known focal length. The pose path is not smoothed: that would smear real motion. Heads only, no face model.

Frames: the *camera* frame is OpenCV's (x right, y down, z forward); the *head* frame is the volume frame of SPEC 1.3 (x up,
y towards the camera, z to the picture's right for a frontal face, 1 unit = 25 cm, origin at the middle of the face mesh). Its
axes come from the face's own symmetry, not from how the head was held in the clip: z joins mirrored landmarks, x runs from
chin to forehead.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from loquent.errors import PreparationError
from loquent.face import indices
from loquent.face.alignment import face_axes, mean_face, similarity_to
from loquent.face.bundle import adjust
from loquent.geometry.cameras import VOLUME_UNITS_PER_METRE, Camera
from loquent.geometry.rotations import VOLUME_FROM_FRONTAL

EYE_CORNERS_APART_M: Final = 0.090
"""Outer corner to outer corner of the eyes. Pictures say nothing about a head's true size, so this sets the unit: adults
measure about 84 to 96 mm, and the face that MediaPipe's mesh was drawn on has 89 mm."""
PRIOR_FOCAL_PX: Final = 1200.0
"""Focal length at a picture side of 450 pixels. It is assumed, since clips of a talking head do not determine it: on one, the
re-projection error was 0.63 pixels for every focal length from 500 to 3000."""
MIN_FRAMES: Final = 3
"""Fewer frames with a face than this are refused."""


@dataclass(frozen=True)
class HeadPoses:
    """Rigid motion of a head, and the rigid shape it was measured with; F frames, n rigid landmarks."""

    world_from_camera: Float[np.ndarray, "frames 4 4"]
    """Camera in the head's volume frame, NaN on frames without landmarks."""
    shape: Float[np.ndarray, "rigid 3"]
    """Rigid landmarks in the volume frame."""
    rigid: Int[np.ndarray, "rigid"]
    """Their numbers in MediaPipe's mesh."""
    weights: Float[np.ndarray, "rigid"]
    """How much each was trusted, in [0, 1]."""
    error_px: Float[np.ndarray, "frames"]
    """Median distance between seen and re-projected rigid landmarks, NaN on frames without landmarks."""
    mean_head: Float[np.ndarray, "478 3"]
    """All landmarks of the clip's mean face in the volume frame (lips, lids and jaw at their mean)."""

    @property
    def found(self) -> Bool[np.ndarray, "frames"]:
        """Which frames have a pose."""
        return np.asarray(np.isfinite(self.error_px))


def prior_focal(height: int, width: int) -> float:
    """Focal length in pixels assumed for a head crop of this size."""
    return PRIOR_FOCAL_PX / 450.0 * max(height, width)


def fit_head_pose(
    points_px: Float[np.ndarray, "frames 478 3"],
    camera: Camera,
    *,
    rigid: tuple[int, ...] = indices.RIGID,
    n_rounds: int = 3,
) -> HeadPoses:
    """Measure the head's rigid motion (SPEC 1.3, 1.10, without a morphable model).

    Args:
        points_px: landmarks as of :func:`loquent.face.landmarks.detect_all`; frames holding NaN are left out.
        camera: the camera of the pictures; its focal length is believed.
        rigid: landmarks that belong to the skull.
        n_rounds: how often landmarks are re-weighted by their own residuals.

    Raises:
        PreparationError: fewer than three frames have a face, or the landmarks do not form one.
    """
    seen = np.isfinite(points_px).all(axis=(1, 2))
    if seen.sum() < MIN_FRAMES:
        raise PreparationError(
            f"Head pose needs a face in at least {MIN_FRAMES} frames, but only {int(seen.sum())} of {len(seen)} have one. "
            "Check that the video shows one person's face, large and unobstructed."
        )
    points = points_px[seen].astype(np.float64)
    numbers = np.array(rigid, dtype=np.int64)
    head = mean_face(points, rigid) @ VOLUME_FROM_FRONTAL.T
    rotations, translations = _initial_poses(points, head, numbers, camera)
    observed = points[:, numbers, :2]
    result = adjust(observed, head[numbers], rotations, translations, camera, n_rounds=n_rounds)
    head = _move(head, *_similarity(head[numbers], result.shape))
    head, shape, rotations, translations = _normalise(head, result.shape, result.rotations, result.translations)

    world_from_camera = np.full((len(seen), 4, 4), np.nan)
    world_from_camera[seen] = _camera_in_head(rotations, translations)
    error_px = np.full(len(seen), np.nan)
    error_px[seen] = np.median(np.linalg.norm(result.residual_px, axis=-1), axis=1)
    return HeadPoses(world_from_camera, shape, numbers, result.weights, error_px, head)


def _similarity(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Rotation, scale and shift with ``target ~ scale * rotation @ source + shift``."""
    rotations, scales = similarity_to(source - source.mean(axis=0), (target - target.mean(axis=0))[None])
    return rotations[0], float(scales[0]), target.mean(axis=0) - scales[0] * rotations[0] @ source.mean(axis=0)


def _move(points: np.ndarray, rotation: np.ndarray, scale: float, shift: np.ndarray) -> np.ndarray:
    return np.asarray(scale * points @ rotation.T + shift)


def _initial_poses(
    points: np.ndarray, head: np.ndarray, numbers: np.ndarray, camera: Camera
) -> tuple[np.ndarray, np.ndarray]:
    """Weak-perspective similarities read as pinhole poses: camera-from-head rotations [F, 3, 3] and translations [F, 3]."""
    middles = points[:, numbers].mean(axis=1)
    rotations, scales = similarity_to(head[numbers], points[:, numbers] - middles[:, None])
    depth = camera.fx / scales
    across = (middles[:, 0] - camera.cx) * depth / camera.fx
    down = (middles[:, 1] - camera.cy) * depth / camera.fy
    return rotations, np.stack([across, down, depth], axis=1)


def _normalise(
    head: np.ndarray, shape: np.ndarray, rotations: np.ndarray, translations: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Put origin, axes and unit where the module says, moving the poses along so that every projection stays."""
    turn = face_axes(head)
    middle = head[: indices.N_MESH].mean(axis=0)
    eyes = np.linalg.norm(head[indices.LEFT_EYE_OUTER] - head[indices.RIGHT_EYE_OUTER])
    unit = EYE_CORNERS_APART_M * VOLUME_UNITS_PER_METRE / eyes
    translations = (translations + rotations @ middle) * unit
    return (head - middle) @ turn.T * unit, (shape - middle) @ turn.T * unit, rotations @ turn.T, translations


def _camera_in_head(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """`world_from_camera` [F, 4, 4] of camera-from-head rotations and translations."""
    poses = np.tile(np.eye(4), (len(rotations), 1, 1))
    poses[:, :3, :3] = rotations.transpose(0, 2, 1)
    poses[:, :3, 3] = -np.einsum("fji,fj->fi", rotations, translations)
    return poses


__all__ = [
    "EYE_CORNERS_APART_M",
    "MIN_FRAMES",
    "PRIOR_FOCAL_PX",
    "HeadPoses",
    "fit_head_pose",
    "prior_focal",
]
