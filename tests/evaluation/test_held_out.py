"""Shuffling the sound: the same steps, elsewhere, always in the same order; and where a sheet may be written."""

from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.errors import InputError
from loquent.evaluation.held_out import check_places, shuffle_in_time

RATE_HZ = 50


@pytest.mark.parametrize("n_steps", [1, 7, 60, 997])
def test_shuffling_keeps_every_step_once(n_steps: int) -> None:
    features = torch.arange(2 * n_steps).reshape(n_steps, 2).float()
    got = shuffle_in_time(features, RATE_HZ, shift_s=0.9)
    assert torch.equal(got[got[:, 0].argsort()], features)
    assert torch.equal(got, shuffle_in_time(features, RATE_HZ, shift_s=0.9))


def test_shuffling_moves_every_step_by_more_than_a_window_but_keeps_stretches_of_half_a_second() -> None:
    order = shuffle_in_time(torch.arange(1000.0)[:, None], RATE_HZ, shift_s=0.92)[:, 0].numpy()
    assert np.abs(order - np.arange(1000)).min() >= 24
    borders = np.flatnonzero(np.diff(order) != 1)
    assert 1000 / RATE_HZ - 1 <= len(borders) <= 2 * 1000 / RATE_HZ + 2


def test_a_sheet_is_a_png_or_jpeg_in_any_letters(tmp_path: Path) -> None:
    for name in ("a.png", "a.JPG"):
        check_places(tmp_path / name, None)
    with pytest.raises(InputError, match=r"not as 'a\.GIF'"):
        check_places(tmp_path / "a.GIF", None)
