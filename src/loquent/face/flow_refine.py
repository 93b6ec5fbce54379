"""Steadier head poses: landmarks say where the head is, optical flow says how it moves from frame to frame.

Landmarks of a network tremble together by a pixel, which no amount of averaging over one frame's landmarks removes. Points
of the head followed by optical flow are many times finer, but only relative to where they were picked. Both go into one
bundle adjustment: unknowns are the poses and a 3-D place for every followed point. Nothing is smoothed, so fast motion stays.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from scipy.spatial.transform import Rotation

from loquent.face.bundle import cross_matrix, huber_weight, project_camera_points, projection_jacobian
from loquent.face.flow_tracks import WINDOW, FlowTracks, follow_points, skull_mask
from loquent.face.head_pose import HeadPoses
from loquent.face.indices import N_MESH
from loquent.geometry.cameras import Camera

_MIN_SEEN: Final = 6
"""Points followed for fewer frames say too little."""
_FLOW_SPREAD: Final = 0.3 / 450
"""Typical error of a followed point, as a share of the picture."""
_LANDMARK_SPREAD: Final = 1.0 / 450
"""Typical error that a frame's landmarks have in common, as a share of the picture."""
_LANDMARK_COUNT: Final = 30.0
"""All landmarks of a frame together count like this many. Points kept aside are missed by 0.26 px whatever it is from 2 to 60
(0.27 at 200, 0.77 without flow); smaller lets the poses wander from the landmarks, larger keeps more of their errors."""
_PLACE_SPREAD: Final = 0.12
"""A followed point lies about this near (volume units, 3 cm) to the mesh's depth beside it."""
_OUTLIER_SPREADS: Final = 4.0
"""Points whose median residual is beyond this many spreads do not belong to the skull."""
_BLOCK: Final = 6 * WINDOW
"""Unknowns of a block of frames."""
_STEPS: Final = (5, 3)
"""Gauss-Newton steps before and after such points are left out."""


@dataclass
class _Group:
    """Points picked on one frame; m points over w frames."""

    frames: slice
    seen_px: np.ndarray  # [m, w, 2]
    is_seen: np.ndarray  # [m, w]
    places: np.ndarray  # [m, 3] in the head frame
    given: np.ndarray  # [m, 3] places before refinement


@dataclass
class _Poses:
    rotations: np.ndarray  # camera from head [F, 3, 3]
    translations: np.ndarray  # [F, 3]

    def moved(self, step: np.ndarray) -> "_Poses":
        """Poses after a step of rotation vectors and translations, [F, 6]."""
        turned = Rotation.from_rotvec(step[:, :3]).as_matrix() @ self.rotations
        return _Poses(turned, self.translations + step[:, 3:])


def refine_with_flow(
    frame: Callable[[int], UInt8[np.ndarray, "height width 3"]],
    points_px: Float[np.ndarray, "frames 478 3"],
    poses: HeadPoses,
    camera: Camera,
    *,
    mask: Callable[[int], UInt8[np.ndarray, "height width"]] | None = None,
) -> HeadPoses:
    """Refine the poses with points of forehead, hair, ears and nose followed by optical flow.

    Shape, weights and frame of reference stay; poses and their errors are new. Frames without a pose stay without one.

    Args:
        frame: RGB picture of frame i; every frame with a pose is asked for once or twice, in order.
        points_px: the landmarks that `poses` was fitted to.
        poses: of :func:`loquent.face.head_pose.fit_head_pose`.
        camera: the same camera.
        mask: where the skull is seen on frame i, non-zero; default: :func:`loquent.face.flow_tracks.skull_mask`.
    """
    usable = poses.found
    left, top, right, bottom = _region(points_px[usable], camera)

    def part(i: int) -> UInt8[np.ndarray, "part_height part_width 3"]:
        return np.ascontiguousarray(frame(i)[top:bottom, left:right])

    def part_mask(i: int) -> UInt8[np.ndarray, "part_height part_width"]:
        whole = mask(i) if mask is not None else skull_mask(points_px[i], camera.height, camera.width)
        return np.ascontiguousarray(whole[top:bottom, left:right])

    tracks = follow_points(part, len(usable), usable, part_mask)
    tracks = [replace(one, places_px=one.places_px + np.array([left, top])) for one in tracks]
    return refine_with_tracks(tracks, points_px, poses, camera)


