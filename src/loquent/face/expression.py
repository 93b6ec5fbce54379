"""Lip and jaw shape in a few numbers, with the head's motion taken out.

The first number is how far the lips are open, since that is what speech moves most and what is scored; the others are the
principal components of the motion that opening does not explain. All are uncorrelated over the training frames.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter1d

from loquent.errors import PreparationError
from loquent.face import indices
from loquent.face.alignment import aligned_faces, mean_face

_DEPTH_TRUST: Final = 0.5
"""Depth counts by this factor: it is guessed from shading, not seen."""
DRIFT_S: Final = 1.0
"""Standard deviation of the smoothing whose result counts as posture or tracking drift, which no sound explains."""
N_COEFFICIENTS: Final = 8
"""Numbers per frame in a clip."""
POINTS: Final = (*indices.OUTER_LIPS, *indices.INNER_LIPS, *indices.JAW)
"""The 57 landmarks whose motion is described: both rings of the lips, chin and lower jaw."""


def _gap_between_lips() -> np.ndarray:
    """What multiplies flattened mouth points to give the height of the gap between the inner lips' middles."""
    weights = np.zeros((len(POINTS), 3))
    weights[POINTS.index(indices.LOWER_LIP_INNER), 1] = 1.0
    weights[POINTS.index(indices.UPPER_LIP_INNER), 1] = -1.0
    return weights.ravel()


_GAP: Final = _gap_between_lips()


@dataclass(frozen=True)
class ExpressionBasis:
    """Principal mouth motions of one person, fitted on training frames only."""

    mean_face: Float[np.ndarray, "478 3"]
    """The face that every frame is laid over."""
    mean: Float[np.ndarray, "motions"]
    """Mean mouth shape, flattened."""
    components: Float[np.ndarray, "coefficients motions"]
    """Motion per unit of each coefficient."""
    opening_spread: float
    """Standard deviation of the lip opening over the training frames, in distances between the outer eye corners."""

    @classmethod
    def fit(
        cls,
        points_px: Float[np.ndarray, "frames 478 3"],
        n_train: int,
        n_coefficients: int = N_COEFFICIENTS,
    ) -> "ExpressionBasis":
        """Learn the basis from the first `n_train` frames; frames holding NaN are left out.

        Args:
            points_px: landmarks of :func:`loquent.face.landmarks.detect_all`.
            n_train: frames that may be looked at.
            n_coefficients: numbers per frame.

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
        motions = _mouth(points_px[:n_train], face)[seen]
        mean = motions.mean(axis=0)
        motions -= mean
        opening = motions @ _GAP
        opening_spread = max(float(opening.std()), 1e-9)
        by_opening = (opening / opening_spread) @ motions / len(motions)  # regression of the motion on the opening
        rest = motions - np.outer(opening / opening_spread, by_opening)
        _, strength, directions = np.linalg.svd(rest, full_matrices=False)
        spread = strength[: n_coefficients - 1] / np.sqrt(len(motions))
        components = np.vstack([by_opening, directions[: n_coefficients - 1] * spread[:, None]])
        largest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
        components[1:] *= np.sign(largest[1:])  # else a sign would depend on the linear algebra library
        return cls(face, mean, components, opening_spread)

    def coefficients(self, points_px: Float[np.ndarray, "frames 478 3"]) -> Float[np.ndarray, "frames coefficients"]:
        """Mouth shape of each frame: mean 0 and variance 1 over the training frames; NaN on frames without landmarks."""
        motions = _mouth(points_px, self.mean_face) - self.mean
        opening = motions @ _GAP / self.opening_spread
        rest = motions - np.outer(opening, self.components[0])
        lengths = np.maximum((self.components[1:] ** 2).sum(axis=1), 1e-30)
        return np.column_stack([opening, rest @ self.components[1:].T / lengths])


def detrend_shape(
    expression: Float[np.ndarray, "frames coefficients"], frame_ids: Int[np.ndarray, "frames"], fps: float
) -> Float[np.ndarray, "frames coefficients"]:
    """Coefficients as a head is moved by them, in standard deviations on the training frames: the first, the opening, as it
    was tracked, because it must match the picture; the others without drift.

    `frame_ids` as for :func:`detrend`. Drift goes with posture: a head that is told of it learns which mouth belongs to
    which pose, and no sound will ever say it.
    """
    return np.column_stack([expression[:, :1], detrend(expression[:, 1:], frame_ids, fps)])


def detrend(
    signal: Float[np.ndarray, "frames *values"], frame_ids: Int[np.ndarray, "frames"], fps: float
) -> Float[np.ndarray, "frames *values"]:
    """A signal less its smoothed self: what is left is too fast for posture. For what trains; curves that are compared with
    one another are cut more steeply (`loquent.face.lips.high_pass`).

    `frame_ids` are the frames' places on the timeline, ascending; those that were dropped do not count in the smoothing.
    """
    places = frame_ids - frame_ids[0]
    timeline, is_known = np.zeros((places[-1] + 1, *signal.shape[1:])), np.zeros(places[-1] + 1)
    timeline[places], is_known[places] = signal, 1
    smooth, weight = (
        gaussian_filter1d(values, DRIFT_S * fps, axis=0, mode="nearest")[places] for values in (timeline, is_known)
    )
    return np.asarray(signal - smooth / weight.reshape(-1, *[1] * (signal.ndim - 1)))


def _mouth(points_px: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Mouth points laid over `face` and flattened, [F, 57 * 3]."""
    shapes = aligned_faces(points_px, face)[:, list(POINTS)] * np.array([1.0, 1.0, _DEPTH_TRUST])
    return np.asarray(shapes.reshape(len(points_px), -1))


__all__ = ["POINTS", "ExpressionBasis", "detrend", "detrend_shape"]
