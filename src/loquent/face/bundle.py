"""Bundle adjustment of one rigid point set seen in many frames: robust Levenberg-Marquardt with the poses eliminated.

Every frame sees every point, so the normal equations are dense in poses x points; eliminating the 6 x 6 pose blocks (Schur
complement, Triggs et al. 2000, "Bundle adjustment: a modern synthesis") leaves one small system for the shape.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from loquent.geometry.cameras import Camera

_SHAPE_PRIOR: Final = 0.05
"""Spread of a point about the given shape, as a share of the shape's radius (about 4 mm on a head)."""
_MAX_STEPS: Final = 30


@dataclass(frozen=True)
class Adjustment:
    """Poses and shape that explain the observations; F frames, n points."""

    shape: Float[np.ndarray, "points 3"]
    rotations: Float[np.ndarray, "frames 3 3"]
    """Camera from head."""
    translations: Float[np.ndarray, "frames 3"]
    """The head's origin in the camera."""
    weights: Float[np.ndarray, "points"]
    """Trust in each point, largest 1."""
    residual_px: Float[np.ndarray, "frames points 2"]
    """Projection minus observation."""


def adjust(
    observed: Float[np.ndarray, "frames points 2"],
    shape: Float[np.ndarray, "points 3"],
    rotations: Float[np.ndarray, "frames 3 3"],
    translations: Float[np.ndarray, "frames 3"],
    camera: Camera,
    *,
    n_rounds: int = 3,
) -> Adjustment:
    """Refine shape and poses from a start that is right to within some degrees.

    The loss is Huber's on each point's distance, with a scale from the residuals themselves; after each round, points are
    re-weighted by the inverse square of their own residual's spread (those that slide over the skull lose their say). A weak
    prior holds the shape near the given one, which settles what a nearly still head leaves open (depth against turning).
    """
    n_points = observed.shape[1]
    given, weights = shape, np.ones(n_points)
    for i in range(n_rounds + 1):
        if i > 0:
            weights = _point_weights(_residual(shape, rotations, translations, camera, observed))
        shape, rotations, translations = _descend(observed, shape, rotations, translations, camera, weights, given)
    return Adjustment(
        shape, rotations, translations, weights, _residual(shape, rotations, translations, camera, observed)
    )


