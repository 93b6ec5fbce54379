"""PSNR against skimage, loops and numbers worked by hand."""

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from loquent.evaluation.psnr import box_psnr, matte_psnr, psnr

Pictures = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def pictures() -> Pictures:
    random = np.random.default_rng(0)
    truth = random.integers(0, 256, (37, 53, 3), dtype=np.uint8)
    return (truth + random.normal(0, 9, truth.shape)).clip(0, 255).astype(np.uint8), truth


def test_psnr_is_that_of_skimage(pictures: Pictures) -> None:
    ours, truth = pictures
    assert psnr(ours, truth) == pytest.approx(peak_signal_noise_ratio(truth, ours), abs=1e-5)


def test_equal_pictures_have_no_noise_at_all(pictures: Pictures) -> None:
    _, truth = pictures
    assert psnr(truth, truth) == math.inf
    assert matte_psnr(truth, truth, np.ones(truth.shape[:2])) == math.inf


def test_an_error_of_one_step_everywhere_is_48_db() -> None:
    truth = np.full((4, 5, 3), 100, np.uint8)
    assert psnr(truth + np.uint8(1), truth) == pytest.approx(20 * math.log10(255))


def test_matte_weights_the_squared_error() -> None:
    truth = np.zeros((2, 2, 3), np.uint8)
    ours = truth.copy()
    ours[0, 0], ours[0, 1], ours[1, 1] = (30, 0, 0), (0, 6, 6), (255, 255, 255)
    matte = np.array([[0.5, 1.0], [0.0, 0.0]])  # the worst pixel does not count
    mean = (0.5 * 900 / 3 + 1.0 * 72 / 3) / 1.5
    assert matte_psnr(ours, truth, matte) == pytest.approx(10 * math.log10(255**2 / mean))


def test_a_full_matte_is_the_whole_picture_and_an_empty_one_nothing(pictures: Pictures) -> None:
    ours, truth = pictures
    assert matte_psnr(ours, truth, np.ones(truth.shape[:2])) == pytest.approx(psnr(ours, truth))
    assert math.isnan(matte_psnr(ours, truth, np.zeros(truth.shape[:2])))


def test_box_is_half_open_rows_then_columns(pictures: Pictures) -> None:
    ours, truth = pictures
    wanted = peak_signal_noise_ratio(truth[3:20, 7:50], ours[3:20, 7:50])
    assert box_psnr(ours, truth, np.array([3, 20, 7, 50])) == pytest.approx(wanted, abs=1e-5)
    assert math.isnan(box_psnr(ours, truth, np.array([3, 3, 7, 50])))
