"""The film agrees with a direct solution of Laplace's equation and never leaves the range of what is known."""

import numpy as np
import pytest
from scipy.sparse import lil_matrix
from scipy.sparse.linalg import spsolve

from loquent.prepare.filling import fill_smoothly


def _solve_laplace(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """One equation per pixel: a known one keeps its value, another is the mean of its neighbours."""
    height, width = known.shape
    system = lil_matrix((height * width, height * width))
    for row in range(height):
        for column in range(width):
            here = row * width + column
            if known[row, column]:
                system[here, here] = 1
                continue
            neighbours = [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
            inside = [(r, c) for r, c in neighbours if 0 <= r < height and 0 <= c < width]
            system[here, here] = len(inside)
            for r, c in inside:
                system[here, r * width + c] = -1
    right_side = np.where(known[..., None], image, 0).reshape(height * width, -1)
    return spsolve(system.tocsr(), right_side).reshape(image.shape)


@pytest.mark.parametrize(("height", "width"), [(31, 22), (24, 37)])
def test_film_is_close_to_the_solution_of_laplaces_equation(height, width):
    row, column = np.mgrid[:height, :width].astype(np.float32)
    image = np.stack([100 + 3 * row, 80 + column * 2, 128 + 60 * np.sin(row / 6)], axis=-1).astype(np.float32)
    known = np.hypot(row - height / 2, column - width / 2) > 8
    film = fill_smoothly(image, known)
    np.testing.assert_array_equal(film[known], image[known])
    assert np.abs(film - _solve_laplace(image, known)).max() < 6
    assert np.abs(np.diff(film, axis=0)).max() < 20


def test_values_stay_within_the_known_range_even_for_noise():
    rng = np.random.default_rng(0)
    image = rng.uniform(10, 200, (41, 53, 1)).astype(np.float32)
    known = rng.random((41, 53)) < 0.05
    film = fill_smoothly(image, known)
    assert film.shape == image.shape
    assert np.isfinite(film).all()
    assert film.min() >= image[known].min() - 1e-3
    assert film.max() <= image[known].max() + 1e-3


def test_one_known_pixel_fills_everything_and_none_gives_zero():
    image = np.full((17, 9, 3), 77, np.float32)
    known = np.zeros((17, 9), bool)
    assert (fill_smoothly(image, known) == 0).all()
    known[16, 8] = True
    np.testing.assert_allclose(fill_smoothly(image, known), 77, rtol=1e-5)
    assert (fill_smoothly(image, np.ones((17, 9), bool)) == image).all()
