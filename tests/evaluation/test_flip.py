"""FLIP against numbers of the authors' own program (flip-evaluator 1.7, LDR, its default observer)."""

import numpy as np
import pytest

from loquent.evaluation.flip import flip, flip_map


def pictures(height: int, width: int, noise: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(noise)
    blocks = random.integers(0, 256, (height // 6 + 1, width // 5 + 1, 3))
    truth = np.kron(blocks, np.ones((6, 5, 1)))[:height, :width].astype(np.uint8)
    return (truth + random.normal(0, noise, truth.shape)).clip(0, 255).astype(np.uint8), truth


@pytest.mark.parametrize(
    ("height", "width", "noise", "wanted"),
    [(37, 53, 5, 0.0577752), (37, 53, 60, 0.3773918), (64, 80, 20, 0.1543692)],
)
def test_flip_is_that_of_the_authors(height: int, width: int, noise: int, wanted: float) -> None:
    assert flip(*pictures(height, width, noise)) == pytest.approx(wanted, abs=2e-5)


def test_equal_pictures_do_not_flicker_and_green_against_blue_does_most() -> None:
    green, blue = (np.full((20, 23, 3), colour, np.uint8) for colour in ((0, 255, 0), (0, 0, 255)))
    assert flip(green, green) == 0
    np.testing.assert_allclose(flip_map(green, green), 0, atol=1e-9)
    assert flip(green, blue) == pytest.approx(1, abs=1e-3)
