"""Points of the head followed from picture to picture by optical flow: far finer than landmarks, but without names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from loquent.face import indices

WINDOW: Final = 24
"""Frames a point is followed for at most."""
STRIDE: Final = 8
"""Frames between the starts of windows; so up to WINDOW / STRIDE sets of points overlap."""
_MAX_POINTS: Final = 120
_PATCH_SHARE: Final = 15 / 450
"""Side of the compared patch, as a share of the picture."""
_SPACING_SHARE: Final = 7 / 450
"""Smallest distance between points, as a share of the picture."""
_ROUND_TRIP_PX: Final = 0.4
"""A point is lost when following it back ends further from its start than this."""
_TOP: Final = (234, 127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356, 454)
"""The mesh's rim from ear to ear over the forehead."""
_NOSE: Final = (168, 122, 174, 198, 131, 45, 4, 275, 360, 420, 399, 351)
"""Outline of the nose above its wings."""
_HAIR_REACH: Final = 0.45
"""How far above the mesh's rim points are taken, as a share of the distance from rim to nose."""
_EAR_REACH: Final = 0.12
"""How far beside the mesh's rim points are taken, as a share of the same distance."""
_RIGHT_CHEEK: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133, 198, 205, 187, 123, 116)
"""Skin under the right eye, which talking and smiling move."""
_LEFT_CHEEK: Final = (263, 249, 390, 373, 374, 380, 381, 382, 362, 420, 425, 411, 352, 345)
"""Skin under the left eye."""


@dataclass(frozen=True)
class FlowTracks:
    """Points that start on one frame and are followed over the next; m points."""

    first_frame: int
    """Frame they were picked on."""
    places_px: Float[np.ndarray, "points window 2"]
    """u, v on `first_frame` and the frames after it."""
    is_seen: Bool[np.ndarray, "points window"]
    """Where a place was measured; False from where the point was lost."""


def skull_mask(points_px: Float[np.ndarray, "478 3"], height: int, width: int) -> UInt8[np.ndarray, "height width"]:
    """255 where the picture shows forehead, hair, ears or nose, which move with the skull; 0 on brows, eyes, cheeks, jaw.

    Hair and ears are taken from where they must be beside the mesh; some background may be among them.
    """
    uv = points_px[:, :2].astype(np.float64)
    rim, middle = uv[list(_TOP)], uv[indices.NOSE_TIP]
    up = uv[indices.FOREHEAD_TOP] - uv[indices.CHIN]
    heights = (rim - rim[0]) @ up
    share = np.clip(heights / heights.max(), 0, 1)[:, None]
    outside = middle + (rim - middle) * (1 + _EAR_REACH + (_HAIR_REACH - _EAR_REACH) * share)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(mask, _polygon(outside), (255,))
    moving = np.zeros_like(mask)
    for part in (
        indices.RIGHT_BROW + indices.RIGHT_EYE_RING,
        indices.LEFT_BROW + indices.LEFT_EYE_RING,
        _RIGHT_CHEEK,
        _LEFT_CHEEK,
    ):
        cv2.fillConvexPoly(moving, _polygon(uv[list(part)]), (255,))
    grow = 1 + 2 * round(0.03 * float(np.linalg.norm(rim[0] - rim[-1])))
    mask[cv2.dilate(moving, np.ones((grow, grow), np.uint8)) > 0] = 0
    cv2.fillConvexPoly(mask, _polygon(uv[list(_NOSE)]), (255,))
    return mask


def _polygon(points: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.convexHull(np.round(points).astype(np.int32)))


