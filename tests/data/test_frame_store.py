"""Frames in memory."""

from pathlib import Path

import numpy as np
import pytest

from loquent.data.clip import Clip
from loquent.data.frame_store import FrameStore, spread_frames
from loquent.testing import make_tiny_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return make_tiny_clip(tmp_path_factory.mktemp("tiny"), n_frames=7, size=40)


@pytest.fixture(scope="module")
def store(clip: Clip) -> FrameStore:
    return FrameStore.load(clip, (0, 2, 3))


def test_the_store_holds_the_pictures_of_its_frames(clip: Clip, store: FrameStore) -> None:
    window = store.window
    rows, columns = slice(window.top, window.bottom), slice(window.left, window.right)
    for k, i in enumerate((0, 2, 3)):
        assert np.abs(store.target[k] / 255 - clip.target(i)[rows, columns]).max() <= 0.5 / 255 + 1e-6
        assert np.abs(store.behind[k] / 255 - clip.torso_over_background(i)[rows, columns]).max() <= 0.5 / 255 + 1e-6
        assert np.array_equal(store.head[k], clip.matte(i)[rows, columns, 0])


def test_the_window_contains_every_head(clip: Clip, store: FrameStore) -> None:
    outside = np.ones((40, 40), bool)
    outside[store.window.top : store.window.bottom, store.window.left : store.window.right] = False
    assert not any((clip.matte(i)[..., 0] > 8)[outside].any() for i in (0, 2, 3))


def test_frames_are_spread_evenly() -> None:
    assert spread_frames(range(5), 10) == (0, 1, 2, 3, 4)
    assert spread_frames(range(10, 110), 3) == (10, 60, 109)


def test_a_missing_picture_is_named(clip: Clip, tmp_path: Path) -> None:
    broken = make_tiny_clip(tmp_path / "broken", n_frames=3)
    (tmp_path / "broken" / "frames" / "000001.jpg").unlink()
    with pytest.raises(ValueError, match=r"000001\.jpg"):
        FrameStore.load(broken, (0, 1, 2))
