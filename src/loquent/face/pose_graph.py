"""Bundle adjustment of poses and followed points: what the refinement by flow and that by reference points share.

Unknowns are the poses and a 3-D place for every followed point. Anchors are points whose places are already believed:
the rigid landmarks, and later the reference points. Nothing is smoothed, so fast motion stays.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.spatial.transform import Rotation

from loquent.face.bundle import cross_matrix, huber_weight, project_camera_points, projection_jacobian
from loquent.geometry.cameras import Camera

FLOW_SPREAD: Final = 0.3 / 450
"""Typical error of a followed point, as a share of the picture."""
PLACE_SPREAD: Final = 0.12
"""A followed point lies about this near (volume units, 3 cm) to where it was first placed, at the nearest landmark's depth.
Much looser, and small turns of a distant head are mistaken for depth."""
_BLOCK_FRAMES: Final = 100
"""Frames whose anchors are computed at once."""
OUTLIER_SPREADS: Final = 2.0
"""Points whose median residual is beyond this many spreads do not belong to the skull."""


@dataclass
class PointGroup:
    """Points picked on one frame; m points over w frames."""

    frames: slice
    seen_px: np.ndarray  # [m, w, 2]
    is_seen: np.ndarray  # [m, w]
    places: np.ndarray  # [m, 3] in the head frame
    given: np.ndarray  # [m, 3] places before refinement


@dataclass
class Poses:
    """Rigid motion as the solver wants it."""

    rotations: np.ndarray  # camera from head [F, 3, 3]
    translations: np.ndarray  # [F, 3]

    def of(self, frames: np.ndarray | slice) -> "Poses":
        """The poses of some frames."""
        return Poses(self.rotations[frames], self.translations[frames])

    def moved(self, step: np.ndarray) -> "Poses":
        """Poses after a step of rotation vectors and translations, [F, 6]."""
        turned = Rotation.from_rotvec(step[:, :3]).as_matrix() @ self.rotations
        return Poses(turned, self.translations + step[:, 3:])


@dataclass
class Anchors:
    """Points with believed places, seen over all frames: n points over F frames."""

    places: np.ndarray  # [n, 3] in the head frame
    seen_px: np.ndarray  # [F, n, 2]
    trust: np.ndarray  # [F, n] inverse variances in 1 / px²; 0 where not seen
    scale_px: np.ndarray  # [n] beyond which an error counts linearly

    def of(self, frames: np.ndarray) -> "Anchors":
        """The same points on some frames."""
        return Anchors(self.places, self.seen_px[frames], self.trust[frames], self.scale_px)

    def beside(self, other: "Anchors") -> "Anchors":
        """Both sets as one."""
        return Anchors(
            np.concatenate([self.places, other.places]),
            np.concatenate([self.seen_px, other.seen_px], axis=1),
            np.concatenate([self.trust, other.trust], axis=1),
            np.concatenate([self.scale_px, other.scale_px]),
        )

    def parts(self) -> Iterator[tuple[slice, "Anchors"]]:
        """Blocks of frames, each with only the points that it sees.

        All at once would take gigabytes on a clip of some minutes, most of it for reference points that a frame does not see.
        """
        for first in range(0, len(self.trust), _BLOCK_FRAMES):
            frames = slice(first, min(first + _BLOCK_FRAMES, len(self.trust)))
            trust = self.trust[frames]
            seen = trust.any(axis=0)
            yield frames, Anchors(self.places[seen], self.seen_px[frames][:, seen], trust[:, seen], self.scale_px[seen])

    def residual(self, poses: "Poses", camera: Camera) -> np.ndarray:
        """Projection minus observation, [F, n, 2]."""
        in_camera = np.einsum("fij,nj->fni", poses.rotations, self.places) + poses.translations[:, None]
        return np.asarray(project_camera_points(in_camera, camera) - self.seen_px)


class PoseProblem:
    """Cost and normal equations of poses and followed points.

    Frames couple only within a window, the longest time that a group spans. So in blocks of as many frames as a window
    has, the system is block tridiagonal; it is gathered as one matrix per pair of neighbouring blocks.
    """

    def __init__(
        self, groups: list[PointGroup], anchors: Anchors, camera: Camera, window: int, flow_spread_px: float
    ) -> None:
        self.groups, self.anchors, self.camera = groups, anchors, camera
        self.window, self.flow_spread = window, flow_spread_px

    def fitting(self, poses: Poses) -> list[np.ndarray]:
        """Per group, which points follow a path that the head's motion explains."""
        fits = []
        for group in self.groups:
            distance = np.linalg.norm(self._flow_residual(group, poses)[0], axis=-1)
            with np.errstate(all="ignore"):
                middle = np.nanmedian(np.where(group.is_seen, distance, np.nan), axis=1)
            fits.append(middle < OUTLIER_SPREADS * self.flow_spread)
        return fits

    def leave_out_strays(self, poses: Poses) -> None:
        """Forget the other points."""
        for group, fits in zip(self.groups, self.fitting(poses), strict=True):
            group.seen_px, group.is_seen = group.seen_px[fits], group.is_seen[fits]
            group.places, group.given = group.places[fits], group.given[fits]

    def descend(self, poses: Poses, n_steps: int) -> Poses:
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

    def _flow_residual(self, group: PointGroup, poses: Poses) -> tuple[np.ndarray, np.ndarray]:
        """Projection minus observation [m, w, 2], and the points in the camera frame without translation [m, w, 3]."""
        turned = np.einsum("wij,mj->mwi", poses.rotations[group.frames], group.places)
        projected = project_camera_points(turned + poses.translations[group.frames], self.camera)
        return projected - group.seen_px, turned

    def _cost(self, poses: Poses) -> float:
        total = 0.0
        for frames, part in self.anchors.parts():
            distance = np.linalg.norm(part.residual(poses.of(frames), self.camera), axis=-1)
            total += (part.trust * _huber(distance, part.scale_px)).sum()
        for group in self.groups:
            distance = np.linalg.norm(self._flow_residual(group, poses)[0], axis=-1)
            total += (group.is_seen * _huber(distance, 2 * self.flow_spread)).sum() / self.flow_spread**2
            total += ((group.places - group.given) ** 2).sum() / PLACE_SPREAD**2
        return float(total)

    def _step(self, poses: Poses, damping: float) -> Poses:
        """One step of all unknowns; the groups' places are moved in place."""
        n_frames, block = len(poses.rotations), 6 * self.window
        n_blocks = -(-n_frames // self.window)
        pairs = np.zeros((n_blocks, 2 * block, 2 * block))
        right = np.zeros(((n_blocks + 1) * self.window, 6))
        self._add_anchors(poses, pairs, right)
        solved = [self._add_group(group, poses, pairs, right) for group in self.groups]
        step = -_solve_chain(pairs, right[: n_blocks * self.window].reshape(n_blocks, block), damping)
        step = step.reshape(-1, 6)[:n_frames]
        for group, (pose_place, inverse, place_right) in zip(self.groups, solved, strict=True):
            by_poses = np.einsum("mwkj,wk->mj", pose_place, step[group.frames])
            group.places = group.places - np.einsum("mij,mj->mi", inverse, place_right + by_poses)
        return poses.moved(step)

    def _add_anchors(self, poses: Poses, pairs: np.ndarray, right: np.ndarray) -> None:
        for frames, part in self.anchors.parts():
            at = poses.of(frames)
            turned = np.einsum("fij,nj->fni", at.rotations, part.places)
            residual = part.residual(at, self.camera)
            by_point = projection_jacobian(turned + at.translations[:, None], self.camera)
            by_pose = np.concatenate([-by_point @ cross_matrix(turned), by_point], axis=-1)
            trust = part.trust * huber_weight(np.linalg.norm(residual, axis=-1), part.scale_px)
            weighted = trust[..., None, None] * by_pose
            blocks = np.einsum("fnki,fnkj->fij", weighted, by_pose, optimize=True)
            right[frames] += np.einsum("fnki,fnk->fi", weighted, residual, optimize=True)
            for i, block in enumerate(blocks, start=frames.start):
                place = (i % self.window) * 6
                pairs[i // self.window, place : place + 6, place : place + 6] += block

    def _add_group(
        self, group: PointGroup, poses: Poses, pairs: np.ndarray, right: np.ndarray
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
        place_place += np.eye(3) / PLACE_SPREAD**2
        place_right = np.einsum("mwki,mwk->mi", trust * by_place, residual, optimize=True)
        place_right += (group.places - group.given) / PLACE_SPREAD**2

        inverse = np.linalg.inv(place_place)
        n_points, width = residual.shape[:2]
        flat = pose_place.reshape(n_points, width * 6, 3)
        halves = (flat @ np.linalg.cholesky(inverse)).transpose(1, 0, 2).reshape(width * 6, n_points * 3)
        system = -halves @ halves.T
        for w in range(width):
            system[w * 6 : w * 6 + 6, w * 6 : w * 6 + 6] += pose_pose[w]
        at = (group.frames.start % self.window) * 6
        pairs[group.frames.start // self.window, at : at + width * 6, at : at + width * 6] += system
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
    block = right.shape[1]
    diagonal = pairs[:, :block, :block].copy()
    diagonal[1:] += pairs[:-1, block:, block:]
    below = pairs[:, block:, :block]
    places = np.arange(block)
    diagonal[:, places, places] = diagonal[:, places, places] * (1 + damping) + 1e-9
    carried: list[np.ndarray] = []  # per block, its solution as a matrix times the next block's, and a constant column
    for c in range(len(right)):
        system, constant = diagonal[c], right[c]
        if c > 0:
            system = system - below[c - 1] @ carried[-1][:, :-1]
            constant = constant - below[c - 1] @ carried[-1][:, -1]
        carried.append(np.linalg.solve(system, np.column_stack([below[c].T, constant])))
    solution = np.zeros_like(right)
    following = np.zeros(block)
    for c in range(len(right) - 1, -1, -1):
        following = carried[c][:, -1] - carried[c][:, :-1] @ following
        solution[c] = following
    return solution


def _huber(distance: np.ndarray, scale: float | np.ndarray) -> np.ndarray:
    return np.asarray(np.where(distance <= scale, distance**2, scale * (2 * distance - scale)))


__all__ = ["FLOW_SPREAD", "Anchors", "PointGroup", "PoseProblem", "Poses"]