def follow_points(
    picture: Callable[[int], UInt8[np.ndarray, "height width"]],
    n_frames: int,
    is_usable: Bool[np.ndarray, "frames"],
    mask: Callable[[int], UInt8[np.ndarray, "height width"]],
) -> list[FlowTracks]:
    """Pick corners every eighth frame and follow each set for up to WINDOW frames.

    Each corner is sought with the patch of its first frame, so errors do not add up along the track, starting from its last
    place; following it back must return to the start. Frames are read once, in order.

    Args:
        picture: grey picture of a frame.
        n_frames: frames 0 .. n_frames - 1 are read.
        is_usable: frames to look at; windows end before a frame that is not.
        mask: where corners may be picked on a frame, non-zero.
    """
    active: list[_Window] = []
    done: list[FlowTracks] = []
    for i in range(n_frames):
        if not is_usable[i]:
            done += [window.tracks() for window in active]
            active = []
            continue
        grey = picture(i)
        for window in active:
            window.follow(grey)
        done += [window.tracks() for window in active if window.is_over]
        active = [window for window in active if not window.is_over]
        if i % STRIDE == 0 or not active:
            corners = pick_corners(grey, mask(i))
            if len(corners):
                active.append(_Window(i, grey, corners))
    return done + [window.tracks() for window in active]


def pick_corners(
    grey: UInt8[np.ndarray, "height width"], mask: UInt8[np.ndarray, "height width"], quality: float = 0.003
) -> Float[np.ndarray, "points 2"]:
    """u, v of corners where the mask is not zero, well apart; none worse than the share `quality` of the best one."""
    spacing = max(3.0, _SPACING_SHARE * max(grey.shape))
    found = cv2.goodFeaturesToTrack(grey, _MAX_POINTS, quality, spacing, mask=mask, blockSize=5)
    # OpenCV counts from the middle of the first pixel, we from its corner
    return np.zeros((0, 2)) if found is None else found[:, 0].astype(np.float64) + 0.5


def seek_patches(
    before: UInt8[np.ndarray, "height width"],
    after: UInt8[np.ndarray, "height width"],
    places_px: Float[np.ndarray, "points 2"],
    guess_px: Float[np.ndarray, "points 2"],
    round_trip_px: float,
) -> tuple[Float[np.ndarray, "points 2"], Bool[np.ndarray, "points"]]:
    """Where the patches around `places_px` of one picture are in another, and whether they were found there.

    A patch counts as found when seeking it back ends within `round_trip_px` of its start.
    """
    if not len(places_px):
        return np.zeros((0, 2)), np.zeros(0, bool)
    side = max(9, round(_PATCH_SHARE * max(before.shape)) | 1)
    there, found = _search(before, after, places_px, guess_px, side)
    back, returned = _search(after, before, there, places_px, side)
    return there, found & returned & (np.linalg.norm(back - places_px, axis=1) < round_trip_px)


def _search(
    before: np.ndarray, after: np.ndarray, places_px: np.ndarray, guess_px: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray]:
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.01)
    start, guess = (places_px - 0.5).astype(np.float32), (guess_px - 0.5).astype(np.float32)
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, start, guess, None, None, (side, side), 3, stop, cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    return there.astype(np.float64) + 0.5, np.asarray(found[:, 0] == 1)


class _Window:
    """One set of corners being followed."""

    def __init__(self, first_frame: int, grey: np.ndarray, corners: np.ndarray) -> None:
        self.first_frame = first_frame
        self._first, self._start = grey, corners
        self._places: list[np.ndarray] = [self._start]
        self._seen: list[np.ndarray] = [np.ones(len(corners), bool)]

    @property
    def is_over(self) -> bool:
        return len(self._places) == WINDOW or not self._seen[-1].any()

    def follow(self, grey: np.ndarray) -> None:
        there, found = seek_patches(self._first, grey, self._start, self._places[-1], _ROUND_TRIP_PX)
        self._places.append(there)
        self._seen.append(self._seen[-1] & found)

    def tracks(self) -> FlowTracks:
        return FlowTracks(self.first_frame, np.stack(self._places, axis=1), np.stack(self._seen, axis=1))


def lengths(tracks: list[FlowTracks]) -> Int[np.ndarray, "points"]:
    """How many frames each point was followed for."""
    return np.concatenate([one.is_seen.sum(axis=1) for one in tracks]) if tracks else np.zeros(0, np.int64)


__all__ = ["STRIDE", "WINDOW", "FlowTracks", "follow_points", "lengths", "skull_mask"]
