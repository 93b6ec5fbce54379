"""Which pixels of the frames in memory a step looks at."""

import numpy as np
import pytest

from loquent.data.frame_store import EDGE, HEAD, FrameStore, Window
from loquent.data.sampling import FaceRegions, RegionMix, rectangles, sample_patch, sample_pixels
from loquent.testing import make_tiny_clip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    return FrameStore.load(make_tiny_clip(tmp_path_factory.mktemp("tiny"), n_frames=7, size=40), (0, 2, 3))


def regions(mouth: tuple[int, int, int, int], eye: tuple[int, int, int, int]) -> FaceRegions:
    return FaceRegions(np.array([mouth] * 3), np.array([[eye, eye]] * 3))


def test_rays_are_shared_out_as_told(store: FrameStore) -> None:
    mix = RegionMix(head=0.5, mouth=0.2, eyes=0.1, edge=0.1)
    mouth, eye = (22, 25, 18, 24), (15, 17, 14, 17)
    rows, columns = sample_pixels(store, 1, 1000, mix, regions(mouth, eye), np.random.default_rng(0))
    assert rows.size == columns.size == 1000
    in_mouth = (rows >= 22) & (rows < 25) & (columns >= 18) & (columns < 24)
    assert in_mouth[:200].all()
    labels = store.labels[1][rows - store.window.top, columns - store.window.left]
    assert (labels[300:800] & HEAD).all()
    assert (labels[800:900] & EDGE).all()
    assert not (labels[900:] & HEAD).all()


def test_rectangles_beside_the_window_get_no_rays_and_lose_none(store: FrameStore) -> None:
    mix = RegionMix(head=0.0, mouth=0.5, eyes=0.0, edge=0.0)
    rows, columns = sample_pixels(store, 0, 64, mix, regions((0, 1, 0, 1), (0, 1, 0, 1)), np.random.default_rng(0))
    assert rows.size == 64
    assert (rows >= store.window.top).all()
    assert (columns < store.window.right).all()


def test_head_pixels_are_drawn_evenly(store: FrameStore) -> None:
    mix = RegionMix(head=1.0, mouth=0.0, eyes=0.0, edge=0.0)
    rows, columns = sample_pixels(store, 0, 60_000, mix, regions((0, 1, 0, 1), (0, 1, 0, 1)), np.random.default_rng(1))
    counts = np.zeros(store.window.shape)
    np.add.at(counts, (rows - store.window.top, columns - store.window.left), 1)
    head = (store.labels[0] & HEAD) > 0
    assert counts[~head].sum() == 0
    expected = 60_000 / head.sum()
    assert np.abs(counts[head] - expected).max() < 6 * np.sqrt(expected)


@pytest.mark.parametrize("box", [(0, 3, 0, 3), (38, 40, 38, 40), (20, 21, 20, 21), (25, 25, 10, 10)])
def test_patches_stay_inside_the_window(box: tuple[int, int, int, int]) -> None:
    window = Window(top=4, bottom=36, left=2, right=38)
    rows, columns = sample_patch(np.array(box), window, 8, np.random.default_rng(2))
    assert rows.reshape(8, 8)[:, 0].tolist() == list(range(rows[0], rows[0] + 8))
    assert columns.reshape(8, 8)[0].tolist() == list(range(columns[0], columns[0] + 8))
    assert rows.min() >= 4
    assert rows.max() < 36
    assert columns.min() >= 2
    assert columns.max() < 38


def test_rectangles_contain_their_points_and_stay_in_the_picture() -> None:
    points = np.array([[[3.2, 5.9], [10.0, 7.5]], [[-4.0, 30.0], [45.0, 50.0]]])
    plain = rectangles(points, 0.0, 40, 48)
    assert plain.tolist() == [[5, 9, 3, 11], [30, 40, 0, 46]]