def refine_with_tracks(
    tracks: list[FlowTracks], points_px: Float[np.ndarray, "frames 478 3"], poses: HeadPoses, camera: Camera
) -> HeadPoses:
    """The bundle adjustment of :func:`refine_with_flow`, for tracks that are already there."""
    usable = poses.found
    start = _unpack(poses.world_from_camera)
    groups = [group for one in tracks if (group := _place_group(one, start, poses, points_px, camera)) is not None]
    landmarks = np.where(usable[:, None, None], points_px[:, poses.rigid, :2], 0.0).astype(np.float64)
    trust = usable[:, None] * _LANDMARK_COUNT * poses.weights / poses.weights.sum()
    problem = _Problem(groups, landmarks, trust, poses.shape, camera)
    refined = start
    for n_steps in _STEPS:
        refined = problem.descend(refined, n_steps)
        problem.leave_out_strays(refined)

    world_from_camera = poses.world_from_camera.copy()
    world_from_camera[usable, :3, :3] = refined.rotations[usable].transpose(0, 2, 1)
    moved = -np.einsum("fji,fj->fi", refined.rotations, refined.translations)
    world_from_camera[usable, :3, 3] = moved[usable]
    distance = np.linalg.norm(problem.landmark_residual(refined), axis=-1)
    error_px = np.where(usable, np.median(distance, axis=1), np.nan)
    return replace(poses, world_from_camera=world_from_camera, error_px=error_px)


def _unpack(world_from_camera: np.ndarray) -> _Poses:
    """Camera-from-head rotations and translations; frames without a pose get one that does no harm."""
    known = np.where(np.isfinite(world_from_camera), world_from_camera, np.eye(4))
    rotations = known[:, :3, :3].transpose(0, 2, 1)
    translations = -np.einsum("fij,fj->fi", rotations, known[:, :3, 3])
    translations[~np.isfinite(world_from_camera[:, 0, 0])] = [0.0, 0.0, 1.0]
    return _Poses(rotations, translations)


