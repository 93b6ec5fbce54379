"""SSIM against skimage with the settings of the SSIM paper."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from loquent.evaluation.ssim import ssim


@pytest.mark.parametrize("noise", [2, 30])
def test_ssim_is_that_of_skimage(noise: int) -> None:
    random = np.random.default_rng(noise)
    truth = np.kron(random.integers(0, 256, (9, 7, 3)), np.ones((6, 7, 1))).astype(np.uint8)
    ours = (truth + random.normal(0, noise, truth.shape)).clip(0, 255).astype(np.uint8)
    wanted = structural_similarity(
        truth, ours, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(ours, truth) == pytest.approx(wanted, abs=1e-4)


def test_equal_pictures_are_entirely_alike() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    assert ssim(picture, picture) == 1
