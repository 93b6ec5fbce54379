"""Structural similarity of two pictures."""

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure


def ssim(rendered: UInt8[np.ndarray, "height width 3"], truth: UInt8[np.ndarray, "height width 3"]) -> float:
    """SSIM (Wang et al. 2004): Gaussian windows of 11 pixels with sigma 1.5, mean over pixels and channels; 1 = equal.

    Pictures must have at least 11 rows and columns.
    """
    value = structural_similarity_index_measure(_batch(rendered), _batch(truth), data_range=1.0)
    assert isinstance(value, Tensor)
    return float(value)


def _batch(picture: UInt8[np.ndarray, "height width 3"]) -> Tensor:
    return torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
