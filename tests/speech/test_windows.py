from pathlib import Path

import numpy as np
import pytest
import torch

from loquent.errors import InputError
from loquent.speech.windows import frame_contexts, frame_windows

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden" / "golden_data.npz"


def test_a_window_holds_the_steps_around_its_frame_and_zeros_outside_the_sound() -> None:
    n_steps, width = 23, 3
    features = torch.randn(n_steps, width, generator=torch.Generator().manual_seed(0))
    frame_ids = torch.tensor([0, 1, 3, 5, 9, 11, 15, 40])
    windows = frame_windows(features, frame_ids)
    assert windows.shape == (8, width, 16)
    for window, frame_id in zip(windows, frame_ids.tolist(), strict=True):
        for place in range(16):
            step = 2 * frame_id - 8 + place  # SPEC 1.6: frame k covers 2k-8 .. 2k+7
            wanted = features[step] if 0 <= step < n_steps else torch.zeros(width)
            torch.testing.assert_close(window[:, place], wanted, rtol=0, atol=0)


def test_held_windows_hear_the_first_and_last_steps_beyond_the_sound() -> None:
    features = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    frame_ids = torch.tensor([0, 2, 4, 30])
    windows = frame_windows(features, frame_ids, length=12, n_before=2, held=True)
    for window, frame_id in zip(windows, frame_ids.tolist(), strict=True):
        for place in range(12):
            step = min(max(2 * frame_id - 2 + place, 0), 8)
            torch.testing.assert_close(window[:, place], features[step], rtol=0, atol=0)


def test_dropped_frames_do_not_disturb_the_others() -> None:
    features = torch.randn(60, 4)
    every = frame_windows(features, torch.arange(30))
    some = torch.tensor([2, 3, 7, 20, 29])
    torch.testing.assert_close(frame_windows(features, some), every[some], rtol=0, atol=0)


@pytest.mark.parametrize("length", [2, 6, 16])
def test_windows_of_other_lengths(length: int) -> None:
    features = torch.arange(1.0, 41).reshape(40, 1)
    windows = frame_windows(features, torch.tensor([10]), length=length)
    assert windows[0, 0].tolist() == [1.0 + step for step in range(20 - length // 2, 20 + length // 2)]


def test_no_sound_gives_zeros() -> None:
    assert frame_windows(torch.zeros(0, 5), torch.arange(3)).abs().sum() == 0
    assert frame_windows(torch.zeros(0, 5), torch.arange(3), held=True).abs().sum() == 0
    assert frame_windows(torch.ones(9, 5), torch.zeros(0, dtype=torch.long)).shape == (0, 5, 16)


@pytest.mark.parametrize("length", [0, -2, 7])
def test_odd_lengths_are_refused(length: int) -> None:
    with pytest.raises(InputError, match="even"):
        frame_windows(torch.zeros(4, 2), torch.arange(2), length=length)


def test_contexts_from_the_sound_equal_contexts_of_neighbouring_windows() -> None:
    features = torch.randn(70, 4)
    windows = frame_windows(features, torch.arange(-4, 40))
    frame_ids = torch.tensor([0, 3, 17, 34])
    contexts = frame_contexts(features, frame_ids)
    for context, frame_id in zip(contexts, frame_ids.tolist(), strict=True):
        torch.testing.assert_close(context, windows[frame_id : frame_id + 8], rtol=0, atol=0)  # ids less 4 to plus 3


def test_a_context_of_two_steps_holds_each_frames_own() -> None:
    features = torch.arange(40.0)[:, None]
    context = frame_contexts(features, torch.tensor([6]), length=2)[0, :, 0]
    assert context.tolist() == [[2 * k, 2 * k + 1] for k in range(2, 10)]


def test_contexts_equal_those_of_the_original_loader() -> None:
    if not GOLDEN.is_file():
        pytest.skip("needs ../shared/golden, which is not beside this checkout")
    golden = np.load(GOLDEN)
    two_steps = torch.from_numpy(golden["aud_seq"])[..., :2]
    stream = two_steps.transpose(1, 2).flatten(0, 1)
    contexts = frame_contexts(stream, torch.arange(len(two_steps)), length=2)
    torch.testing.assert_close(contexts, torch.from_numpy(golden["aud_win_att2"])[..., :2], rtol=0, atol=0)
