"""The segmenter runs on odd sizes, stays quiet, forgets each picture, and finds a person where one is."""

import numpy as np
import pytest

from loquent.errors import InputError
from loquent.face.segmentation import PersonSegmenter


def test_matte_has_the_pictures_size_and_range_and_nothing_is_printed(capfd):
    rng = np.random.default_rng(0)
    with PersonSegmenter() as segmenter:
        for height, width in ((65, 47), (90, 161), (1, 1)):
            matte = segmenter.matte(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
            assert matte.shape == (height, width)
            assert matte.dtype == np.float32
            assert 0 <= matte.min() <= matte.max() <= 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


def test_a_matte_does_not_depend_on_the_picture_before():
    rng = np.random.default_rng(1)
    image, other = rng.integers(0, 256, (2, 120, 100, 3), dtype=np.uint8)
    with PersonSegmenter() as segmenter:
        first = segmenter.matte(image)
        segmenter.matte(other)
        np.testing.assert_array_equal(segmenter.matte(image), first)


def test_an_empty_picture_is_refused():
    with PersonSegmenter() as segmenter, pytest.raises(InputError, match="0 x 12 pixels"):
        segmenter.matte(np.zeros((12, 0, 3), np.uint8))
