"""The curve of the lips on the sheet of another voice."""

import numpy as np
import pytest

from loquent.evaluation.phone_sheet import _CURVE_FRAMES, _CURVE_INK, draw_moments
from loquent.evaluation.sheet import LABEL_PX
from loquent.media.rates import FPS


@pytest.mark.parametrize(("n_frames", "n_lines", "reached"), [(60, 1, 1.0), (_CURVE_FRAMES, 1, 1.0), (500, 2, 1 / 3)])
def test_the_curve_fills_its_lines(n_frames: int, n_lines: int, reached: float) -> None:
    sheet = draw_moments([], np.linspace(0, 1, n_frames), [], FPS)
    lines = np.split(sheet, n_lines)
    inked = np.flatnonzero((np.abs(lines[-1].astype(int) - _CURVE_INK).max(axis=2) < 40).any(axis=0))
    across = sheet.shape[1] - LABEL_PX
    assert inked[0] >= 0
    assert inked[-1] == pytest.approx(LABEL_PX + reached * across, abs=0.02 * across)
