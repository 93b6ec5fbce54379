"""Structural similarity of two pictures."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

SIGMA_PX, RADIUS_PX = 1.5, 5
_STABILISERS = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(rendered: UInt8[np.ndarray, "height width 3"], truth: UInt8[np.ndarray, "height width 3"]) -> float:
    """SSIM (Wang et al. 2004): Gaussian windows of 11 pixels with sigma 1.5, mean over pixels and channels; 1 = equal.

    Only windows that lie inside the picture count, so pictures must have at least 11 rows and columns.
    """
    if np.array_equal(rendered, truth):
        return 1.0  # not only up to the rounding of variances in flat areas
    ours, theirs = rendered.astype(np.float64), truth.astype(np.float64)
    our_mean, their_mean = _windowed(ours), _windowed(theirs)
    products, squares = our_mean * their_mean, our_mean**2 + their_mean**2
    covariance = _windowed(ours * theirs) - products
    variances = _windowed(ours**2 + theirs**2) - squares
    by_mean, by_spread = _STABILISERS
    alike = (2 * products + by_mean) * (2 * covariance + by_spread)
    return float(np.mean(alike / ((squares + by_mean) * (variances + by_spread))))


def _windowed(picture: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "rows columns 3"]:
    """The mean under each window that lies inside the picture."""
    window = cv2.getGaussianKernel(2 * RADIUS_PX + 1, SIGMA_PX)
    return np.asarray(cv2.sepFilter2D(picture, -1, window, window)[RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX])
