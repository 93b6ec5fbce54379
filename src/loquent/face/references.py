"""Head poses that agree over the whole clip: points of a few reference pictures, sought in all others.

A network's landmarks follow the skull only in part: it learned a usual face seen in usual ways, so nods and turns come out too
small, and what lies far from the face, hair and ears, lands several pixels off. Optical flow over a second or two cannot
mend what is wrong for longer. So corners of forehead, hair, ears and nose are picked on a few pictures in which the head is
held differently, and each is sought in pictures of any time; one bundle adjustment finds where they lie on the head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8
from scipy.spatial.transform import Rotation

from loquent.face.bundle import project_camera_points
from loquent.face.flow_tracks import pick_corners, seek_patches
from loquent.face.indices import N_MESH
from loquent.face.pose_graph import Anchors, PointGroup, PoseProblem, Poses
from loquent.geometry.cameras import Camera

REFERENCE_SPREAD: Final = 0.6 / 450
"""Typical error of a patch found again in another light and expression, as a share of the picture."""
_KEYFRAMES: Final = 96
"""Frames, evenly spread, that place the points; the others are then measured against them."""
_REFERENCES: Final = 8
"""Pictures on which points are picked."""
_NEAREST: Final = 3
"""References sought in each frame: those in which the head is held most alike."""
_ROUND_TRIP_PX: Final = 0.6
"""A patch counts as found when seeking it back ends no further from its start than this."""
_ROUNDS: Final = ((4.0, 10), (2.0, 10), (1.0, 15))
"""Rounds of seeking and adjusting: the spread in units of REFERENCE_SPREAD, and the most steps."""
_QUALITY: Final = 0.05
"""Corners worse than this share of the best one are not picked: along an edge, a patch slides unnoticed over a long time."""
_MIN_SEEN: Final = 5
"""Points found on fewer keyframes say too little."""

Picture = Callable[[int], UInt8[np.ndarray, "rows columns"]]


@dataclass
class _Reference:
    """Points picked on one picture."""

    picture: np.ndarray
    picked_px: np.ndarray  # [m, 2] in the region
    places: np.ndarray  # [m, 3] in the head frame
    given: np.ndarray  # [m, 3] places before refinement

    def keep(self, chosen: np.ndarray) -> None:
        self.picked_px, self.places, self.given = self.picked_px[chosen], self.places[chosen], self.given[chosen]


def agree_over_clip(
    picture: Picture,
    mask: Picture,
    usable: Int[np.ndarray, "usable"],
    poses: Poses,
    mean_head: Float[np.ndarray, "478 3"],
    landmarks: Anchors,
    camera: Camera,
) -> tuple[Poses, Anchors]:
    """Poses that agree over the whole clip, and the reference points as anchors of every frame.

    Args:
        picture: grey picture of a frame; every usable frame is asked for once or twice.
        mask: where the skull is seen on it, non-zero.
        usable: the frames to look at, in order.
        poses: of all frames, to start from.
        mean_head: all landmarks in the head's frame; what is not on the mesh is first placed at the nearest one's depth.
        landmarks: the rigid landmarks of all frames.
        camera: of these pictures.
    """
    spread_px = REFERENCE_SPREAD * max(camera.height, camera.width)
    chosen = usable[np.unique(np.linspace(0, len(usable) - 1, min(_KEYFRAMES, len(usable))).round().astype(int))]
    pictures = [picture(int(i)) for i in chosen]
    start = poses.of(chosen)
    references = [
        _pick(pictures[k], mask(int(chosen[k])), start.of(np.array([k])), mean_head, camera)
        for k in _most_different(_project(mean_head[:N_MESH:20], start, camera))
    ]
    refined = start
    for spreads, n_steps in _ROUNDS:
        references = [one for one in references if len(one.places)]
        groups = []
        for one in references:
            sought = [_seek(one, pictures[k], refined.of(np.array([k])), camera) for k in range(len(chosen))]
            seen_px, is_seen = (np.stack(parts, axis=1) for parts in zip(*sought, strict=True))
            enough = is_seen.sum(axis=1) >= _MIN_SEEN
            one.keep(enough)
            groups.append(PointGroup(slice(0, len(chosen)), seen_px[enough], is_seen[enough], one.places, one.given))
        problem = PoseProblem(groups, landmarks.of(chosen), camera, len(chosen), spreads * spread_px)
        refined = problem.descend(refined, n_steps)
        for one, group, fits in zip(references, groups, problem.fitting(refined), strict=True):
            one.places = group.places
            one.keep(fits)
    corrected = _carry_over(poses, chosen, start, refined)
    return corrected, _seek_everywhere(references, picture, usable, corrected, camera)


def _seek_everywhere(
    references: list[_Reference],
    picture: Picture,
    usable: np.ndarray,
    poses: Poses,
    camera: Camera,
) -> Anchors:
    """The references' points on every usable frame whose head is held much as on the reference."""
    starts = np.cumsum([0] + [len(one.places) for one in references])
    spread_px = REFERENCE_SPREAD * max(camera.height, camera.width)
    seen_px = np.zeros((len(poses.rotations), starts[-1], 2))
    trust = np.zeros(seen_px.shape[:2])
    for i in usable:
        at = poses.of(np.array([i]))
        offs = [np.linalg.norm(_project(one.places, at, camera)[0] - one.picked_px, axis=1) for one in references]
        turned = [np.std(off) for off in offs]
        grey = picture(int(i))
        for n in np.argsort(turned)[:_NEAREST]:
            part = slice(starts[n], starts[n + 1])
            seen_px[i, part], found = _seek(references[n], grey, at, camera)
            trust[i, part] = found / spread_px**2
    places = np.concatenate([np.zeros((0, 3)), *(one.places for one in references)])
    return Anchors(places, seen_px, trust, np.full(len(places), 2 * spread_px))


