"""Layers over plates, against numbers worked by hand."""

import numpy as np
import pytest

from loquent.media.compositing import laid_over


def test_alpha_is_the_share_of_what_lies_above() -> None:
    over, under = np.full((2, 3, 3), 255, np.uint8), np.zeros((2, 3, 3), np.uint8)
    under[..., 1] = 102
    alpha = np.array([[0, 51, 255], [0, 51, 255]], np.uint8)[..., None]
    seen = laid_over(over, under, alpha)
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen[0], [[0, 0.4, 0], [0.2, 0.52, 0.2], [1, 1, 1]], atol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_its_arguments_stay_as_they_are(kind: type) -> None:
    over, under = np.full((1, 1, 3), 200, kind), np.full((1, 1, 3), 100, kind)
    laid_over(over, under, np.full((1, 1, 1), 128, np.uint8))
    assert over.max() == 200
    assert under.min() == 100
