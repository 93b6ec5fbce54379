"""Smooth in-painting: unknown pixels become the soap film stretched between the known ones.

The film (the solution of Laplace's equation) has no streaks, no seams at the border of the hole, and no new extremes. It is
found from coarse to fine: averages of known pixels are pushed down a pyramid, pulled up again, and relaxed at every size.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float

_RELAXATIONS = 12
"""Sweeps per pyramid level; the start from the coarser level is already close, so more changes nothing visible."""


def fill_smoothly(
    image: Float[np.ndarray, "height width channels"], known: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width channels"]:
    """Return `image` (float32) with every pixel outside `known` replaced by a smooth film; known pixels are unchanged.

    Where nothing at all is known, the result is 0. Values stay within the range of the known ones.
    """
    height, width = known.shape
    if known.all():
        return image.astype(np.float32)
    weight = known.astype(np.float32)
    values = image.astype(np.float32) * weight[..., None]
    if height <= 2 and width <= 2:
        mean = values.sum((0, 1)) / max(float(weight.sum()), 1.0)
        return np.where(known[..., None], values, mean.astype(np.float32))
    half_weight = _halve(weight)
    half_known = half_weight > 0
    half_values = _halve(values) / np.where(half_known, half_weight, 1.0)[..., None]
    coarse = fill_smoothly(half_values, half_known)
    film = _like(values, cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR))
    film = np.where(known[..., None], values, film)
    for _ in range(_RELAXATIONS):
        film = np.where(known[..., None], values, _like(values, cv2.filter2D(film, -1, _NEIGHBOURS)))
    return film


_NEIGHBOURS = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32) / 12


def _halve(image: np.ndarray) -> np.ndarray:
    """Mean over blocks of 2 x 2; an odd border counts its last row or column once, with weight 0 beyond it."""
    height, width = image.shape[:2]
    padding = [(0, height % 2), (0, width % 2)] + [(0, 0)] * (image.ndim - 2)
    even = np.pad(image, padding)
    return np.asarray((even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]) / 4, np.float32)


def _like(reference: np.ndarray, image: np.ndarray) -> np.ndarray:
    """OpenCV drops a single channel; put it back."""
    return image.reshape(reference.shape)
