"""Structural similarity of two pictures."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

SIGMA_PX, RADIUS_PX = 1.5, 5


def ssim(rendered: UInt8[np.ndarray, "height width 3"], truth: UInt8[np.ndarray, "height width 3"]) -> float:
    """SSIM (Wang et al. 2004): Gaussian windows of 11 pixels with sigma 1.5, mean over pixels and channels; 1 = equal.

    Only windows that lie inside the picture count, so pictures must have at least 11 rows and columns;
    torchmetrics' own mean also counts windows over mirrored borders.
    """
    if np.array_equal(rendered, truth):
        return 1.0  # not only up to the rounding of variances in flat areas
    _, each_pixel = structural_similarity_index_measure(
        _batch(rendered), _batch(truth), sigma=SIGMA_PX, data_range=1.0, return_full_image=True
    )
    assert isinstance(each_pixel, Tensor)
    return float(each_pixel[..., RADIUS_PX:-RADIUS_PX, RADIUS_PX:-RADIUS_PX].mean())


def _batch(picture: UInt8[np.ndarray, "height width 3"]) -> Tensor:
    return torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