def _region(points_px: np.ndarray, camera: Camera) -> tuple[int, int, int, int]:
    """left, top, right, bottom of a box that holds the head on every frame."""
    skin = points_px[:, :N_MESH, :2].reshape(-1, 2)
    low, high = np.nanmin(skin, axis=0), np.nanmax(skin, axis=0)
    reach = 0.35 * (high - low).max()
    left, top = np.clip(low - reach, 0, [camera.width - 1, camera.height - 1]).astype(int)
    right, bottom = np.clip(high + reach, [left + 1, top + 1], [camera.width, camera.height]).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _place_group(
    tracks: FlowTracks, start: _Poses, poses: HeadPoses, points_px: np.ndarray, camera: Camera
) -> _Group | None:
    """Points followed long enough, placed in the head frame at the depth of the nearest landmark."""
    enough = tracks.is_seen.sum(axis=1) >= _MIN_SEEN
    if not enough.any():
        return None
    i = tracks.first_frame
    seen_px, is_seen = tracks.places_px[enough], tracks.is_seen[enough]
    in_camera = poses.mean_head[:N_MESH] @ start.rotations[i].T + start.translations[i]
    picked = seen_px[:, 0]
    apart = np.linalg.norm(picked[:, None] - points_px[i, :N_MESH, :2], axis=-1)
    depth = in_camera[apart.argmin(axis=1), 2]
    rays = (picked - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    on_ray = np.column_stack([rays * depth[:, None], depth])
    places = (on_ray - start.translations[i]) @ start.rotations[i]
    frames = slice(i, i + seen_px.shape[1])
    return _Group(frames, seen_px, is_seen, places, places.copy())


class _Problem:
    """Cost and normal equations of poses and followed points.

    Frames couple only within a window. So in blocks of as many frames as a window has, the system is block tridiagonal; it is
    gathered as one matrix per pair of neighbouring blocks.
    """

    def __init__(
        self, groups: list[_Group], landmarks: np.ndarray, trust: np.ndarray, shape: np.ndarray, camera: Camera
    ) -> None:
        size = max(camera.height, camera.width)
        self.groups, self.landmarks, self.shape, self.camera = groups, landmarks, shape, camera
        self.flow_spread, landmark_spread = _FLOW_SPREAD * size, _LANDMARK_SPREAD * size
        self.trust = trust / landmark_spread**2
        self.landmark_scale = 2 * landmark_spread

    def landmark_residual(self, poses: _Poses) -> np.ndarray:
        """Projection minus observation of the rigid landmarks, [F, n, 2]."""
        in_camera = np.einsum("fij,nj->fni", poses.rotations, self.shape) + poses.translations[:, None]
        return np.asarray(project_camera_points(in_camera, self.camera) - self.landmarks)

    def leave_out_strays(self, poses: _Poses) -> None:
        """Forget points whose path the head's motion does not explain."""
        for group in self.groups:
            distance = np.where(group.is_seen, np.linalg.norm(self._flow_residual(group, poses)[0], axis=-1), np.nan)
            fits = np.nanmedian(distance, axis=1) < _OUTLIER_SPREADS * self.flow_spread
            group.seen_px, group.is_seen = group.seen_px[fits], group.is_seen[fits]
            group.places, group.given = group.places[fits], group.given[fits]

    def descend(self, poses: _Poses, n_steps: int) -> _Poses:
        """Gauss-Newton with a little damping that grows whenever the cost would rise."""
        cost, damping = self._cost(poses), 1e-6
        for _ in range(n_steps):
            kept = [group.places for group in self.groups]
            moved = self._step(poses, damping)
            moved_cost = self._cost(moved)
            if moved_cost < cost:
                is_done = moved_cost > 0.9995 * cost
                poses, cost, damping = moved, moved_cost, damping / 10
                if is_done:
                    break
                continue
            damping *= 100
            for group, places in zip(self.groups, kept, strict=True):
                group.places = places
        return poses

    def _flow_residual(self, group: _Group, poses: _Poses) -> tuple[np.ndarray, np.ndarray]:
        """Projection minus observation [m, w, 2], and the points in the camera frame without translation [m, w, 3]."""
        turned = np.einsum("wij,mj->mwi", poses.rotations[group.frames], group.places)
        projected = project_camera_points(turned + poses.translations[group.frames], self.camera)
        return projected - group.seen_px, turned

    def _cost(self, poses: _Poses) -> float:
        distance = np.linalg.norm(self.landmark_residual(poses), axis=-1)
        total = (self.trust * _huber(distance, self.landmark_scale)).sum()
        for group in self.groups:
            distance = np.linalg.norm(self._flow_residual(group, poses)[0], axis=-1)
            total += (group.is_seen * _huber(distance, 2 * self.flow_spread)).sum() / self.flow_spread**2
            total += ((group.places - group.given) ** 2).sum() / _PLACE_SPREAD**2
        return float(total)

    def _step(self, poses: _Poses, damping: float) -> _Poses:
        """One step of all unknowns; the groups' places are moved in place."""
        n_frames = len(self.landmarks)
        n_blocks = -(-n_frames // WINDOW)
        pairs = np.zeros((n_blocks, 2 * _BLOCK, 2 * _BLOCK))
        right = np.zeros(((n_blocks + 1) * WINDOW, 6))
        self._add_landmarks(poses, pairs, right)
        solved = [self._add_group(group, poses, pairs, right) for group in self.groups]
        step = -_solve_chain(pairs, right[: n_blocks * WINDOW].reshape(n_blocks, _BLOCK), damping)
        step = step.reshape(-1, 6)[:n_frames]
        for group, (pose_place, inverse, place_right) in zip(self.groups, solved, strict=True):
            by_poses = np.einsum("mwkj,wk->mj", pose_place, step[group.frames])
            group.places = group.places - np.einsum("mij,mj->mi", inverse, place_right + by_poses)
        return poses.moved(step)

    def _add_landmarks(self, poses: _Poses, pairs: np.ndarray, right: np.ndarray) -> None:
        turned = np.einsum("fij,nj->fni", poses.rotations, self.shape)
        residual = self.landmark_residual(poses)
        by_point = projection_jacobian(turned + poses.translations[:, None], self.camera)
        by_pose = np.concatenate([-by_point @ cross_matrix(turned), by_point], axis=-1)
        trust = self.trust * huber_weight(np.linalg.norm(residual, axis=-1), self.landmark_scale)
        weighted = trust[..., None, None] * by_pose
        blocks = np.einsum("fnki,fnkj->fij", weighted, by_pose, optimize=True)
        right[: len(residual)] += np.einsum("fnki,fnk->fi", weighted, residual, optimize=True)
        for i, block in enumerate(blocks):
            at = (i % WINDOW) * 6
            pairs[i // WINDOW, at : at + 6, at : at + 6] += block

    def _add_group(
        self, group: _Group, poses: _Poses, pairs: np.ndarray, right: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Add one group with its points eliminated; returns what is needed to find their steps afterwards."""
        residual, turned = self._flow_residual(group, poses)
        by_point = projection_jacobian(turned + poses.translations[group.frames], self.camera)
        by_pose = np.concatenate([-by_point @ cross_matrix(turned), by_point], axis=-1)  # [m, w, 2, 6]
        by_place = by_point @ poses.rotations[group.frames]  # [m, w, 2, 3]
        trust = group.is_seen * huber_weight(np.linalg.norm(residual, axis=-1), 2 * self.flow_spread)
        trust = (trust / self.flow_spread**2)[..., None, None]
        pose_pose = np.einsum("mwki,mwkj->wij", trust * by_pose, by_pose, optimize=True)
        pose_place = (trust * by_pose).swapaxes(-1, -2) @ by_place  # [m, w, 6, 3]
        place_place = np.einsum("mwki,mwkj->mij", trust * by_place, by_place, optimize=True)
        place_place += np.eye(3) / _PLACE_SPREAD**2
        place_right = np.einsum("mwki,mwk->mi", trust * by_place, residual, optimize=True)
        place_right += (group.places - group.given) / _PLACE_SPREAD**2

        inverse = np.linalg.inv(place_place)
        n_points, width = residual.shape[:2]
        flat = pose_place.reshape(n_points, width * 6, 3)
        halves = (flat @ np.linalg.cholesky(inverse)).transpose(1, 0, 2).reshape(width * 6, n_points * 3)
        system = -halves @ halves.T
        for w in range(width):
            system[w * 6 : w * 6 + 6, w * 6 : w * 6 + 6] += pose_pose[w]
        at = (group.frames.start % WINDOW) * 6
        pairs[group.frames.start // WINDOW, at : at + width * 6, at : at + width * 6] += system
        right[group.frames] += np.einsum("mwki,mwk->wi", trust * by_pose, residual, optimize=True)
        right[group.frames] -= np.einsum("mwki,mij,mj->wk", pose_place, inverse, place_right, optimize=True)
        return pose_place, inverse, place_right


def _solve_chain(pairs: np.ndarray, right: np.ndarray, damping: float) -> np.ndarray:
    """Solve a symmetric block tridiagonal system, given as the sum of overlapping matrices of neighbouring blocks.

    Args:
        pairs: matrix c covers blocks c and c + 1, [C, 2 * block, 2 * block]; the last one's second half is empty.
        right: [C, block].
        damping: the diagonal grows by this share.
    """
    diagonal = pairs[:, :_BLOCK, :_BLOCK].copy()
    diagonal[1:] += pairs[:-1, _BLOCK:, _BLOCK:]
    below = pairs[:, _BLOCK:, :_BLOCK]
    places = np.arange(_BLOCK)
    diagonal[:, places, places] = diagonal[:, places, places] * (1 + damping) + 1e-9
    carried: list[np.ndarray] = []  # per block, its solution as a matrix times the next block's, and a constant column
    for c in range(len(right)):
        system, constant = diagonal[c], right[c]
        if c > 0:
            system = system - below[c - 1] @ carried[-1][:, :-1]
            constant = constant - below[c - 1] @ carried[-1][:, -1]
        carried.append(np.linalg.solve(system, np.column_stack([below[c].T, constant])))
    solution = np.zeros_like(right)
    following = np.zeros(_BLOCK)
    for c in range(len(right) - 1, -1, -1):
        following = carried[c][:, -1] - carried[c][:, :-1] @ following
        solution[c] = following
    return solution


def _huber(distance: np.ndarray, scale: float) -> np.ndarray:
    return np.asarray(np.where(distance <= scale, distance**2, scale * (2 * distance - scale)))


__all__ = ["refine_with_flow", "refine_with_tracks"]
