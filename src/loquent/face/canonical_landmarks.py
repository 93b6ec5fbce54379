"""3-D landmarks with the head's pose taken out and brought into [-1, 1]: what moves R2-Talker's head (SPEC 7.2).

R2-Talker takes them from GeneFace, which fits a morphable face model: identity and expression as offsets from the model's mean
face. Here the face itself is the model. Each frame's landmarks are laid over the mean face of the training frames, by the
points that move little against the skull; a point's offset from its mean place there is expression, and the mean place, one
and the same in every frame of a person, is identity: the basis keeps it, and the field need not be told in every frame. Axes
are the camera's before a face that looks straight at it: x to the picture's right, y down, z away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float

from loquent.errors import InputError
from loquent.face import indices
from loquent.face.alignment import aligned_faces, mean_face

PointSet = Literal["68", "dense"]
"""The 68 points of iBUG's convention, or all points on the skin."""
POINT_SETS: Final[dict[PointSet, tuple[int, ...]]] = {
    "68": indices.MESH_OF_68,
    "dense": tuple(range(indices.N_MESH)),
}
"""The mesh's points in each set."""
Scale = Literal["one", "each"]
"""One unit for all coordinates, as R2-Talker's raw offsets have, or each coordinate's own, as GeneFace's renderer."""

_LIMIT, _LIMIT_EYES = 2.3, 1.15
"""Deviations from the mean within which R2-Talker keeps landmarks that were not measured; brows and eyes, across and up."""
_LARGEST = 0.98
"""Quantile of a coordinate's offsets that tells how far it goes: the very largest may be failures of the detector."""
_ROOM = 0.7
"""What that of the most mobile coordinate becomes where all have one unit, so that mouths can open wider."""
_DEVIATIONS = 3.0
"""Deviations that become 1 where each coordinate has its own unit."""
_STILL = 0.1
"""No unit is smaller than this share of the largest offsets: else noise of what stands still would fill the range."""
_EYES_AND_BROWS: Final = frozenset(
    (
        *indices.MESH_OF_68[17:27],
        *indices.MESH_OF_68[36:48],
        *indices.RIGHT_EYE_RING,
        *indices.LEFT_EYE_RING,
        *indices.RIGHT_BROW,
        *indices.LEFT_BROW,
    )
)