def _pick(picture: np.ndarray, mask: np.ndarray, pose: Poses, mean_head: np.ndarray, camera: Camera) -> _Reference:
    inside = cv2.erode(mask, np.ones((5, 5), np.uint8))  # the mask's own border is no corner of the head
    picked_px = pick_corners(picture, inside, _QUALITY)
    places = place_on_head(picked_px, pose.rotations[0], pose.translations[0], mean_head, camera)
    return _Reference(picture, picked_px, places, places.copy())


def place_on_head(
    picked_px: Float[np.ndarray, "points 2"],
    rotation: Float[np.ndarray, "3 3"],
    translation: Float[np.ndarray, "3"],
    mean_head: Float[np.ndarray, "478 3"],
    camera: Camera,
) -> Float[np.ndarray, "points 3"]:
    """Points of a picture at the depth of the nearest landmark, in the head's frame; `rotation` is camera from head."""
    in_camera = mean_head[:N_MESH] @ rotation.T + translation
    apart = np.linalg.norm(picked_px[:, None] - project_camera_points(in_camera, camera), axis=-1)
    depth = in_camera[apart.argmin(axis=1), 2] if len(picked_px) else np.zeros(0)
    rays = (picked_px - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
    on_ray = np.column_stack([rays * depth[:, None], depth])
    return np.asarray((on_ray - translation) @ rotation)


def _seek(one: _Reference, picture: np.ndarray, pose: Poses, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Where the points are on another picture [m, 2], sought from where the pose puts them, and whether they were found."""
    return seek_patches(one.picture, picture, one.picked_px, _project(one.places, pose, camera)[0], _ROUND_TRIP_PX)


def _project(points: np.ndarray, poses: Poses, camera: Camera) -> np.ndarray:
    """[F, n, 2]"""
    in_camera = np.einsum("fij,nj->fni", poses.rotations, points) + poses.translations[:, None]
    return np.asarray(project_camera_points(in_camera, camera))


def _most_different(shown_px: np.ndarray) -> list[int]:
    """Frames chosen one by one, each as unlike those before as can be, in where the head's points are seen."""
    shape = shown_px - shown_px.mean(axis=1, keepdims=True)
    typical = np.linalg.norm(shape - np.median(shape, axis=0), axis=(1, 2))
    chosen = [int(typical.argmin())]
    while len(chosen) < min(_REFERENCES, len(shape)):
        apart = np.linalg.norm(shape[:, None] - shape[chosen], axis=(2, 3)).min(axis=1)
        chosen.append(int(apart.argmax()))
    return chosen


def _carry_over(poses: Poses, chosen: np.ndarray, before: Poses, after: Poses) -> Poses:
    """The keyframes' corrections, interpolated to all frames."""
    turns = Rotation.from_matrix(after.rotations @ before.rotations.transpose(0, 2, 1)).as_rotvec()
    step = np.concatenate([turns, after.translations - before.translations], axis=1)
    times = np.arange(len(poses.rotations))
    return poses.moved(np.stack([np.interp(times, chosen, column) for column in step.T], axis=1))


__all__ = ["agree_over_clip", "place_on_head"]
