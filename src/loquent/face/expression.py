"""Lip and jaw shape in a few numbers: principal components of the mouth's motion with the head's motion taken out."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy.signal import butter, sosfiltfilt

from loquent.errors import InputError, PreparationError
from loquent.face import indices
from loquent.face.alignment import aligned_faces, mean_face

_DEPTH_TRUST: Final = 0.5
"""Depth counts by this factor: it is guessed from shading, not seen."""
POINTS: Final = (*indices.OUTER_LIPS, *indices.INNER_LIPS, *indices.JAW)
"""The 57 landmarks whose motion is described: both rings of the lips, chin and lower jaw."""


@dataclass(frozen=True)
class ExpressionBasis:
    """Principal mouth motions of one person, fitted on training frames only."""

    mean_face: Float[np.ndarray, "478 3"]
    """The face that every frame is laid over."""
    mean: Float[np.ndarray, "motions"]
    """Mean mouth shape, flattened."""
    components: Float[np.ndarray, "coefficients motions"]
    """Motion per unit of each coefficient; orthogonal, of falling length. The first opens the mouth when positive."""
    explained: Float[np.ndarray, "coefficients"]
    """Share of the training frames' variance that each coefficient explains."""
    drift_hz: float | None
    """Motion slower than this is taken out before, None: nothing is."""
    fps: float
    """Frame rate that `drift_hz` refers to."""

    @classmethod
    def fit(
        cls,
        points_px: Float[np.ndarray, "frames 478 3"],
        n_train: int,
        n_coefficients: int = 8,
        *,
        drift_hz: float | None = None,
        fps: float = 25.0,
    ) -> "ExpressionBasis":
        """Learn the basis from the first `n_train` frames; frames holding NaN are left out.

        Args:
            points_px: landmarks of :func:`loquent.face.landmarks.detect_all`.
            n_train: frames that may be looked at.
            n_coefficients: numbers per frame.
            drift_hz: take slower motion (posture, tracking) out, e.g. 0.2; None keeps it.
            fps: frames per second.

        Raises:
            PreparationError: fewer training frames with a face than coefficients + 1.
        """
        seen = np.isfinite(points_px[:n_train]).all(axis=(1, 2))
        if seen.sum() <= n_coefficients:
            raise PreparationError(
                f"{n_coefficients} mouth motions need at least {n_coefficients + 1} training frames with a face, "
                f"but there are {int(seen.sum())}. Use a longer video, or ask for fewer."
            )
        face = mean_face(points_px[:n_train][seen].astype(np.float64))
        motions = _mouth(points_px[:n_train], face, drift_hz, fps)[seen]
        mean = motions.mean(axis=0)
        _, strength, directions = np.linalg.svd(motions - mean, full_matrices=False)
        spread = strength / np.sqrt(len(motions))
        components = directions[:n_coefficients] * spread[:n_coefficients, None]
        opening = components.reshape(n_coefficients, len(POINTS), 3)[:, POINTS.index(indices.LOWER_LIP_INNER), 1]
        components *= np.where(opening < 0, -1.0, 1.0)[:, None]
        explained = spread[:n_coefficients] ** 2 / max(float((spread**2).sum()), 1e-30)
        return cls(face, mean, components, explained, drift_hz, fps)

    def coefficients(self, points_px: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames coefficients"]:
        """Mouth shape of each frame: mean 0 and variance 1 over the training frames; NaN on frames without landmarks."""
        motions = _mouth(points_px, self.mean_face, self.drift_hz, self.fps) - self.mean
        lengths = np.maximum((self.components**2).sum(axis=1), 1e-30)
        return np.asarray(motions @ self.components.T / lengths)

    def mouth(self, coefficients: Float[np.ndarray, "frames coefficients"]) -> Float[np.ndarray, "frames points 3"]:
        """Positions of :data:`POINTS` over the mean face, in units of the distance between the outer eye corners."""
        flat = self.mean + coefficients @ self.components
        shape = flat.reshape(len(coefficients), len(POINTS), 3)
        return np.asarray(shape / np.array([1.0, 1.0, _DEPTH_TRUST]))

    @property
    def points(self) -> Int[np.ndarray, "points"]:
        """Landmark numbers of what :meth:`mouth` returns."""
        return np.array(POINTS, dtype=np.int64)


def _mouth(points_px: np.ndarray, face: np.ndarray, drift_hz: float | None, fps: float) -> np.ndarray:
    """Mouth points laid over `face` and flattened, [F, 57 * 3]."""
    shapes = aligned_faces(points_px, face)[:, list(POINTS)] * np.array([1.0, 1.0, _DEPTH_TRUST])
    motions = shapes.reshape(len(points_px), -1)
    return motions if drift_hz is None else _without_drift(motions, drift_hz, fps)


def _without_drift(motions: np.ndarray, drift_hz: float, fps: float) -> np.ndarray:
    """High-pass each column without a shift in time, keeping its mean; gaps are bridged and stay NaN."""
    if not 0 < drift_hz < fps / 2:
        raise InputError(f"Drift must lie between 0 and {fps / 2:g} Hz (half of {fps:g} fps), not at {drift_hz:g} Hz.")
    seen = np.flatnonzero(np.isfinite(motions[:, 0]))
    filled = np.stack([np.interp(np.arange(len(motions)), seen, column[seen]) for column in motions.T], axis=1)
    padding = min(len(filled) - 1, int(2 * fps / drift_hz))
    fast = sosfiltfilt(butter(2, drift_hz, "highpass", fs=fps, output="sos"), filled, axis=0, padlen=padding)
    fast += filled.mean(axis=0)
    fast[~np.isfinite(motions[:, 0])] = np.nan
    return np.asarray(fast)


__all__ = ["POINTS", "ExpressionBasis"]
