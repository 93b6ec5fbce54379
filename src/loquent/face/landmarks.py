"""478 landmarks of the faces in pictures, by MediaPipe (models inside its wheel, or the Face Landmarker file for blendshapes).

Landmarks are pixels: u along columns, v along rows, and depth on the same scale as u, smaller = nearer to the camera, relative
to the head's own middle. They come from MediaPipe's weak-perspective model, so depth says shape, not distance.
"""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Int, UInt8

from loquent.errors import InputError
from loquent.face.detection import FaceBox, FaceDetector, face_detector
from loquent.face.indices import N_LANDMARKS
from loquent.face.mesh import Face, FaceGraph, TaskGraph, WheelGraph

N_BLENDSHAPES: Final = 52
"""Blendshapes of the Face Landmarker, in its own order; 9 and 10 are the left and right blink."""
_CROP_MARGIN: Final = 2.2
"""Side of the picture part searched again around a place, in face sizes."""
_CROP_SIDE_PX: Final = 384
"""Parts smaller than this are enlarged to it before they are searched."""
_TILE_MINIMUM_PX: Final = 320
"""Pictures are searched in tiles only when they are larger than this; smaller ones hold no small face worth having."""


@dataclass(frozen=True)
class LandmarkTrack:
    """The most persistent face of a clip; N pictures."""

    points_px: Float32[np.ndarray, "frames 478 3"]
    """Landmarks, NaN on pictures where this face was not found."""
    n_faces: Int[np.ndarray, "frames"]
    """How many faces were found on each picture, this one included."""
    blendshapes: Float32[np.ndarray, "frames 52"] | None
    """Blendshapes, NaN where this face was not found; None without the Face Landmarker file."""

    @property
    def found(self) -> Bool[np.ndarray, "frames"]:
        """Where the face was found."""
        return np.asarray(np.isfinite(self.points_px[:, 0, 0]))


