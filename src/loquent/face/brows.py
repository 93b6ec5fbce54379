"""How high the eyebrows are drawn: after blinks and speech what moves most in a face, and what no sound tells."""

from typing import Final

import numpy as np
from jaxtyping import Float

from loquent.errors import PreparationError
from loquent.face import indices
from loquent.face.alignment import aligned_faces, mean_face

_RANGE: Final = (1.0, 99.0)
"""Percentiles of the training frames' heights that count as lowest and highest."""


def brow_height(points_px: Float[np.ndarray, "frames 478 3"], n_train: int) -> Float[np.ndarray, "frames"]:
    """How high both brows are: 0 = as low, 1 = as high as in the first `n_train` frames; NaN on frames without landmarks.

    Each frame is laid over the training frames' mean face with its rigid points, so nodding does not count.

    Raises:
        PreparationError: no training frame has landmarks.
    """
    seen = np.isfinite(points_px[:n_train]).all(axis=(1, 2))
    if not seen.any():
        raise PreparationError(
            "No training frame shows a face, so brows cannot be measured. Check that the video shows one person."
        )
    faces = aligned_faces(points_px, mean_face(points_px[:n_train][seen].astype(np.float64)))
    height = -faces[:, [*indices.RIGHT_BROW, *indices.LEFT_BROW], 1].mean(axis=1)
    low, high = np.nanpercentile(height[:n_train], _RANGE)
    return np.asarray(np.clip((height - low) / max(high - low, 1e-9), 0, 1))


__all__ = ["brow_height"]
