"""Eye closure and blinks against faces whose lids are known."""

import itertools

import numpy as np
import pytest
from synthetic_face import look_at, make_face, with_lids

from loquent.errors import PreparationError
from loquent.face.blink import eye_closure, find_blinks, lid_gaps

OPEN = 0.04


def blinking(n_frames: int, at: list[int], width: float = 1.5) -> np.ndarray:
    """True closure: smooth bumps at the given frames."""
    frames = np.arange(n_frames)
    return np.clip(sum(np.exp(-(((frames - centre) / width) ** 2)) for centre in at), 0, 1)


def test_eye_closure_follows_the_lids_whatever_the_pose() -> None:
    truth = blinking(200, [30, 75, 140, 171])
    gaps = OPEN * (1 - 0.8 * truth)
    seen = look_at(np.stack([with_lids(make_face(0), gap) for gap in gaps]), seed=1, spread_deg=10, noise_px=0.2)
    closed = eye_closure(seen.points_px)
    assert closed.shape == (200, 2)
    assert closed.min() >= 0
    assert closed.max() <= 1
    for eye in closed.T:
        assert np.corrcoef(eye, truth)[0, 1] > 0.95
        assert eye[[30, 75, 140, 171]].min() > 0.75
    assert len(find_blinks(closed, 25.0)) == 4


def test_gaps_are_in_eye_widths() -> None:
    seen = look_at(np.stack([with_lids(make_face(0), OPEN)] * 5), seed=2, spread_deg=6)
    width = np.hypot(0.11, 0.04)
    np.testing.assert_allclose(lid_gaps(seen.points_px), OPEN / width, rtol=0.1)


def test_blendshapes_count_half() -> None:
    truth = blinking(120, [40, 80])
    seen = look_at(np.stack([with_lids(make_face(0), OPEN * (1 - 0.8 * one)) for one in truth]), seed=3)
    shapes = np.zeros((120, 52))
    shapes[:, 10] = truth  # the person's right eye only
    closed, by_lids = eye_closure(seen.points_px, shapes), eye_closure(seen.points_px)
    np.testing.assert_allclose(closed[:, 0], (by_lids[:, 0] + truth) / 2, atol=0.02)
    np.testing.assert_allclose(closed[:, 1], by_lids[:, 1] / 2, atol=0.02)


def test_frames_without_a_face_are_nan_and_bridged() -> None:
    truth = blinking(100, [50])
    seen = look_at(np.stack([with_lids(make_face(0), OPEN * (1 - 0.8 * one)) for one in truth]), seed=4)
    seen.points_px[[10, 49]] = np.nan
    closed = eye_closure(seen.points_px)
    assert np.isnan(closed[[10, 49]]).all()
    assert np.isfinite(np.delete(closed, [10, 49], axis=0)).all()
    assert len(find_blinks(closed, 25.0)) == 1


def test_no_face_at_all_is_refused() -> None:
    with pytest.raises(PreparationError, match="No frame shows a face"):
        eye_closure(np.full((7, 478, 3), np.nan))


def test_intervals_hold_the_blink_and_nothing_else() -> None:
    truth = blinking(150, [3, 60, 64, 146])
    intervals = find_blinks(truth, 25.0)
    assert len(intervals) == 4
    assert all(first < end for first, end in intervals)
    assert all(end <= following for (_, end), (following, _) in itertools.pairwise(intervals))
    for (first, end), centre in zip(intervals, [3, 60, 64, 146], strict=True):
        assert first <= centre < end
        assert end - first <= 5


def test_looking_down_and_drift_are_no_blinks() -> None:
    closed = 0.3 * np.sin(np.arange(300) / 60) + 0.3
    closed[100:160] = 0.9
    assert find_blinks(closed, 25.0) == []
    assert find_blinks(np.full(30, np.nan), 25.0) == []
    assert find_blinks(np.zeros(1), 25.0) == []
