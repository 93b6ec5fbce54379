"""What is measured of lips in a row: opening and width are curves of their own."""

import numpy as np
import pytest

from loquent.evaluation.scores import Measured, PictureScores, Timeline, summarise
from loquent.face.landmarks import LandmarkTrack

N_FRAMES = 60
EYES_PX = 100.0


def faces(opening: np.ndarray, width: np.ndarray) -> Measured:
    """Faces whose lips are `opening` and `width` eye distances apart and wide."""
    points = np.zeros((N_FRAMES, 478, 3), np.float32)
    points[:, 263, 0] = EYES_PX
    points[:, 14, 1] = opening * EYES_PX
    points[:, 291, 0] = width * EYES_PX
    return Measured(PictureScores(), LandmarkTrack(points, np.ones(N_FRAMES, int), None))


def test_opening_and_width_are_compared_each_with_its_own() -> None:
    time = np.arange(N_FRAMES) / 25
    fast, slow = np.sin(2 * np.pi * 3.1 * time), np.sin(2 * np.pi * 2.3 * time + 1)
    timeline = Timeline(np.arange(N_FRAMES), 25.0, np.zeros(N_FRAMES, bool))
    real = faces(0.2 + 0.1 * fast, 0.6 + 0.1 * slow)
    row = summarise("opposite width", faces(0.2 + 0.1 * fast, 0.6 - 0.03 * slow), real, timeline, [])
    assert row.lips is not None
    assert row.lips.correlation == pytest.approx(1, abs=1e-4)
    assert row.width_correlation == pytest.approx(-1, abs=1e-4)
    mixed = summarise("mixed", faces(0.2 + 0.1 * fast, 0.6 + 0.1 * (slow + fast)), real, timeline, [])
    assert mixed.width_correlation == pytest.approx(np.sqrt(0.5), abs=0.05)
