"""Steadier head poses: landmarks say where the head is, pictures of any time that it is one head, flow how it moves.

Landmarks of a network tremble together by a pixel, which no amount of averaging over one frame's landmarks removes, and follow
nods and turns only in part. Reference points (`face/references.py`) tie all frames to one head; points followed by optical
flow from frame to frame are finer still. All go into one bundle adjustment: unknowns are the poses and a 3-D place for
every followed point. Nothing is smoothed, so fast motion stays.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from loquent.face.flow_tracks import WINDOW, FlowTracks, follow_points, skull_mask
from loquent.face.head_pose import HeadPoses
from loquent.face.indices import N_MESH
from loquent.face.pose_graph import FLOW_SPREAD, Anchors, PointGroup, PoseProblem, Poses
from loquent.face.references import agree_over_clip, place_on_head
from loquent.geometry.cameras import Camera

_MIN_SEEN: Final = 6
"""Points followed for fewer frames say too little."""
_LANDMARK_SPREAD: Final = 1.0 / 450
"""Typical error that a frame's landmarks have in common, as a share of the picture."""
_LANDMARK_COUNT: Final = 30.0
"""All landmarks of a frame together count like this many. Points kept aside from flow are missed by 0.26 px at any of 2
to 60 (0.27 at 200, 0.77 without flow)."""
_STEPS: Final = (5, 3)
"""Gauss-Newton steps before and after points that do not belong to the skull are left out."""


def refine_with_flow(
    frame: Callable[[int], UInt8[np.ndarray, "height width 3"]],
    points_px: Float[np.ndarray, "frames 478 3"],
    poses: HeadPoses,
    camera: Camera,
    *,
    mask: Callable[[int], UInt8[np.ndarray, "height width"]] | None = None,
) -> HeadPoses:
    """Refine the poses with points of forehead, hair, ears and nose found again in other pictures.

    Shape, weights and frame of reference stay; poses and their errors are new. Frames without a pose stay without one.

    Args:
        frame: RGB picture of frame i; every frame with a pose is asked for a few times.
        points_px: the landmarks that `poses` was fitted to.
        poses: of :func:`loquent.face.head_pose.fit_head_pose`.
        camera: the same camera.
        mask: where the skull is seen on frame i, non-zero; default: :func:`loquent.face.flow_tracks.skull_mask`.
    """
    usable = poses.found
    left, top, right, bottom = _region(points_px[usable], camera)
    points_px = points_px - np.array([left, top, 0.0])
    part_camera = replace(camera, cx=camera.cx - left, cy=camera.cy - top)

    def part(i: int) -> UInt8[np.ndarray, "part_height part_width"]:
        return cv2.cvtColor(np.ascontiguousarray(frame(i)[top:bottom, left:right]), cv2.COLOR_RGB2GRAY)

    def part_mask(i: int) -> UInt8[np.ndarray, "part_height part_width"]:
        if mask is not None:
            return np.ascontiguousarray(mask(i)[top:bottom, left:right])
        return skull_mask(points_px[i], bottom - top, right - left)

    start = _unpack(poses.world_from_camera)
    landmarks = _landmarks(points_px, poses, camera)
    start, references = agree_over_clip(
        part, part_mask, np.flatnonzero(usable), start, poses.mean_head, landmarks, part_camera
    )
    tracks = follow_points(part, len(usable), usable, part_mask)
    return _refine(tracks, landmarks.beside(references), start, points_px, poses, part_camera)


def _landmarks(points_px: np.ndarray, poses: HeadPoses, camera: Camera) -> Anchors:
    """The rigid landmarks as anchors; those of a frame together count like `_LANDMARK_COUNT`."""
    spread_px = _LANDMARK_SPREAD * max(camera.height, camera.width)
    seen_px = np.where(poses.found[:, None, None], points_px[:, poses.rigid, :2], 0.0).astype(np.float64)
    trust = poses.found[:, None] * _LANDMARK_COUNT * poses.weights / poses.weights.sum() / spread_px**2
    return Anchors(poses.shape, seen_px, trust, np.full(len(poses.rigid), 2 * spread_px))


def _refine(
    tracks: list[FlowTracks], anchors: Anchors, start: Poses, points_px: np.ndarray, poses: HeadPoses, camera: Camera
) -> HeadPoses:
    usable = poses.found
    groups = [group for one in tracks if (group := _place_group(one, start, poses, camera)) is not None]
    problem = PoseProblem(groups, anchors, camera, WINDOW, FLOW_SPREAD * max(camera.height, camera.width))
    refined = start
    for n_steps in _STEPS:
        refined = problem.descend(refined, n_steps)
        problem.leave_out_strays(refined)

    world_from_camera = poses.world_from_camera.copy()
    world_from_camera[usable, :3, :3] = refined.rotations[usable].transpose(0, 2, 1)
    moved = -np.einsum("fji,fj->fi", refined.rotations, refined.translations)
    world_from_camera[usable, :3, 3] = moved[usable]
    distance = np.linalg.norm(_landmarks(points_px, poses, camera).residual(refined, camera), axis=-1)
    error_px = np.where(usable, np.median(distance, axis=1), np.nan)
    return replace(poses, world_from_camera=world_from_camera, error_px=error_px)


def _unpack(world_from_camera: np.ndarray) -> Poses:
    """Camera-from-head rotations and translations; frames without a pose get one that does no harm."""
    known = np.where(np.isfinite(world_from_camera), world_from_camera, np.eye(4))
    rotations = known[:, :3, :3].transpose(0, 2, 1)
    translations = -np.einsum("fij,fj->fi", rotations, known[:, :3, 3])
    translations[~np.isfinite(world_from_camera[:, 0, 0])] = [0.0, 0.0, 1.0]
    return Poses(rotations, translations)


def _region(points_px: np.ndarray, camera: Camera) -> tuple[int, int, int, int]:
    """left, top, right, bottom of a box that holds the head on every frame."""
    skin = points_px[:, :N_MESH, :2].reshape(-1, 2)
    low, high = np.nanmin(skin, axis=0), np.nanmax(skin, axis=0)
    reach = 0.35 * (high - low).max()
    left, top = np.clip(low - reach, 0, [camera.width - 1, camera.height - 1]).astype(int)
    right, bottom = np.clip(high + reach, [left + 1, top + 1], [camera.width, camera.height]).astype(int)
    return int(left), int(top), int(right), int(bottom)


def _place_group(tracks: FlowTracks, start: Poses, poses: HeadPoses, camera: Camera) -> PointGroup | None:
    """Points followed long enough, placed in the head frame at the depth of the nearest landmark."""
    enough = tracks.is_seen.sum(axis=1) >= _MIN_SEEN
    if not enough.any():
        return None
    i = tracks.first_frame
    seen_px, is_seen = tracks.places_px[enough], tracks.is_seen[enough]
    places = place_on_head(seen_px[:, 0], start.rotations[i], start.translations[i], poses.mean_head, camera)
    return PointGroup(slice(i, i + seen_px.shape[1]), seen_px, is_seen, places, places.copy())


__all__ = ["refine_with_flow"]
