"""One face's 478 landmarks, and the two MediaPipe graphs that find them in a picture, behind one interface."""

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from loquent.face.detection import FaceBox
from loquent.face.indices import N_MESH
from loquent.face.quiet import quiet_stderr


@dataclass(frozen=True)
class Face:
    """One face in one picture."""

    points_px: Float32[np.ndarray, "478 3"]
    """u, v in pixels and depth on the same scale."""
    blendshapes: Float32[np.ndarray, "52"] | None = None
    """How active each of MediaPipe's 52 blendshapes is, 0 to 1; None without the Face Landmarker file."""

    @property
    def middle_px(self) -> Float32[np.ndarray, "2"]:
        """u, v of the middle of the box around the skin points."""
        skin = self.points_px[:N_MESH, :2]
        return np.asarray((skin.min(axis=0) + skin.max(axis=0)) / 2)

    @property
    def size_px(self) -> float:
        """Larger side of the box around the skin points."""
        return float(np.ptp(self.points_px[:N_MESH, :2], axis=0).max())

    @property
    def box(self) -> FaceBox:
        """The square around the skin points: where to look for this face on the next picture."""
        u, v = self.middle_px.tolist()
        return FaceBox(u, v, self.size_px, score=1.0)


class FaceGraph(ABC):
    """A MediaPipe graph that finds faces and is silent.

    It writes notices while it starts, which its threads do after the constructor has returned, and on the first picture with
    a face. A picture is done only when all threads are idle, so a blank one, inside the silence in which the graph is made,
    waits for the start.
    """

    def __init__(self) -> None:
        self._has_found = False

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> list[Face]:
        """Faces of one RGB picture whose rows lie one after the other in memory."""
        if self._has_found:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._find(image)
        with quiet_stderr():
            faces = self._find(image)
        self._has_found = len(faces) > 0
        return faces

    @abstractmethod
    def close(self) -> None:
        """Free the graph and end its threads."""

    @abstractmethod
    def _find(self, image: np.ndarray) -> list[Face]:
        """Run the graph on one picture."""

    def _await_start(self) -> None:
        """Run the graph on a blank picture; in the same silence that it was made in."""
        self._find(np.zeros((64, 64, 3), np.uint8))


class WheelGraph(FaceGraph):
    """The face mesh with refined eyes and lips that comes inside MediaPipe's wheel."""

    def __init__(self, is_tracking: bool, max_faces: int) -> None:
        super().__init__()
        with quiet_stderr():
            import mediapipe

            self._graph = mediapipe.solutions.face_mesh.FaceMesh(
                static_image_mode=not is_tracking, max_num_faces=max_faces, refine_landmarks=True
            )
            self._await_start()

    def _find(self, image: np.ndarray) -> list[Face]:
        found = self._graph.process(image).multi_face_landmarks or []
        return [Face(_pixels(one.landmark, image)) for one in found]

    def close(self) -> None:
        self._graph.close()


class TaskGraph(FaceGraph):
    """The Face Landmarker of MediaPipe's Tasks interface: landmarks and blendshapes."""

    def __init__(self, task_file: Path, is_tracking: bool, max_faces: int) -> None:
        super().__init__()
        self._is_tracking = is_tracking
        self._time_ms = 0
        with quiet_stderr():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            self._new_picture: Any = mediapipe.Image
            self._rgb = mediapipe.ImageFormat.SRGB
            mode = vision.RunningMode.VIDEO if is_tracking else vision.RunningMode.IMAGE
            self._graph = vision.FaceLandmarker.create_from_options(
                vision.FaceLandmarkerOptions(
                    base_options=BaseOptions(model_asset_buffer=task_file.read_bytes()),
                    running_mode=mode,
                    num_faces=max_faces,
                    output_face_blendshapes=True,
                )
            )
            self._await_start()

    def _find(self, image: np.ndarray) -> list[Face]:
        picture = self._new_picture(image_format=self._rgb, data=image)
        if self._is_tracking:
            found = self._graph.detect_for_video(picture, self._time_ms)
            self._time_ms += 40
        else:
            found = self._graph.detect(picture)
        pairs = zip(found.face_landmarks, found.face_blendshapes, strict=True)
        return [
            Face(_pixels(points, image), np.array([shape.score for shape in shapes], np.float32))
            for points, shapes in pairs
        ]

    def close(self) -> None:
        self._graph.close()


def _pixels(points: Any, image: np.ndarray) -> np.ndarray:
    """MediaPipe's normalised points as pixels; its depth is on the scale of x."""
    height, width = image.shape[:2]
    return np.array([(point.x * width, point.y * height, point.z * width) for point in points], np.float32)


__all__ = ["Face", "FaceGraph", "TaskGraph", "WheelGraph"]