@dataclass(frozen=True)
class LandmarkBasis:
    """How one person's landmarks become numbers in [-1, 1]; fitted on training frames only. Arrays are float32."""

    centre: Float[np.ndarray, "points 3"]
    """Mean place of each point: what becomes 0."""
    unit: Float[np.ndarray, "points 3"]
    """Offset from there that becomes 1."""
    limit: Float[np.ndarray, "points 3"]
    """How far from 0 landmarks that were not measured may go (SPEC 7.2); where it is 0, measured ones stay at 0, too."""
    numbers: tuple[int, ...] = ()
    """The points' places in MediaPipe's mesh; empty for landmarks that another program measured."""
    mean_face: Float[np.ndarray, "478 3"] | None = None
    """The face that every frame is laid over; none for landmarks that another program measured."""

    @classmethod
    def fit(
        cls,
        faces: Float[np.ndarray, "frames 478 3"],
        n_train: int,
        points: PointSet = "68",
        scale: Scale = "one",
        *,
        has_eyes: bool = True,
    ) -> "LandmarkBasis":
        """Learn the basis from the first `n_train` frames of a clip's landmarks (`loquent.face.surface.points_in_camera`).

        Without `has_eyes` it leaves eyes and brows where they are on the mean face.

        Raises:
            InputError: fewer than two frames, or landmarks that are NaN or all in one place.
        """
        face = mean_face(faces[:n_train]).astype(np.float32)
        numbers = POINT_SETS[points]
        return _fitted(aligned_faces(faces[:n_train], face)[:, list(numbers)], scale, has_eyes, numbers, face)

    @classmethod
    def fit_measured(
        cls,
        landmarks: Float[np.ndarray, "frames points 3"],
        n_train: int,
        scale: Scale = "one",
        *,
        has_eyes: bool = True,
    ) -> "LandmarkBasis":
        """The same for landmarks that another program measured and freed of pose, GeneFace's (SPEC 7.2).

        Raises:
            InputError: fewer than two frames, or landmarks that are NaN.
        """
        if not np.isfinite(landmarks[:n_train]).all():
            raise InputError("Landmarks of training frames are NaN or infinite. Measure them again.")
        return _fitted(landmarks[:n_train].astype(np.float64), scale, has_eyes)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "LandmarkBasis":
        """The basis whose :meth:`arrays` these are."""
        numbers = tuple(arrays["numbers"].tolist()) if "numbers" in arrays else ()
        return cls(arrays["centre"], arrays["unit"], arrays["limit"], numbers, arrays.get("mean_face"))

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays by name, for a file; `mean_face` and `numbers` only where there is a mean face."""
        arrays = {"centre": self.centre, "unit": self.unit, "limit": self.limit}
        if self.mean_face is not None:
            arrays |= {"mean_face": self.mean_face, "numbers": np.array(self.numbers, int)}
        return arrays

    def of_faces(self, faces: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames points 3"]:
        """Landmarks in [-1, 1] of a clip's frames, from the same as :meth:`fit`; NaN on frames without a face.

        Raises:
            InputError: the basis is for landmarks of another program.
        """
        return self.of_measured(self.without_pose(faces))

    def without_pose(self, faces: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames points 3"]:
        """The same before offsets are taken and scaled: in distances between the outer eye corners.

        Raises:
            InputError: the basis is for landmarks of another program.
        """
        if self.mean_face is None:
            raise InputError(
                "This portrait was trained on landmarks that another program measured; those of the clip do not fit it. "
                "Give that program's file."
            )
        return aligned_faces(faces, self.mean_face)[:, list(self.numbers)]

    def of_measured(self, landmarks: Float[np.ndarray, "frames points 3"]) -> Float[np.ndarray, "frames points 3"]:
        """Offsets from the centre in this basis' units, kept within [-1, 1]: beyond it a grid sees nothing.

        Raises:
            InputError: another number of points than the basis has.
        """
        if landmarks.shape[1:] != self.centre.shape:
            raise InputError(
                f"{len(self.centre)} landmarks a frame move this head, but these are {landmarks.shape[1]} a frame."
            )
        within: np.ndarray = np.clip((landmarks - self.centre) / self.unit, -1, 1)
        return (within * (self.limit > 0)).astype(np.float32)

    def limited(self, generated: Float[np.ndarray, "frames points 3"]) -> Float[np.ndarray, "frames points 3"]:
        """Landmarks that nobody measured, kept within `limit` (SPEC 7.2)."""
        return np.clip(generated, -self.limit, self.limit)


def landmark_limits(numbers: tuple[int, ...]) -> Float[np.ndarray, "points 3"]:
    """Deviations from the mean within which R2-Talker keeps landmarks of a voice it was not trained on (SPEC 7.2).

    Axes are across, down and depth; `numbers` are the points' places in MediaPipe's mesh.
    """
    limits = np.full((len(numbers), 3), _LIMIT)
    limits[_around_eyes(numbers), :2] = _LIMIT_EYES
    return limits


def _around_eyes(numbers: tuple[int, ...]) -> Bool[np.ndarray, "points"]:
    return np.array([number in _EYES_AND_BROWS for number in numbers])


def _fitted(
    landmarks: Float[np.ndarray, "frames points 3"],
    scale: Scale,
    has_eyes: bool,
    numbers: tuple[int, ...] = (),
    face: Float[np.ndarray, "478 3"] | None = None,
) -> LandmarkBasis:
    if len(landmarks) < 2:
        raise InputError(
            f"Landmarks need at least 2 training frames to be scaled, but there are {len(landmarks)}. Use a longer video."
        )
    centre = landmarks.mean(axis=0)
    offsets = landmarks - centre
    deviation = offsets.std(axis=0)
    largest = max(
        float(np.quantile(np.abs(offsets), _LARGEST, axis=0).max()), 1e-4
    )  # a face that never moves stays at 0
    unit = np.full(centre.shape, largest / _ROOM) if scale == "one" else _DEVIATIONS * deviation
    unit = np.maximum(unit, _STILL * largest)
    limit = np.minimum(landmark_limits(numbers or indices.MESH_OF_68) * deviation / unit, 1)
    if not has_eyes:
        limit[_around_eyes(numbers or indices.MESH_OF_68)] = 0
    return LandmarkBasis(centre.astype(np.float32), unit.astype(np.float32), limit.astype(np.float32), numbers, face)


__all__ = ["POINT_SETS", "LandmarkBasis", "PointSet", "Scale", "landmark_limits"]
