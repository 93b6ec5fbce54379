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
from scipy.spatial.transform import Rotation

from loquent.errors import PreparationError
from loquent.face import indices
from loquent.face.alignment import face_axes, mean_face, similarity_to
from loquent.face.bundle import adjust
from loquent.geometry.cameras import VOLUME_UNITS_PER_METRE, Camera

EYE_CORNERS_APART_M: Final = 0.090
"""Outer corner to outer corner of the eyes. Pictures say nothing about a head's true size, so this sets the unit: adults
measure about 84 to 96 mm, and the face that MediaPipe's mesh was drawn on has 89 mm."""
PRIOR_FOCAL_PX: Final = 1200.0
"""Focal length at a picture side of 450 pixels: FINDINGS shows that clips of a talking head do not determine it."""
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


@dataclass(frozen=True)
class FocalScan:
    """What a clip says about its focal length."""

    focal_px: float
    """The focal length to use."""
    is_prior: bool
    """True when the clip does not say clearly otherwise, so that the prior was kept."""
    focals_px: Float[np.ndarray, "focals"]
    """Focal lengths tried."""
    errors_px: Float[np.ndarray, "focals"]
    """Robust root mean square re-projection error at each."""


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
    head = mean_face(points, rigid) @ _VOLUME_FROM_FRONTAL.T
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


def estimate_focal(
    points_px: Float[np.ndarray, "frames 478 3"],
    height: int,
    width: int,
    *,
    n_frames: int = 60,
    clear_gain: float = 0.03,
) -> FocalScan:
    """Ask the clip for its focal length; keep the prior unless it answers clearly.

    Poses and shape are fitted anew at each of seven focal lengths from 0.4 to 2.5 times the prior, on `n_frames` evenly
    spaced frames. The best is taken only where it lowers the error of the prior by the share `clear_gain` and lies inside
    the range tried: landmark noise of a network does not average out, so a shallow minimum means nothing.

    Raises:
        PreparationError: see :func:`fit_head_pose`.
    """
    seen = np.flatnonzero(np.isfinite(points_px).all(axis=(1, 2)))
    some = (
        points_px[seen[np.unique(np.linspace(0, max(len(seen) - 1, 0), n_frames).astype(int))]]
        if len(seen)
        else points_px
    )
    prior = prior_focal(height, width)
    focals = prior * np.geomspace(0.4, 2.5, 7)
    errors = np.array(
        [_robust_rms(fit_head_pose(some, Camera.centred(height, width, float(f)), n_rounds=1)) for f in focals]
    )
    best, at_prior = int(errors.argmin()), float(np.interp(prior, focals, errors))
    is_clear = 0 < best < len(focals) - 1 and errors[best] < (1 - clear_gain) * at_prior
    return FocalScan(float(focals[best]) if is_clear else prior, not is_clear, focals, errors)


def _robust_rms(poses: HeadPoses) -> float:
    return float(np.sqrt(np.nanmean(poses.error_px**2)))


def _similarity(source: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Rotation, scale and shift with ``target ~ scale * rotation @ source + shift``."""
    rotations, scales = similarity_to(source - source.mean(axis=0), (target - target.mean(axis=0))[None])
    return rotations[0], float(scales[0]), target.mean(axis=0) - scales[0] * rotations[0] @ source.mean(axis=0)


def _move(points: np.ndarray, rotation: np.ndarray, scale: float, shift: np.ndarray) -> np.ndarray:
    return np.asarray(scale * points @ rotation.T + shift)


_VOLUME_FROM_FRONTAL: Final = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""Turns camera axes (x right, y down, z forward) into volume axes for a face that looks straight at the camera."""


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


def rotation_angles_deg(
    world_from_camera: Float[np.ndarray, "frames 4 4"],
) -> Float[np.ndarray, "frames 3"]:
    """Pitch (down positive), yaw (to the picture's right positive) and roll (clockwise positive) in degrees, NaN where unknown.

    All zero for a head that looks straight along the camera's axis.
    """
    angles = np.full((len(world_from_camera), 3), np.nan)
    seen = np.isfinite(world_from_camera).all(axis=(1, 2))
    turned = world_from_camera[seen, :3, :3].transpose(0, 2, 1) @ _VOLUME_FROM_FRONTAL
    if seen.any():
        yaw, pitch, roll = Rotation.from_matrix(turned).as_euler("YXZ", degrees=True).T
        angles[seen] = np.stack([pitch, -yaw, roll], axis=1)
    return angles


__all__ = [
    "EYE_CORNERS_APART_M",
    "MIN_FRAMES",
    "PRIOR_FOCAL_PX",
    "FocalScan",
    "HeadPoses",
    "estimate_focal",
    "fit_head_pose",
    "prior_focal",
    "rotation_angles_deg",
]