class LandmarkDetector:
    """Finds faces in pictures; a context manager, since MediaPipe holds native resources.

    With `is_tracking` (the default) each picture continues the one before, which is faster and steadier: feed the pictures
    of one video in order. Without it every picture stands alone. Pictures in which the first search finds nothing are
    searched again around the last place, then in enlarged parts, so small faces are found too.

    Args:
        is_tracking: pictures are consecutive frames of a video.
        max_faces: find at most this many.
        task_file: ``face_landmarker.task`` (:data:`loquent.face.models.FACE_LANDMARKER`); adds blendshapes. None: the
            mesh inside MediaPipe's wheel.

    Raises:
        InputError: `task_file` is no such file.
    """

    def __init__(self, *, is_tracking: bool = True, max_faces: int = 3, task_file: Path | None = None) -> None:
        if task_file is not None and not task_file.is_file():
            raise InputError(f"The Face Landmarker file {task_file} does not exist. Name another, or leave it out.")
        self.has_blendshapes = task_file is not None
        self._max_faces = max_faces
        self._task_file = task_file
        self._search: FaceGraph = self._graph(is_tracking)
        self._search_part: FaceGraph | None = None
        self._find_boxes: FaceDetector | None = None
        self._resources = contextlib.ExitStack()
        self._last: Face | None = None

    def __enter__(self) -> "LandmarkDetector":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free MediaPipe's graphs."""
        self._search.close()
        if self._search_part is not None:
            self._search_part.close()
        self._resources.close()

    def detect(self, image: UInt8[np.ndarray, "height width 3"]) -> list[Face]:
        """Faces of one RGB picture, the largest first; empty when there is none."""
        image = np.ascontiguousarray(image)
        faces = self._search(image)
        if not faces and self._last is not None:
            faces = self._search_around([self._last.box], image)
        if not faces:
            faces = self._search_around(self._candidates(image), image)
        faces.sort(key=lambda face: -face.size_px)
        if faces:
            self._last = faces[0]
        return faces

    def _graph(self, is_tracking: bool) -> FaceGraph:
        if self._task_file is None:
            return WheelGraph(is_tracking, self._max_faces)
        return TaskGraph(self._task_file, is_tracking, self._max_faces)

    def _search_around(self, places: list[FaceBox], image: np.ndarray) -> list[Face]:
        """Search square parts around `places`, enlarged when they are small."""
        if self._search_part is None:
            self._search_part = self._graph(is_tracking=False)
        faces: list[Face] = []
        for place in places[: self._max_faces]:
            reach = _CROP_MARGIN * place.side_px / 2
            columns = np.clip([place.u - reach, place.u + reach], 0, image.shape[1]).astype(int)
            rows = np.clip([place.v - reach, place.v + reach], 0, image.shape[0]).astype(int)
            part = image[rows[0] : rows[1], columns[0] : columns[1]]
            if min(part.shape[:2]) < 8:
                continue
            zoom = max(1.0, _CROP_SIDE_PX / max(part.shape[:2]))
            enlarged = cv2.resize(part, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
            for face in self._search_part(np.ascontiguousarray(enlarged))[:1]:
                scale = np.array([part.shape[1] / enlarged.shape[1], part.shape[0] / enlarged.shape[0]])
                points = face.points_px * np.append(scale, scale[0]) + [columns[0], rows[0], 0]
                found = Face(points.astype(np.float32), face.blendshapes)
                if not any(_is_same_place(found, other) for other in faces):
                    faces.append(found)
        return faces

    def _candidates(self, image: np.ndarray) -> list[FaceBox]:
        """Places of the long-range face detector on the picture and, if that sees none, on four overlapping tiles."""
        if self._find_boxes is None:
            self._find_boxes = self._resources.enter_context(face_detector())
        height, width = image.shape[:2]
        found = [(0, 0, box) for box in self._find_boxes(image)]
        if not found and max(height, width) > _TILE_MINIMUM_PX:
            for top in (0, height - height * 5 // 8):
                for left in (0, width - width * 5 // 8):
                    tile = image[top : top + height * 5 // 8, left : left + width * 5 // 8]
                    found += [(left, top, box) for box in self._find_boxes(tile)]
        return [replace(box, u=left + box.u, v=top + box.v) for left, top, box in found]


def detect_all(
    images: Iterable[UInt8[np.ndarray, "height width 3"]], *, max_faces: int = 3, task_file: Path | None = None
) -> LandmarkTrack:
    """Follow the most persistent face through the pictures of one video.

    Faces are linked from picture to picture by place and size; the one with the most pictures, weighted by its size, wins.
    Pictures without it are NaN; its place elsewhere after a cut is not guessed.

    Args:
        images: RGB, in order; consumed one at a time.
        max_faces: look for at most this many faces on a picture.
        task_file: see :class:`LandmarkDetector`.
    """
    chains: list[_Chain] = []
    counts: list[int] = []
    with LandmarkDetector(max_faces=max_faces, task_file=task_file) as detector:
        for i, image in enumerate(images):
            faces = detector.detect(image)
            counts.append(len(faces))
            _link(chains, i, faces)
    points = np.full((len(counts), N_LANDMARKS, 3), np.nan, np.float32)
    shapes = np.full((len(counts), N_BLENDSHAPES), np.nan, np.float32) if task_file is not None else None
    if chains:
        for i, face in max(chains, key=lambda chain: chain.weight_px).faces.items():
            points[i] = face.points_px
            if shapes is not None and face.blendshapes is not None:
                shapes[i] = face.blendshapes
    return LandmarkTrack(points, np.array(counts, dtype=np.int64), shapes)


@dataclass
class _Chain:
    """One person followed through the pictures."""

    faces: dict[int, Face] = field(default_factory=dict)
    weight_px: float = 0.0
    """Sum of the faces' sizes."""

    def last(self) -> Face:
        return next(reversed(self.faces.values()))

    def add(self, i: int, face: Face) -> None:
        """Append the face of picture `i`."""
        self.faces[i] = face
        self.weight_px += face.size_px


def _link(chains: list[_Chain], i: int, faces: list[Face]) -> None:
    """Append the faces of picture `i` to the chains they continue, longest chains first, or start new ones."""
    left = list(faces)
    for chain in sorted(chains, key=lambda chain: chain.weight_px, reverse=True):
        last = chain.last()
        near = [face for face in left if _is_same_place(face, last)]
        if near:
            best = min(near, key=lambda face: _distance_px(face, last))
            chain.add(i, best)
            left = [face for face in left if face is not best]
    for face in left:
        chains.append(_Chain())
        chains[-1].add(i, face)


def _is_same_place(one: Face, other: Face) -> bool:
    """Whether two faces are less than 0.6 face sizes apart and of similar size."""
    small, large = sorted((one.size_px, other.size_px))
    return _distance_px(one, other) < 0.6 * large and large < 1.6 * small


def _distance_px(one: Face, other: Face) -> float:
    return float(np.linalg.norm(one.middle_px - other.middle_px))


__all__ = ["N_BLENDSHAPES", "LandmarkDetector", "LandmarkTrack", "detect_all"]
