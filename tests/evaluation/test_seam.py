"""The seam: steps at the border of head and torso cost, the same step elsewhere or on both sides does not."""

import math

import numpy as np
import pytest

from loquent.evaluation.seam import seam_band, seam_error

HEIGHT, WIDTH, BORDER = 60, 47, 30


@pytest.fixture
def mattes() -> tuple[np.ndarray, np.ndarray]:
    head = np.zeros((HEIGHT, WIDTH))
    head[:BORDER, 10:30] = 1
    torso = np.zeros((HEIGHT, WIDTH))
    torso[BORDER:, 5:40] = 1
    return head, torso


def test_the_band_is_what_is_near_both(mattes: tuple[np.ndarray, np.ndarray]) -> None:
    band = seam_band(*mattes)
    near = np.zeros_like(band)
    for row in range(HEIGHT):
        for column in range(WIDTH):
            around = [(row, column), (row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            inside = [place for place in around if 0 <= place[0] < HEIGHT and 0 <= place[1] < WIDTH]
            near[row, column] = all(any(matte[place] for place in inside) for matte in mattes)
    np.testing.assert_array_equal(band, near)  # at this height the reach is one pixel


def test_a_step_at_the_border_costs_its_height_over_the_band(mattes: tuple[np.ndarray, np.ndarray]) -> None:
    band = seam_band(*mattes)
    truth = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    ours = truth.copy()
    ours[BORDER:] += 12
    wanted = 12 * band[BORDER - 1].sum() / band.sum()
    assert seam_error(ours, truth, band) == pytest.approx(wanted)


def test_an_even_error_and_a_far_step_cost_nothing(mattes: tuple[np.ndarray, np.ndarray]) -> None:
    band = seam_band(*mattes)
    truth = np.random.default_rng(0).integers(0, 200, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert seam_error(truth + np.uint8(40), truth, band) == 0
    far = truth.copy()
    far[: BORDER - 10] += 50
    assert seam_error(far, truth, band) == 0


def test_without_a_border_there_is_no_figure(mattes: tuple[np.ndarray, np.ndarray]) -> None:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert math.isnan(seam_error(picture, picture, seam_band(mattes[0], np.zeros_like(mattes[1]))))
