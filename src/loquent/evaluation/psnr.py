"""Peak signal-to-noise ratio: of a whole picture, under a matte, and inside a rectangle. In dB; infinite for equal pictures."""

import math

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8


def psnr(rendered: UInt8[np.ndarray, "height width 3"], truth: UInt8[np.ndarray, "height width 3"]) -> float:
    """-10 log10 of the mean squared error of all pixels and channels, colours in [0, 1] (SPEC 5.1)."""
    squared_error = cv2.norm(rendered, truth, cv2.NORM_L2SQR)
    return 10 * math.log10(255**2 * truth.size / squared_error) if squared_error > 0 else math.inf


def matte_psnr(
    rendered: UInt8[np.ndarray, "height width 3"],
    truth: UInt8[np.ndarray, "height width 3"],
    matte: Float[np.ndarray, "height width"],
) -> float:
    """The same with every pixel's squared error weighted by a soft matte in [0, 1]; NaN under an empty matte."""
    total = float(matte.sum(dtype=np.float64))
    if total == 0:
        return math.nan
    error = np.square(rendered.astype(np.float64) - truth).mean(axis=-1)
    mean = float((error * matte).sum()) / total
    return 10 * math.log10(255**2 / mean) if mean > 0 else math.inf


def box_psnr(
    rendered: UInt8[np.ndarray, "height width 3"],
    truth: UInt8[np.ndarray, "height width 3"],
    box: Int[np.ndarray, "4"],
) -> float:
    """PSNR inside the rectangle (top, bottom, left, right), half open; NaN when it holds no pixel."""
    top, bottom, left, right = box
    if bottom <= top or right <= left:
        return math.nan
    return psnr(rendered[top:bottom, left:right], truth[top:bottom, left:right])
