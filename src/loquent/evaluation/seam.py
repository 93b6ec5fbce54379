"""The seam between head and torso: an edge that the real picture does not have."""

import math

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

REACH = 3 / 450
"""How far from the border the seam is looked for, as a share of the picture's height."""


def seam_band(
    head: Float[np.ndarray, "height width"], torso: Float[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """Pixels near both head and torso, by their mattes in [0, 1]."""
    radius = max(1, round(REACH * head.shape[0]))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    near_head, near_torso = (cv2.dilate((matte >= 0.5).astype(np.uint8), disc) for matte in (head, torso))
    return np.asarray(np.minimum(near_head, near_torso) > 0)


def seam_error(
    rendered: UInt8[np.ndarray, "height width 3"],
    truth: UInt8[np.ndarray, "height width 3"],
    band: Bool[np.ndarray, "height width"],
) -> float:
    """Mean length of the difference between both pictures' gradients in the band, in levels (0 to 255) per pixel.

    A colour that is off on both sides alike costs nothing; a step at the border does. NaN when the band is empty.
    """
    if not band.any():
        return math.nan
    error = rendered.astype(np.float32) - truth
    across = np.diff(error, axis=1, append=error[:, -1:])
    down = np.diff(error, axis=0, append=error[-1:])
    return float(np.hypot(across, down)[band].mean())
