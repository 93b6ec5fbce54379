"""Where faces are in a whole picture: MediaPipe's full-range detector, whose model ships inside its wheel."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from loquent.face.quiet import quiet_stderr


@dataclass(frozen=True)
class FaceBox:
    """A detected face: a square from the brows to the chin, in pixels of the picture."""

    u: float
    """Column of its centre."""
    v: float
    """Row of its centre."""
    side_px: float
    """Length of its side."""
    score: float
    """How sure the detector is, 0 to 1."""

    def overlap(self, other: "FaceBox") -> float:
        """Intersection over union of the two squares, 0 to 1."""
        across = min(self.u + self.side_px / 2, other.u + other.side_px / 2) - max(
            self.u - self.side_px / 2, other.u - other.side_px / 2
        )
        down = min(self.v + self.side_px / 2, other.v + other.side_px / 2) - max(
            self.v - self.side_px / 2, other.v - other.side_px / 2
        )
        shared = max(0.0, across) * max(0.0, down)
        return shared / (self.side_px**2 + other.side_px**2 - shared)


class FaceDetector:
    """Finds the faces of single pictures; make one with :func:`face_detector`."""

    def __init__(self, solution: Any):
        self._solution = solution

    def __call__(self, image: UInt8[np.ndarray, "height width 3"]) -> list[FaceBox]:
        """The faces of an RGB picture, largest first."""
        height, width = image.shape[:2]
        detections = self._solution.process(np.ascontiguousarray(image)).detections or []
        faces = []
        for detection in detections:
            box = detection.location_data.relative_bounding_box
            centre_u, centre_v = (box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height
            side_px = (box.width * width + box.height * height) / 2
            if side_px > 0:
                faces.append(FaceBox(centre_u, centre_v, side_px, float(detection.score[0])))
        return sorted(faces, key=lambda face: -face.side_px)


@contextmanager
def face_detector(min_score: float = 0.5) -> Iterator[FaceDetector]:
    """A detector for faces up to about five metres away; its threads end with the context."""
    with quiet_stderr():
        from mediapipe.python.solutions.face_detection import FaceDetection

        solution = FaceDetection(min_detection_confidence=min_score, model_selection=1)
        solution.process(np.zeros((64, 64, 3), np.uint8))  # the first picture writes notices
    with solution:
        yield FaceDetector(solution)
