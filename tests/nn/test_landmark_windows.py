"""Windows of landmarks: five consecutive moments, also where frames were dropped."""

import torch

from loquent.nn.landmarks import landmark_windows, track_windows


def test_windows_of_consecutive_frames_are_zero_outside() -> None:
    landmarks = torch.arange(1.0, 7.0)[:, None, None].expand(6, 2, 3)
    windows = landmark_windows(landmarks)
    assert windows.shape == (6, 5, 2, 3)
    assert windows[:, :, 0, 0].tolist() == [
        [0, 0, 1, 2, 3],
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4, 5],
        [2, 3, 4, 5, 6],
        [3, 4, 5, 6, 0],
        [4, 5, 6, 0, 0],
    ]
    assert torch.equal(track_windows(landmarks, torch.arange(6) + 40), windows)


def test_what_lies_in_a_gap_is_interpolated() -> None:
    frame_ids = torch.tensor([3, 4, 8, 9])
    landmarks = torch.tensor([1.0, 2.0, 10.0, 3.0])[:, None, None].expand(4, 1, 3)
    windows = track_windows(landmarks, frame_ids)[:, :, 0, 1]
    assert windows.tolist() == [[0, 0, 1, 2, 4], [0, 1, 2, 4, 6], [6, 8, 10, 3, 0], [8, 10, 3, 0, 0]]


def test_a_single_frame_has_a_window() -> None:
    assert track_windows(torch.ones(1, 1, 3), torch.tensor([7]))[0, :, 0, 0].tolist() == [0, 0, 1, 0, 0]
