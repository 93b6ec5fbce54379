"""Jitter of what stands still: how much pixels change from frame to frame where the real ones do not."""

import math

import cv2
import numpy as np
from jaxtyping import UInt8

STILL_LEVELS = 2
"""A pixel stands still when no channel of the real one changes by more than this many of 255 levels."""


def jitter(
    rendered_before: UInt8[np.ndarray, "height width 3"],
    rendered: UInt8[np.ndarray, "height width 3"],
    truth_before: UInt8[np.ndarray, "height width 3"],
    truth: UInt8[np.ndarray, "height width 3"],
) -> float:
    """Mean change in levels (0 to 255) of the rendered pixels that stand still in truth; NaN when all of them move.

    The truth's own figure is what noise and compression leave.
    """
    is_still = np.asarray(cv2.absdiff(truth, truth_before) <= STILL_LEVELS).all(axis=-1)
    if not is_still.any():
        return math.nan
    return float(np.asarray(cv2.absdiff(rendered, rendered_before))[is_still].mean())