def _descend(
    observed: np.ndarray,
    shape: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    camera: Camera,
    weights: np.ndarray,
    given: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levenberg-Marquardt until the cost falls by less than a millionth per step."""
    residual = _residual(shape, rotations, translations, camera, observed)
    scale = max(1.5 * float(np.median(np.linalg.norm(residual, axis=-1))), 1e-9)
    prior = len(observed) * scale**2 / (_SHAPE_PRIOR * _radius(given)) ** 2 / _PRIOR_FRAMES
    cost = _cost(residual, weights, scale) + prior * ((shape - given) ** 2).sum()
    damping = 1e-4
    for _ in range(_MAX_STEPS):
        steps = _newton_step(residual, shape, rotations, translations, camera, weights, scale, prior, given, damping)
        moved_shape = shape + steps[0]
        moved_rotations = Rotation.from_rotvec(steps[1]).as_matrix() @ rotations
        moved_translations = translations + steps[2]
        moved_residual = _residual(moved_shape, moved_rotations, moved_translations, camera, observed)
        moved_cost = _cost(moved_residual, weights, scale) + prior * ((moved_shape - given) ** 2).sum()
        if not moved_cost < cost:
            damping *= 10
            if damping > 1e6:
                break
            continue
        gain = (cost - moved_cost) / cost
        shape, rotations, translations = moved_shape, moved_rotations, moved_translations
        residual, cost, damping = moved_residual, moved_cost, damping / 10
        if gain < 1e-6:
            break
    return shape, rotations, translations


_PRIOR_FRAMES: Final = 50.0
"""The prior on the shape weighs as much as one in this many frames: errors of a landmark network do not average out, so
more frames must not silence it."""


def _newton_step(
    residual: np.ndarray,
    shape: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    camera: Camera,
    weights: np.ndarray,
    scale: float,
    prior: float,
    given: np.ndarray,
    damping: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps of shape [n, 3], rotation vectors [F, 3] and translations [F, 3]."""
    frames, points = residual.shape[:2]
    turned = np.einsum("fij,nj->fni", rotations, shape)
    by_point = projection_jacobian(turned + translations[:, None], camera)  # d pixel / d camera point [F, n, 2, 3]
    by_pose = np.concatenate([-by_point @ cross_matrix(turned), by_point], axis=-1)  # [F, n, 2, 6]
    by_shape = by_point @ rotations[:, None]  # [F, n, 2, 3]
    trust = (weights * huber_weight(np.linalg.norm(residual, axis=-1), scale))[..., None, None]

    weighted = trust * by_pose
    pose_pose = np.einsum("fnki,fnkj->fij", weighted, by_pose, optimize=True)
    pose_right = np.einsum("fnki,fnk->fi", weighted, residual, optimize=True)
    pose_shape = (weighted.swapaxes(-1, -2) @ by_shape).transpose(0, 2, 1, 3).reshape(frames, 6, points * 3)
    shape_blocks = np.einsum("fnki,fnkj->nij", trust * by_shape, by_shape, optimize=True)
    shape_right = np.einsum("fnki,fnk->ni", trust * by_shape, residual, optimize=True) + prior * (shape - given)

    diagonal = np.einsum("fii->fi", pose_pose)
    diagonal *= 1 + damping
    solved = np.linalg.solve(pose_pose, np.concatenate([pose_shape, pose_right[..., None]], axis=-1))
    system = np.zeros((points, 3, points, 3))
    system[np.arange(points), :, np.arange(points), :] = shape_blocks + prior * np.eye(3)
    system = system.reshape(points * 3, points * 3)
    system[np.diag_indices(points * 3)] *= 1 + damping
    flat = pose_shape.reshape(frames * 6, points * 3)
    system -= flat.T @ solved[..., :-1].reshape(frames * 6, points * 3)
    right = shape_right.ravel() - flat.T @ solved[..., -1].ravel()
    shape_step = -np.linalg.solve(system, right)
    pose_step = -solved[..., -1] - solved[..., :-1] @ shape_step
    return shape_step.reshape(points, 3), pose_step[:, :3], pose_step[:, 3:]


def _point_weights(residual: np.ndarray) -> np.ndarray:
    """Inverse variance of each point's residual about zero, softened so that no point is believed beyond reason."""
    spread = np.median(np.linalg.norm(residual, axis=-1), axis=0)
    softened = spread**2 + (0.5 * np.median(spread)) ** 2
    return np.asarray(softened.min() / np.maximum(softened, 1e-30)) if softened.min() > 0 else np.ones(len(spread))


def _residual(
    shape: np.ndarray, rotations: np.ndarray, translations: np.ndarray, camera: Camera, observed: np.ndarray
) -> np.ndarray:
    in_camera = np.einsum("fij,nj->fni", rotations, shape) + translations[:, None]
    return np.asarray(project_camera_points(in_camera, camera) - observed)


def _cost(residual: np.ndarray, weights: np.ndarray, scale: float) -> float:
    distance = np.linalg.norm(residual, axis=-1)
    return float((weights * np.where(distance <= scale, distance**2, scale * (2 * distance - scale))).sum())


def _radius(shape: np.ndarray) -> float:
    return float(np.sqrt(((shape - shape.mean(axis=0)) ** 2).sum(axis=1).mean()))


def huber_weight(
    distance: Float[np.ndarray, "*any"], scale: float | Float[np.ndarray, "points"]
) -> Float[np.ndarray, "*any"]:
    """Factor by which a squared residual of this length counts under Huber's loss: 1 up to `scale`, then scale/length."""
    return np.asarray(scale / np.maximum(distance, scale))


def cross_matrix(vectors: Float[np.ndarray, "*any 3"]) -> Float[np.ndarray, "*any 3 3"]:
    """Matrices M with ``M @ w == cross(vector, w)``."""
    zero = np.zeros_like(vectors[..., 0])
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    rows = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    return np.reshape(rows, (*vectors.shape, 3))


def project_camera_points(in_camera: Float[np.ndarray, "*any 3"], camera: Camera) -> Float[np.ndarray, "*any 2"]:
    """Pixels (u, v) of points in the OpenCV camera frame."""
    across = in_camera[..., 0] / in_camera[..., 2] * camera.fx + camera.cx
    down = in_camera[..., 1] / in_camera[..., 2] * camera.fy + camera.cy
    return np.stack([across, down], axis=-1)


def projection_jacobian(in_camera: Float[np.ndarray, "*any 3"], camera: Camera) -> Float[np.ndarray, "*any 2 3"]:
    """Derivative of the pixel by the point in the OpenCV camera frame."""
    x, y, z = in_camera[..., 0], in_camera[..., 1], in_camera[..., 2]
    zero = np.zeros_like(z)
    rows = [camera.fx / z, zero, -camera.fx * x / z**2, zero, camera.fy / z, -camera.fy * y / z**2]
    return np.reshape(np.stack(rows, axis=-1), (*z.shape, 2, 3))


__all__ = ["Adjustment", "adjust", "cross_matrix", "huber_weight", "project_camera_points", "projection_jacobian"]
